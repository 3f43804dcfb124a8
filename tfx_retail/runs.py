"""The folder of one pipeline and the facts of its runs, as plain files: readable without TensorFlow, TFX or the metadata store."""

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from tfx_retail.digests import text_digest
from tfx_retail.errors import RunError

PAGE = "report.html"  # of a run, in its folder

NodeState = Literal["running", "ran", "cached", "skipped", "failed", "interrupted"]
RunState = Literal["running", "blessed", "not blessed", "done", "failed", "interrupted"]


class Override(Struct, frozen=True, kw_only=True):
    """A person's decision to push what the verdict refused."""

    who: str  # user of the operating system
    when: str  # ISO 8601, UTC
    why: str


class NodeFacts(Struct, kw_only=True):
    """What one node did in one run."""

    node: str
    state: NodeState
    seconds: float = 0.0
    began: float | None = None  # seconds after the run; None: not known, so after the node before it
    why: str = ""  # why it was cached, skipped, or had to run
    summary: str = ""  # counts, in words
    error: str = ""
    outputs: dict[str, str] = {}  # output name -> folder


class RunFacts(Struct, kw_only=True):
    """What one run did: kept in `run.json`, rewritten whole after every node."""

    run_id: str
    pipeline: str
    started: str
    state: RunState = "running"
    seconds: float = 0.0
    pid: int = 0  # 0: a scheduler's run, each node a process of its own
    scheduler_run: str = ""  # the run id that a scheduler gave; the folder is named after it
    version: int | None = None
    config_digest: str = ""
    data_digest: str = ""
    code_digest: str = ""
    software: dict[str, str] = {}  # package -> version, of what the model was made with
    baseline: int | None = None
    schema_reviewed: bool = False
    overridden: Override | None = None  # its model was pushed by `tfx-retail bless`
    nodes: list[NodeFacts] = []

    def node(self, name: str) -> NodeFacts | None:
        """Returns the facts of a node, or None where the run did not come so far."""
        return next((node for node in self.nodes if node.node == name), None)

    def output(self, node: str, key: str) -> Path | None:
        """Returns the folder of one output, or None where there is none on disk."""
        facts = self.node(node)
        folder = Path(facts.outputs[key]) if facts and key in facts.outputs else None
        return folder if folder and folder.is_dir() else None


class Workspace(Struct, frozen=True):
    """The folder `<root>/<name>` of one pipeline, and where things lie in it."""

    root: Path

    @property
    def nodes(self) -> Path:
        """Outputs of all nodes of all runs, as TFX lays them out."""
        return self.root / "nodes"

    @property
    def metadata(self) -> Path:
        """The metadata store's SQLite file."""
        return self.root / "metadata.sqlite"

    @property
    def inputs(self) -> Path:
        """Catalogues, label orders and schemas that runs were given, named by their content."""
        return self.root / "inputs"

    @property
    def checkpoints(self) -> Path:
        """States of unfinished training, named by config and data."""
        return self.root / "checkpoints"

    @property
    def team(self) -> Path:
        """Where workers of several machines that train together meet."""
        return self.root / "team"

    def run(self, run_id: str) -> Path:
        """Returns the folder of one run: `run.json`, `run.log`, `config.yaml`, `pipeline.json`."""
        return self.root / "runs" / run_id


def new_run_id(now: datetime) -> str:
    """Returns a run id that sorts by time and is fit for a folder's name."""
    return now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def folder_name(run_id: str) -> str:
    """Returns a run id that is fit for a folder's name: as it is, or, where it holds `:` or `+`, with a digest that keeps it apart.

    Raises:
      RunError: it is empty or longer than 200 characters.
    """
    if not 0 < len(run_id) <= 200:
        raise RunError(f"run id {run_id[:50]!r}: has {len(run_id)} characters, expected 1 to 200; name the run shorter")
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)
    return run_id if safe == run_id and run_id[0] != "." else f"{safe.lstrip('.')}-{text_digest(run_id)[:8]}"


def write_run(workspace: Workspace, facts: RunFacts) -> None:
    """Writes `run.json`; a reader sees the old or the new file, never half of one."""
    data = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    write_atomically(workspace.run(facts.run_id) / "run.json", data)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def list_runs(workspace: Workspace) -> list[RunFacts]:
    """Returns the runs of a pipeline, oldest first; a run whose process died is told as interrupted."""
    files = (workspace.root / "runs").glob("*/run.json")
    runs = [_told_truly(msgspec.json.decode(file.read_bytes(), type=RunFacts)) for file in files]
    return sorted(runs, key=lambda run: (run.started, run.run_id))  # a scheduler's run ids do not sort by time


def find_run(workspace: Workspace, run_id: str | None) -> RunFacts:
    """Returns one run by its id, or the latest.

    Raises:
      RunError: there is no such run; the message names those that there are.
    """
    runs = list_runs(workspace)
    if not runs:
        raise RunError(f"{workspace.root}: no run yet; start one with `tfx-retail run`")
    if run_id is None:
        return runs[-1]
    for run in runs:
        if run.run_id == run_id:
            return run
    raise RunError(f"no run {run_id!r}; the latest ones are {', '.join(run.run_id for run in runs[-5:])}")


def _told_truly(facts: RunFacts) -> RunFacts:
    if facts.state == "running" and facts.pid and not _alive(facts.pid):
        facts.state = "interrupted"
        for node in facts.nodes:
            if node.state == "running":
                node.state = "interrupted"
    return facts


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def exclusive(workspace: Workspace, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Holds the pipeline's lock: SQLite and the cache serve one run of a pipeline at a time; a second one waits here.

    The lock goes with its process, so a killed run leaves none behind. `on_wait` is told, once, which process holds it.
    """
    workspace.root.mkdir(parents=True, exist_ok=True)
    with open(workspace.root / "run.lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            on_wait(file.read().strip() or "unknown")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
