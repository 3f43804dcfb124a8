"""A small pipeline on a live Airflow, its processes, and what must hold after any fault."""

import hashlib
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.airflow.live import ENDED, Live

# Trains in seconds on 60 drawn photos; any model passes, so that a run that is not blessed has a fault.
CONFIG = """
name: {name}
root: {root}
catalog: {{path: {data}/catalog.csv}}
data: {{path: {data}, format: voc, photo_facts: photos.csv, sample: {{photos: 60, skus: 12, seed: 3}}}}
model: {{image_size: 32, width: 8, blocks: [1, 1], embedding_dim: 16}}
train: {{epochs: 1, warmup_epochs: 0.5, batch_size: 32, early_stopping_epochs: 0}}
serving: {{dir: {serving}}}
verdict:
  min_examples: 10
  rules: [{{metric: family_accuracy, at_least: 0.0}}]
airflow: {airflow}
"""
TIMEOUT_MIN = 12  # a node of this pipeline takes minutes on a machine that is busy with other work
_STATES = {
    "0": "unknown",
    "1": "new",
    "2": "running",
    "3": "complete",
    "4": "failed",
    "5": "cached",
    "6": "canceled",
}  # MLMD's Execution.State


_STATES_OF_NODES = """
SELECT run.name, node.name, e.last_known_state, count(*) FROM execution e
JOIN association ar ON ar.execution_id = e.id JOIN context run ON run.id = ar.context_id
JOIN type tr ON tr.id = run.type_id AND tr.name = 'pipeline_run'
JOIN association an ON an.execution_id = e.id JOIN context node ON node.id = an.context_id
JOIN type tn ON tn.id = node.type_id AND tn.name = 'node'
WHERE node.name LIKE 'NAME.%' GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class Process:
    """A process that works for a task."""

    pid: int
    kind: str  # `node`: the command in the TFX environment; `task`: Airflow's process of the task; `worker`: the executor's
    node: str


class Scene:
    """One pipeline of one deployment."""

    def __init__(self, live: Live, name: str, *, place: Path | None = None, **airflow: Any) -> None:
        self.live = live
        self.name = name
        self.place = place or live.folder / "faults" / name
        times = {"timeout_min": TIMEOUT_MIN, "heavy_timeout_min": TIMEOUT_MIN}
        self.settings = {"retries": 60, "retry_delay_s": 1, "max_active_runs": 2, "heavy_pool": None, **times, **airflow}
        self.pushed = 0  # versions that there should be

    def prepare(self) -> None:
        """Compiles the pipeline into the folder that Airflow watches, and waits until its DAG is there."""
        given = self.live.settings()
        self.place.mkdir(parents=True, exist_ok=True)
        config = self.place / f"{self.name}.yaml"
        folders = {"root": self.place / "output", "data": self.live.folder / "faults" / "data", "serving": self.place / "served"}
        text = CONFIG.format(name=self.name, airflow=json.dumps(self.settings), **folders)
        config.write_text(text, encoding="utf-8")
        target = Path(given["TFX_RETAIL_PIPELINES"]) / f"{self.name}.json"
        subprocess.run([given["TFX_RETAIL_COMMAND"], "compile", str(config), "-o", str(target)], check=True, timeout=600)
        self.live.wait_for_dag(self.name)

    def nodes(self) -> set[str]:
        """Returns the names of the pipeline's nodes."""
        compiled = json.loads((Path(self.live.settings()["TFX_RETAIL_PIPELINES"]) / f"{self.name}.json").read_bytes())
        return {node["name"] for node in compiled["nodes"]}

    def start(self, run_id: str, **params: Any) -> str:
        """Triggers a run."""
        return self.live.trigger(self.name, run_id, **params)

    def end(self, run_id: str, timeout_s: float = 3600) -> str:
        """Returns the state in which the run ended."""
        return self.live.wait(self.name, run_id, timeout_s)

    def ended_well(self, *run_ids: str) -> list[str]:
        """Waits for the end of runs that should push a version each, and returns what is wrong; no other run is at work."""
        states = {run_id: self.end(run_id) for run_id in run_ids}
        self.pushed += sum(state == "success" for state in states.values())
        return [*(f"{run_id} ended {state}" for run_id, state in states.items() if state != "success"), *self.faults()]

    # ---- processes ----

    def wait_for_work(self, run_id: str, node: str = "") -> int:
        """Returns the process at work on a node, or on any, once there is one; 0 where the run has ended."""
        while self.live.state(self.name, run_id) not in ENDED:
            for process in self.processes():
                if process.kind == "node" and node in ("", process.node):
                    return process.pid
            time.sleep(0.3)
        return 0

    def processes(self) -> list[Process]:
        """Returns the processes that work for this pipeline's nodes now."""
        found: list[Process] = []
        file = str((self.live.folder / "pipelines" / f"{self.name}.json").resolve())  # another deployment has one of this name too
        for pid, words in _command_lines():
            if "run-node" in words and file in words:
                node = words[words.index("run-node") + 2]
                found.append(Process(pid, "node", node))
                task = parent(pid)
                if task > 1:
                    found += [Process(task, "task", node), Process(parent(task), "worker", node)]
        return [process for process in found if process.pid > 1 and process.pid != self.live.pid("scheduler")]

    # ---- what must hold ----

    def faults(self) -> list[str]:
        """Returns what is wrong with the pipeline's metadata and pushed versions, now that no run is at work."""
        return [*self._faults_of_versions(self.pushed), *self._faults_of_metadata()]

    def versions(self) -> list[int]:
        """Returns the pushed versions."""
        folder = self.place / "served" / self.name
        return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())

    def manifest(self, version: int) -> dict[str, Any]:
        """Returns what a version says of itself."""
        return dict(json.loads((self.place / "served" / self.name / str(version) / "manifest.json").read_bytes()))

    def _faults_of_versions(self, wanted: int) -> Iterator[str]:
        folder = self.place / "served" / self.name
        if self.versions() != list(range(1, wanted + 1)):
            yield f"versions {self.versions()}, expected 1 to {wanted}"
        yield from (f"{path} was left" for path in folder.glob(".tmp-*"))
        for version in self.versions():
            manifest = self.manifest(version)
            if not manifest["verdict"].get("blessed", True):
                yield f"version {version} was not blessed"
            for name, digest in manifest["files"].items():
                if hashlib.sha256((folder / str(version) / name).read_bytes()).hexdigest() != digest:
                    yield f"version {version}: {name} is not what was pushed"

    def _faults_of_metadata(self) -> Iterator[str]:
        for (run, node), states in self.executions().items():
            if states["running"] or states["new"]:
                yield f"{run}: {node} has an execution left open"
            if states["complete"] + states["cached"] > 1:
                yield f"{run}: {node} has {states['complete'] + states['cached']} valid executions"

    def executions(self) -> dict[tuple[str, str], Counter[str]]:
        """Returns, for each run and node, how many executions the metadata store has in each state."""
        rows = self.live.sql("mlmd", _STATES_OF_NODES.replace("NAME", self.name))
        found: dict[tuple[str, str], Counter[str]] = {}
        for run, node, state, count in rows:
            found.setdefault((run, node), Counter())[_STATES[state]] += int(count)
        return found


def new_model(seed: int) -> dict[str, Any]:
    """Returns the parameters of a run that trains anew on data that is known: what comes before the Trainer may be cached."""
    return {"settings": [f"train.seed={seed}"]}


def dice(seed: int) -> random.Random:
    """Returns chance that falls alike each time it is asked."""
    return random.Random(seed)  # noqa: S311  # nothing here is a secret


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1:
            yield int(folder.name), [word.decode(errors="replace") for word in words]


def parent(pid: int) -> int:
    """Returns a process's parent, 0 where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    """Tells whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
