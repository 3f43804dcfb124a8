"""kill -9 of whatever works for a task, at random moments, again and again."""

import os
import random
import signal
import time
from collections import Counter

from benchmarks.faults.outcome import Outcome
from benchmarks.faults.scene import Process, Scene
from benchmarks.faults.scene import dice as chance
from tests.airflow.live import ENDED, Live

KILLS = 30
MOST_IN_ONE_NODE = 3  # else a slow machine spends them all on the first
# The node's own process dies most often in practice (memory); each of the others costs a heartbeat time-out.
SHARES = {"node": 0.7, "task": 0.15, "worker": 0.15}
LONGEST_WAIT_S = 8.0  # most nodes of this pipeline take about that long


def random_kills(live: Live, kills: int = KILLS) -> Outcome:
    """Returns whether runs end blessed and pushed, as those that nobody disturbed; as many runs as it takes to kill so often."""
    scene = Scene(live, "kills")
    scene.prepare()
    dice = chance(1)
    killed: Counter[str] = Counter()
    faults: list[str] = []
    runs = 0
    while sum(killed.values()) < kills:
        run = scene.start(f"killed-{runs}", no_cache=True)
        runs += 1
        killed += _kill(scene, run, dice, kills - sum(killed.values()))
        faults += scene.ended_well(run)
    told = ", ".join(f"{count} of {name}" for name, count in sorted(killed.items()))
    fault = f"`kill -9` at random moments of {runs} runs: {told}"
    return Outcome(fault, kills, 0 if faults else kills, "; ".join(faults) or _calm(scene))


def _kill(scene: Scene, run: str, dice: random.Random, most: int) -> Counter[str]:
    killed: Counter[str] = Counter()
    by_node: Counter[str] = Counter()
    while sum(killed.values()) < most:
        victim = _next(scene, run, dice, by_node)
        if victim is None:
            return killed
        time.sleep(dice.uniform(0.0, LONGEST_WAIT_S))
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it had ended by itself
        killed[victim.kind] += 1
        by_node[victim.node] += 1
        print(f"  {run} {sum(killed.values())}: {victim.kind} of {victim.node}", flush=True)
    return killed


def _next(scene: Scene, run: str, dice: random.Random, by_node: Counter[str]) -> Process | None:
    """Returns a process to kill, once there is one, or None where the run has ended."""
    while scene.live.state(scene.name, run) not in ENDED:
        found = [process for process in scene.processes() if by_node[process.node] < MOST_IN_ONE_NODE]
        kind = dice.choices(list(SHARES), list(SHARES.values()))[0]
        fitting = [process for process in found if process.kind == kind]
        if fitting:
            return dice.choice(fitting)
        time.sleep(0.5)
    return None


def _calm(scene: Scene) -> str:
    states: Counter[str] = sum(scene.executions().values(), Counter())
    valid = states["complete"] + states["cached"]
    return (
        f"every run blessed, versions {scene.versions()} pushed; {valid} valid executions, {states['failed']} closed as failed, none open"
    )
