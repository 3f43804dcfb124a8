"""A compiled pipeline as a DAG: `configure`, a task for each node, `Report` whatever happens, and `done`: the state of the run."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from tfx_retail import compiled
from tfx_retail.airflow import alerts
from tfx_retail.airflow.api import DAG, Asset, EmptyOperator, Param
from tfx_retail.airflow.host import Environment, Host
from tfx_retail.compiled import CONFIGURE, REPORT, Compiled, Node
from tfx_retail.config import AirflowConfig
from tfx_retail.parameters import Parameters

BY_DATA = "data"  # as `airflow.schedule`: when new photos have landed
# A number that every Clear changes and no retry does: Airflow raises max_tries by the tries that were used up (its own log view counts so).
_GENERATION = "{{ ti.max_tries - task.retries }}"


def dag(pipeline_json: str | Path, *, environment: Environment | None = None, notify: Sequence[alerts.Alert] = (), **settings: Any) -> DAG:
    """Returns the DAG of a compiled pipeline; its id is the pipeline's name.

    Args:
      environment: where tasks run; `Host()` if not given.
      notify: who is told of a failure, of a model that was not blessed, and of data that has drifted.
      settings: any of the configuration's section `airflow`, in place of what was compiled.

    Raises:
      CompiledError: the file is missing, cut off, of another version of this package, or was changed by hand.
      ValueError: a setting is unknown or wrong.
    """
    file = Path(pipeline_json)
    known = compiled.read(file)
    wanted = with_settings(known.config.airflow, settings)
    made = DAG(
        dag_id=known.name,
        auto_register=False,  # a DAG is Airflow's when a file keeps it: others are made to see whether they can be
        description="From labelled shelf photos to a blessed, pushed SKU classifier",
        tags=["tfx-retail"],
        schedule=[landed(known.name)] if wanted.schedule == BY_DATA else wanted.schedule,
        start_date=datetime.fromisoformat(wanted.start).replace(tzinfo=timezone.utc),
        catchup=wanted.catchup,
        max_active_runs=wanted.max_active_runs,
        dagrun_timeout=_minutes(wanted.run_timeout_min),
        params=form(known),
        doc_md=_doc(known),
        default_args=_task_options(wanted) | alerts.of_tasks(notify),
        **alerts.of_dag(wanted.deadline_min, notify),
    )
    with made:
        _wire(known, file, environment or Host(), wanted, notify)
    return made


def landed(pipeline: str) -> Asset:
    """Returns the asset that stands for the labelled photos of a pipeline."""
    return Asset(f"tfx-retail://{pipeline}/photos")


def with_settings(compiled_with: AirflowConfig, settings: dict[str, Any]) -> AirflowConfig:
    """Returns the settings of the DAG, checked as the configuration is."""
    try:
        return msgspec.convert(msgspec.to_builtins(compiled_with) | settings, AirflowConfig)
    except msgspec.ValidationError as error:
        raise ValueError(f"settings of the DAG: {error}; allowed: {', '.join(AirflowConfig.__struct_fields__)}") from None


def form(known: Compiled) -> dict[str, Param]:
    """Returns the fields of the trigger form, made of the parameters that `configure` accepts."""
    config = known.config
    now = {"data_path": config.data.path, "epochs": config.train.epochs}
    schema = msgspec.json.schema(Parameters)["$defs"]["Parameters"]["properties"]
    return {name: _param(name, dict(field), now.get(name)) for name, field in schema.items()}


def _param(name: str, field: dict[str, Any], now: Any) -> Param:
    kinds = field.pop("anyOf", [])
    for kind in kinds:
        field |= kind
    if kinds:  # Airflow's form reads `type` alone, and asks for a value unless null is among it
        field["type"] = [kind["type"] for kind in kinds]
    description = field.pop("description") + (f". Empty: {now}" if now is not None else "")
    default = field.pop("default")
    return Param(default, description=description, title=name.replace("_", " "), **field)


def _wire(known: Compiled, file: Path, environment: Environment, wanted: AirflowConfig, notify: Sequence[alerts.Alert]) -> None:
    def task(name: str, variables: dict[str, str] | None = None, **options: Any) -> Any:
        words = ["run-node", str(file.resolve()), name]
        given = {"TFX_RETAIL_RUN_ID": "{{ run_id }}", "TFX_RETAIL_GENERATION": _GENERATION, **(variables or {})}
        return environment.task(words, given, task_id=name, **options)

    first = task(CONFIGURE, {"TFX_RETAIL_PARAMS": "{{ params | tojson }}"})
    tasks = {node.name: task(node.name, **_node_options(node, wanted), **alerts.of_node(node.name, notify)) for node in known.nodes}
    for name, upstream in direct(known.nodes).items():
        tasks[name].set_upstream([tasks[other] for other in upstream] or [first])
    report = task(REPORT, trigger_rule="all_done", **alerts.of_report(wanted.deadline_min))
    done = EmptyOperator(task_id="done", trigger_rule="none_failed")  # Report succeeds for failed runs too: the run's state is not its
    for last in (tasks[name] for name in _leaves(known)):
        last.set_downstream([report, done])


def direct(nodes: Sequence[Node]) -> dict[str, list[str]]:
    """Returns for each node those before it that no other node stands between.

    A task runs when all before it have succeeded, and those when all before them have. So the edges that are left out change neither what
    runs, nor what is skipped, nor what a Clear takes along; without them the graph can be read.
    """
    before: dict[str, set[str]] = {}
    for node in nodes:
        before[node.name] = set(node.upstream).union(*(before[name] for name in node.upstream))
    return {node.name: [name for name in node.upstream if all(name not in before[other] for other in node.upstream)] for node in nodes}


def _node_options(node: Node, wanted: AirflowConfig) -> dict[str, Any]:
    options: dict[str, Any] = {"doc_md": f"`{node.name}`" + (", works on all photos" if node.heavy else "")}
    if node.heavy and wanted.heavy_pool:
        options["pool"] = wanted.heavy_pool
    if node.heavy:
        options["execution_timeout"] = _minutes(wanted.heavy_timeout_min)
    return options


def _task_options(wanted: AirflowConfig) -> dict[str, Any]:
    return {
        "owner": "tfx-retail",
        "retries": wanted.retries,
        "retry_delay": timedelta(seconds=wanted.retry_delay_s),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": _minutes(wanted.timeout_min),
        "priority_weight": wanted.priority,
    }


def _leaves(known: Compiled) -> list[str]:
    inner = {name for node in known.nodes for name in node.upstream}
    return [node.name for node in known.nodes if node.name not in inner]


def _minutes(number: int) -> timedelta | None:
    return timedelta(minutes=number) if number else None


def _doc(known: Compiled) -> str:
    config = known.config
    rows = (
        ("data", config.data.path),
        ("catalogue", config.catalog.path),
        ("runs and reports", f"{config.root}/{config.name}/runs"),
        ("pushed versions", f"{config.serving.dir}/{config.name}"),
        ("compiled by", f"tfx-retail {known.package}"),
    )
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | `{value}` |" for name, value in rows)])
