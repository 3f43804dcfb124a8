"""A DAG that looks for new labelled photos and, when they have landed, updates the asset that starts the pipeline's own DAG."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tfx_retail import compiled
from tfx_retail.airflow.api import DAG
from tfx_retail.airflow.dag import landed, with_settings
from tfx_retail.airflow.host import Environment, Host


def watch(pipeline_json: str | Path, *, environment: Environment | None = None, **settings: Any) -> DAG:
    """Returns the DAG `<name>_photos`: every `airflow.watch_min` minutes it asks whether the data is new and has settled; a skip if not.

    Raises:
      CompiledError: the file cannot be used.
    """
    file = Path(pipeline_json)
    known = compiled.read(file)
    wanted = with_settings(known.config.airflow, settings)
    made = DAG(
        dag_id=f"{known.name}_photos",
        auto_register=False,  # as with the pipeline's own
        description=f"Starts {known.name} when new labelled photos have landed",
        tags=["tfx-retail"],
        schedule=timedelta(minutes=wanted.watch_min),
        start_date=datetime.fromisoformat(wanted.start).replace(tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "tfx-retail"},
    )
    with made:
        words = ["landed", str(file.resolve()), "--settle", str(wanted.settle_s)]
        (environment or Host()).task(words, {}, task_id="landed", outlets=[landed(known.name)])
    return made
