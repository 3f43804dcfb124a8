"""The first task of a scheduler's run: parameters checked, data looked at, the run's own compiled pipeline written for all later tasks."""

from datetime import datetime, timezone
from typing import Any

from rich.console import Console

from tfx_retail import attempts, compiled, inputs, loading, parameters, starting, summaries
from tfx_retail.compiled import CONFIGURE, Compiled
from tfx_retail.config import Config
from tfx_retail.inputs import RunInputs
from tfx_retail.runs import RunFacts, Workspace, find_run, write_run


def configure(known: Compiled, folder: str, run_id: str, given: str, console: Console) -> tuple[int, dict[str, Any]]:
    """Writes what the run's tasks read, and returns exit code and facts.

    Args:
      known: the pipeline that the scheduler knows.
      folder: the run's, made of its id.
      given: the run's parameters as JSON.

    Raises:
      UserError: parameters, catalogue, data or metadata store cannot be used.
    """
    place = inputs.workspace(known.config)
    with attempts.only_one(place, folder, CONFIGURE, lambda _: console.print("another process configures this run; waiting for it")):
        run = _compile(known, folder, run_id, parameters.applied(known.config, parameters.read(given)), console)
    return 0, {"run": run.run_id, "pipeline": str(place.run(folder) / compiled.OF_RUN), "data": run.config.data.path}


def of_run(known: Compiled, folder: str, run_id: str, console: Console) -> Compiled:
    """Returns the run's own compiled pipeline; a run that was not configured is, as its configuration says.

    Raises:
      UserError: the file was changed, or what the run reads cannot be used.
    """
    file = inputs.workspace(known.config).run(folder) / compiled.OF_RUN
    if not file.is_file():
        console.print("this run was not configured yet: doing it now, without parameters")
        configure(known, folder, run_id, "", console)
    return compiled.read(file, compiled.CONFIGURE_AGAIN)


def write_facts(run: Compiled, place: Workspace, *, over: bool = False) -> RunFacts:
    """Writes `run.json` from what the nodes have come to so far, and returns it.

    Args:
      over: no node is at work any more.
    """
    with attempts.alone(attempts.tasks_folder(place, run.run_id) / "facts.lock"):
        facts = find_run(place, run.run_id)
        names = [node.name for node in run.nodes]
        outcomes = (attempts.outcome_of(place, run.run_id, name) for name in names)
        facts.nodes = [outcome.facts for outcome in outcomes if outcome]
        if over or facts.state != "running":  # of a run that was over one node was run anew
            facts.state = summaries.end_state(facts, [node.node for node in facts.nodes] if len(facts.nodes) == len(names) else names)
        facts.seconds = (datetime.now(timezone.utc) - datetime.fromisoformat(facts.started)).total_seconds()
        write_run(place, facts)
    return facts


def _compile(known: Compiled, folder: str, run_id: str, config: Config, console: Console) -> Compiled:
    place = inputs.workspace(config)
    place.nodes.mkdir(parents=True, exist_ok=True)
    starting.draw_sample(config)
    given = inputs.prepare(config)
    _tell(config, given, console)
    with loading.without_collector():
        from tfx_retail import compiling, lineage, store  # noqa: PLC0415  # loads TFX, whose noise goes to the log by now

    store.connect(lineage.connection(place))  # its tables are made here, before nodes side by side would all try to
    facts = starting.new_facts(config, given, datetime.now(timezone.utc))
    facts.run_id, facts.scheduler_run, facts.pid = folder, run_id, 0
    run = compiling.compile_run(config, given, folder, known.nodes)
    write_run(place, facts)
    return run


def _tell(config: Config, given: RunInputs, console: Console) -> None:
    compared = f"version {given.baseline.number}" if given.baseline else "nothing: no version was pushed yet"
    schema = "reviewed" if given.schema else "none reviewed yet, a draft is made"
    lines = (
        f"data      {config.data.path} ({given.data_digest})",
        f"schema    {schema}",
        f"compared  with {compared}",
        f"cache     {'used' if config.cache else 'not used'}",
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
