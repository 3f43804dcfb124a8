"""The scheduler killed, PostgreSQL crashed, while a run is at work."""

import os
import random
import signal
import time
from collections.abc import Callable

from benchmarks.faults.outcome import Outcome
from benchmarks.faults.scene import Scene, new_model
from benchmarks.faults.scene import dice as chance
from tests.airflow.live import ENDED

TRIES = 3  # of each, over as many runs as it takes


def scheduler_killed(scene: Scene) -> Outcome:
    """Returns whether runs end well though the scheduler was killed again and again, every second time with all of its workers."""
    dice = chance(2)

    def strike(number: int) -> None:
        pid = scene.live.pid("scheduler")
        kill = os.killpg if number % 2 else os.kill
        kill(pid, signal.SIGKILL)
        time.sleep(dice.uniform(0, 10))
        scene.live.up()

    return _each("scheduler killed (every second time with its workers), started again", "scheduler", scene, dice, strike)


def worker_killed(scene: Scene) -> Outcome:
    """Returns whether runs end well though one of Celery's two workers was killed with its tasks, again and again."""
    dice = chance(5)

    def strike(number: int) -> None:
        os.killpg(scene.live.pid(f"worker-{number % 2 + 1}"), signal.SIGKILL)
        time.sleep(dice.uniform(0, 10))
        scene.live.up()

    if not (scene.live.folder / "run" / "worker-1.pid").exists():
        return Outcome("Celery's worker killed", 0, 0, "not tried: there are no such workers with LocalExecutor (--celery)")
    return _each("one of Celery's two workers killed with its tasks, started again", "worker", scene, dice, strike)


def database_crashed(scene: Scene) -> Outcome:
    """Returns whether runs end well though PostgreSQL, for Airflow and the metadata store, was shut down at once again and again."""
    dice = chance(3)

    def strike(_number: int) -> None:
        pid = int((scene.live.folder / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)  # its immediate shutdown: no checkpoint, recovery at the next start
        time.sleep(dice.uniform(1, 10))
        scene.live.up()  # Airflow's services that ended with it are started again too, as any supervisor would

    return _each("PostgreSQL shut down without a checkpoint, started again", "postgres", scene, dice, strike)


def _each(title: str, name: str, scene: Scene, dice: random.Random, strike: Callable[[int], None]) -> Outcome:
    faults: list[str] = []
    struck = runs = 0
    while struck < TRIES:
        run = scene.start(f"{name}-{runs}", **new_model(40 + runs))
        while struck < TRIES and scene.wait_for_work(run):
            time.sleep(dice.uniform(0, 40))
            if scene.live.state(scene.name, run) in ENDED:
                break
            strike(struck)
            struck += 1
            print(f"  {run}: {struck}", flush=True)
            time.sleep(dice.uniform(20, 60))
        faults += scene.ended_well(run)
        runs += 1
    return Outcome(f"{title}; {runs} runs", TRIES, 0 if faults else TRIES, "; ".join(faults) or "every run blessed and pushed")
