"""Removes what nobody needs any more: old runs, outputs that no kept run uses, old versions and their rows in the metadata store."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import click
from msgspec import Struct

from tfx_retail import inputs, versions
from tfx_retail.config import Config
from tfx_retail.errors import RunError
from tfx_retail.runs import RunFacts, Workspace, exclusive, list_runs

_FORGOTTEN_S = 24 * 3600


class _Plan(Struct, frozen=True):
    runs: list[str]
    versions: list[versions.Version]
    folders: list[Path]
    kept_outputs: set[str]


Forget = Callable[[list[str]], None]


def _no_server(_folders: list[str]) -> None:
    """There is no metadata store but the one in the pipeline's folder."""


def collect(config: Config, *, keep: int, dry_run: bool, forget: Forget = _no_server) -> str:
    """Removes all but the newest `keep` runs and versions and what those stand on; returns what was, or would be, removed.

    The served version, the one that it was compared with, the pinned reference and the runs that made them stay whatever `keep` says.

    Args:
      forget: told the folders whose content is about to go, for a metadata store on a server; that in the pipeline's folder is known here.

    Raises:
      RunError: a scheduler's run is under way; what its nodes are writing would look like something that no run uses.
    """
    place = inputs.workspace(config)
    with exclusive(place, lambda pid: click.echo(f"a run is under way (process {pid}); waiting for it to end")):
        _refuse_while_scheduled(place)
        plan = _plan(config, place, keep)
        size = sum(_size(folder) for folder in [*plan.folders, *(version.path for version in plan.versions)])
        if not dry_run:
            _carry_out(place, plan, forget)
    verb = "would remove" if dry_run else "removed"
    numbers = ", ".join(str(version.number) for version in plan.versions) or "none"
    return f"{verb} {len(plan.runs)} runs, versions {numbers}, {len(plan.folders)} folders and files, {size / 1e6:.1f} MB"


def _refuse_while_scheduled(place: Workspace) -> None:
    for run in list_runs(place):
        beats = [file.stat().st_mtime for file in (place.run(run.run_id) / "tasks").glob("*")]
        if run.state == "running" and run.scheduler_run and time.time() - max(beats, default=0.0) < _FORGOTTEN_S:
            raise RunError(
                f"run {run.run_id} of the scheduler is under way; collect when it has ended (a run that is dead is forgotten in a day)"
            )


def _plan(config: Config, place: Workspace, keep: int) -> _Plan:
    runs, pushed = list_runs(place), versions.list_versions(inputs.model_dir(config))
    kept_versions = _kept_versions(pushed, keep, config.verdict.reference)
    makers = {version.manifest.run_id for version in kept_versions}
    kept = [run for index, run in enumerate(runs) if index >= len(runs) - keep or run.run_id in makers]
    kept_ids = {run.run_id for run in kept}
    old_runs = [run.run_id for run in runs if run.run_id not in kept_ids]
    old_versions = [version for version in pushed if version not in kept_versions]
    outputs = {folder for run in kept for node in run.nodes for folder in node.outputs.values()}
    folders = [
        *(place.run(run) for run in old_runs),
        *_unused_outputs(place, outputs),
        *_unused_files(place, kept),
    ]
    return _Plan(old_runs, old_versions, folders, outputs)


def _kept_versions(pushed: list[versions.Version], keep: int, reference: int | None) -> list[versions.Version]:
    by_number = sorted(pushed, key=lambda version: version.number)
    kept = by_number[-keep:]
    served = kept[-1:] and kept[-1]
    needed = {reference} | ({served.manifest.baseline, served.manifest.rollback_of} if served else set())
    return [version for version in by_number if version in kept or version.number in needed]


def _unused_outputs(place: Workspace, used: set[str]) -> list[Path]:
    folders = [folder for folder in place.nodes.glob("*/*/*") if folder.is_dir()]
    return [folder for folder in folders if str(folder) not in used]


def _unused_files(place: Workspace, kept: Iterable[RunFacts]) -> list[Path]:
    """Returns kept inputs and checkpoints that no kept run's pipeline names."""
    files = (place.run(run.run_id) / "pipeline.json" for run in kept)
    named = "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    candidates = [*place.inputs.glob("*"), *place.checkpoints.glob("*")]
    return [path for path in candidates if path.name not in named]


def _carry_out(place: Workspace, plan: _Plan, forget: Forget) -> None:
    _remove_rows(place.metadata, plan.runs, plan.kept_outputs)
    forget([str(folder) for folder in plan.folders])
    for folder in plan.folders:  # the rows first: an output without a row is found again, a row without its output would mislead
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)
    for version in plan.versions:
        versions.remove(version)


def _remove_rows(database: Path, runs: list[str], kept_outputs: set[str]) -> None:
    if not database.is_file() or not runs:
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        executions = _executions_of(connection, runs) - _makers_of(connection, kept_outputs)
        gone = {row for row, uri in connection.execute("SELECT id, uri FROM Artifact") if uri not in kept_outputs}
        links = connection.execute("SELECT artifact_id, execution_id FROM Event")
        produced = {artifact for artifact, execution in links if execution in executions}
        for table, column in (("ExecutionProperty", "execution_id"), ("Association", "execution_id"), ("Execution", "id")):
            _delete(connection, table, column, executions)
        for table, column in (("ArtifactProperty", "artifact_id"), ("Attribution", "artifact_id"), ("Artifact", "id")):
            _delete(connection, table, column, gone & produced)
        connection.execute("DELETE FROM Event WHERE execution_id NOT IN (SELECT id FROM Execution)")
        connection.execute("DELETE FROM EventPath WHERE event_id NOT IN (SELECT id FROM Event)")


def _executions_of(connection: sqlite3.Connection, runs: list[str]) -> set[int]:
    query = "SELECT a.execution_id FROM Association a JOIN Context c ON a.context_id = c.id WHERE c.name = ?"
    return {row for run in runs for (row,) in connection.execute(query, (run,))}


def _makers_of(connection: sqlite3.Connection, kept_outputs: set[str]) -> set[int]:
    """A kept run that took an output from the cache still needs the execution that made it: the cache finds it there."""
    query = "SELECT e.execution_id, a.uri FROM Event e JOIN Artifact a ON e.artifact_id = a.id WHERE e.type IN (4, 6)"
    return {execution for execution, uri in connection.execute(query) if uri in kept_outputs}


def _delete(connection: sqlite3.Connection, table: str, column: str, rows: set[int]) -> None:
    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(row,) for row in rows])  # noqa: S608  # names are ours


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
