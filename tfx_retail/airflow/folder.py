"""One DAG for each compiled pipeline in a folder; those that cannot be used are told from a file of their own and leave the others alone.

A DAG file that raises loses all of its DAGs. One that has an import error beside sound DAGs keeps them, but Airflow takes them off its
schedule (3: they are stale; 2.11: they have import errors). So the file with the DAGs never fails, and the file that fails has no DAGs.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfx_retail import compiled
from tfx_retail.airflow.alerts import Alert
from tfx_retail.airflow.api import DAG
from tfx_retail.airflow.dag import BY_DATA, dag, with_settings
from tfx_retail.airflow.host import Environment
from tfx_retail.airflow.watch import watch
from tfx_retail.config import AirflowConfig
from tfx_retail.errors import UserError

FOLDER = "TFX_RETAIL_PIPELINES"
_LOG = logging.getLogger(__name__)


def dags_in(
    folder: str | Path | None = None, *, environment: Environment | None = None, notify: Sequence[Alert] = (), **settings: Any
) -> dict[str, DAG]:
    """Returns the DAGs of the compiled pipelines (`*.json`) in a folder, by their ids, for a DAG file's globals.

    A pipeline that cannot be used is left out, with a line in the log; `refuse_broken` in another DAG file makes it an import error.

    Args:
      folder: TFX_RETAIL_PIPELINES says it if it is not given.

    Raises:
      UserError: there is no such folder.
      ValueError: a setting is unknown or wrong.
    """
    with_settings(AirflowConfig(), settings)
    found: dict[str, DAG] = {}
    for fault in _collect(_place(folder), found, environment, notify, settings):
        _LOG.warning("left out: %s", fault)
    return found


def refuse_broken(folder: str | Path | None = None) -> None:
    """Does nothing where all compiled pipelines of a folder can be used. Call it in a DAG file that makes no DAGs.

    Raises:
      UserError: there is no such folder, or with what is wrong with each pipeline that cannot be used, and what to do.
    """
    faults = list(_collect(_place(folder), {}, None, (), {}))
    if faults:
        raise UserError("\n".join(faults))


def _place(folder: str | Path | None) -> Path:
    given = folder or os.environ.get(FOLDER)
    if not given or not Path(given).is_dir():
        raise UserError(f"{FOLDER}: expected a folder of compiled pipelines, got {given!r}; set it where Airflow starts")
    return Path(given)


def _collect(
    place: Path, found: dict[str, DAG], environment: Environment | None, notify: Sequence[Alert], settings: dict[str, Any]
) -> Iterator[str]:
    """Adds the DAGs of a folder to `found` and yields what is wrong with those that cannot be made."""
    for file in sorted(place.glob("*.json")):
        try:
            made = _dags(file, environment, notify, settings)
            for item in made:
                item.validate()  # as Airflow does
        except UserError as error:
            yield str(error)
            continue
        except Exception as error:  # noqa: BLE001  # whatever Airflow finds wrong with one pipeline, say with its schedule
            yield f"{file}: Airflow refuses its DAG: {error}; correct `airflow` in its configuration and compile it again"
            continue
        if made[0].dag_id in found:
            yield f"{file}: there is a pipeline {made[0].dag_id!r} in this folder already; rename one of them"
        else:
            found.update((item.dag_id, item) for item in made)


def _dags(file: Path, environment: Environment | None, notify: Sequence[Alert], settings: dict[str, Any]) -> list[DAG]:
    made = [dag(file, environment=environment, notify=notify, **settings)]
    schedule = settings.get("schedule", compiled.read(file).config.airflow.schedule)
    return [*made, watch(file, environment=environment, **settings)] if schedule == BY_DATA else made
