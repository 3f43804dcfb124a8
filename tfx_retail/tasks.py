"""What a scheduler's tasks do: configure a run, run one node of it, write its report. Each is a process of its own.

Only what a task needs is loaded, and late: TensorFlow's noise goes to the task's log file by then.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any, cast

import msgspec
from rich.console import Console

from tfx_retail import attempts, compiled, configuring, inputs, lean, loading, report, summaries
from tfx_retail.attempts import Attempt, Outcome
from tfx_retail.compiled import CONFIGURE, INTERMEDIATE, REPORT, VERDICT, WITHOUT_TENSORFLOW, Compiled
from tfx_retail.errors import UserError
from tfx_retail.page.write import write_page
from tfx_retail.runs import NodeFacts, Workspace, exclusive, folder_name
from tfx_retail.screen import Board, Outlet, quiet

DONE, FAILED, SKIPPED = 0, 1, 99


def run_task(file: Path, task: str, run_id: str, *, parameters: str, generation: int | None, facts_file: Path | None, verbose: bool) -> int:
    """Runs one task of a run and returns the exit code: 0 done, 1 failed, 99 skipped.

    The last line of standard output, and `facts_file` where one is given, is a JSON object with a few facts for the scheduler.

    Args:
      parameters: the run's, as JSON, for `configure`.
      generation: a number that changes when the scheduler's user clears the task; without it, a task that has reported was cleared.

    Raises:
      UserError: file, task, run id or parameters cannot be used.
    """
    known = compiled.read(file)
    _check_task(known, task, file)
    folder = folder_name(run_id)
    place = inputs.workspace(known.config)
    log = attempts.tasks_folder(place, folder) / f"{task}.log"
    parent = os.getppid()
    with _signals_end_it(), quiet(log, verbose=verbose) as console:
        outlet = Outlet(console.file)
        console.file = cast(IO[str], outlet)  # all that rich asks of one
        console.print(f"{known.name} · {task} · run {folder}", markup=False, soft_wrap=True)
        if task == CONFIGURE:
            code, facts = configuring.configure(known, folder, run_id, parameters, console)
        else:
            run = configuring.of_run(known, folder, run_id, console)
            code, facts = _report(run, place, console) if task == REPORT else _node(run, place, task, generation, console)
        if code == FAILED or verbose:
            console.print(f"log       {log}", markup=False, soft_wrap=True)
        _hand_over(facts, facts_file, console)
        if code != FAILED and task not in (CONFIGURE, REPORT) and outlet.is_read and os.getppid() == parent:
            attempts.mark_reported(place, folder, task)  # an orphan has nobody to tell
    return code


def _check_task(known: Compiled, task: str, file: Path) -> None:
    names = [CONFIGURE, *(node.name for node in known.nodes), REPORT]
    if task not in names:
        raise UserError(f"{file}: has no task {task!r}; it has: {', '.join(names)}")


def _node(run: Compiled, place: Workspace, task: str, generation: int | None, console: Console) -> tuple[int, dict[str, Any]]:
    with ExitStack() as held:
        attempt = held.enter_context(attempts.only_one(place, run.run_id, task, lambda other: _say_waiting(console, other)))
        facts = _run_held(run, place, task, attempt, generation, console, held)
        attempts.keep_outcome(place, run.run_id, task, Outcome(facts=facts, generation=generation))
        configuring.write_facts(run, place)
        with Board(console) as board:
            board.end(facts)
        if facts.error:
            console.print(facts.error, markup=False, soft_wrap=True, style="red")
    return {"failed": FAILED, "interrupted": FAILED, "skipped": SKIPPED}.get(facts.state, DONE), _small(facts)


def _run_held(
    run: Compiled, place: Workspace, task: str, attempt: Attempt, generation: int | None, console: Console, held: ExitStack
) -> NodeFacts:
    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    begun = time.monotonic()
    try:
        with lean.without_heavy(), loading.without_collector():
            from tfx_retail import lineage, node_run  # noqa: PLC0415  # TFX's noise goes to the log by now

        if not lineage.is_shared(lineage.connection(place)):
            held.enter_context(exclusive(place, lambda pid: say(f"SQLite serves one node at a time; waiting for process {pid}")))
        intermediate = node_run.read_intermediate(place.run(run.run_id) / INTERMEDIATE, run.ir_digest)
        node = node_run.NodeRun(place, intermediate, node_run.node_of_run(intermediate, task), attempt)
        if node.node in WITHOUT_TENSORFLOW:
            held.enter_context(lean.without_heavy())
        facts = node.run(cleared=_is_cleared(attempts.outcome_of(place, run.run_id, task), generation), say=say)
    except KeyboardInterrupt:
        error = "stopped by a signal; what it had open is closed, the next attempt begins at once"
        return NodeFacts(node=task, state="interrupted", seconds=time.monotonic() - begun, error=error)
    return _as_skipped(facts, attempts.outcome_of(place, run.run_id, VERDICT))


def _as_skipped(facts: NodeFacts, verdict: Outcome | None) -> NodeFacts:
    """A Pusher that had nothing to push is a skip to a scheduler, with the verdict's reason."""
    push = summaries.push_of(facts)
    if not push or push["pushed"]:
        return facts
    return msgspec.structs.replace(facts, state="skipped", why=verdict.facts.summary if verdict else push["reason"])


def _is_cleared(before: Outcome | None, generation: int | None) -> bool:
    if before is None:
        return False
    return before.reported if generation is None else before.generation != generation


def _report(run: Compiled, place: Workspace, console: Console) -> tuple[int, dict[str, Any]]:
    """Closes the run: what dead processes left open, its facts, its page."""
    with lean.without_heavy(), loading.without_collector():
        from tfx_retail import node_run  # noqa: PLC0415  # the metadata store's client

    tasks = [node.name for node in run.nodes if not attempts.is_held(place, run.run_id, node.name)]
    for node in node_run.sweep(place, run.name, run.run_id, tasks):
        console.print(f"{node} was left open by a process that died: closed as failed", markup=False)
    facts = configuring.write_facts(run, place, over=True)
    with Board(console) as board:
        for ended in facts.nodes:
            board.end(ended)
    page = write_page(run.config, facts)
    console.print(report.ending(run.config, facts), soft_wrap=True, markup=False)
    return DONE, {"state": facts.state, "version": facts.version, "report": str(page)}


def _say_waiting(console: Console, other: Attempt | None) -> None:
    who = f"process {other.pid} on {other.host}, since {other.since}" if other else "another process"
    console.print(f"an earlier attempt is still at work on this node ({who}); waiting for its result", markup=False, soft_wrap=True)


def _small(facts: NodeFacts) -> dict[str, Any]:
    """Returns what other tasks and people may ask for: words and numbers, no data."""
    small = {"node": facts.node, "state": facts.state, "seconds": round(facts.seconds, 1), "summary": facts.summary}
    small |= {"why": facts.why} if facts.why else {}
    small |= {"error": facts.error} if facts.error else {}
    return small | summaries.small_facts(facts)


def _hand_over(facts: dict[str, Any], file: Path | None, console: Console) -> None:
    text = json.dumps(facts, ensure_ascii=False)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Makes SIGTERM what Ctrl-C is: a scheduler that stops a task gives it time to close what it has open."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
