"""A model that was not blessed, disturbed in all ways, is never pushed."""

import os
import signal
import time

from benchmarks.faults.outcome import Outcome
from benchmarks.faults.scene import Scene
from benchmarks.faults.scene import dice as chance
from tests.airflow.live import ENDED

KILLS = 10
LAST = ("Verdict", "ModelCard", "Pusher")
TOO_STRICT = ["train.max_steps=1", "verdict.rules=[{metric: family_accuracy, at_least: 1.0}]"]


def unblessed_model(scene: Scene) -> Outcome:
    """Returns whether nothing is pushed of a refused model: killed, cleared, and its Pusher started by hand."""
    run = scene.start("refused", settings=TOO_STRICT)
    dice = chance(4)
    kills = 0
    while scene.live.state(scene.name, run) not in ENDED:
        at_work = [process for process in scene.processes() if process.kind == "node" and process.node in LAST]
        if at_work and kills < KILLS:
            time.sleep(dice.uniform(0, 6))
            kills += _kill(dice.choice(at_work).pid)
        time.sleep(0.2)
    faults = _faults(scene, run, "killed")
    for task in ("Pusher", "Verdict"):
        scene.live.clear(scene.name, run, task, downstream=True)
        time.sleep(5)
        scene.end(run)
        faults += _faults(scene, run, f"{task} cleared")
    tries = kills + 2
    told = "; ".join(faults) or f"Pusher skipped after {kills} kills in and before it, and after each Clear; a report, no version"
    return Outcome("a model that is not blessed", tries, 0 if faults else tries, told)


def _kill(pid: int) -> int:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def _faults(scene: Scene, run: str, when: str) -> list[str]:
    found = [f"{when}: {fault}" for fault in scene.faults()]
    tasks = scene.live.tasks(scene.name, run)
    if tasks["Pusher"] != "skipped" or tasks["Report"] != "success":
        found.append(f"{when}: Pusher {tasks['Pusher']}, Report {tasks['Report']}")
    return found
