"""The scheduler killed, PostgreSQL crashed, while a run is at work."""

import os
import random
import signal
import time

from benchmarks.faults.outcome import Outcome
from benchmarks.faults.scene import Scene
from benchmarks.faults.scene import dice as chance
from tests.airflow.live import ENDED, Live

TRIES = 3


def scheduler_killed(live: Live) -> Outcome:
    """Returns whether runs end well though the scheduler was killed in each, every second time with all of its workers."""
    dice = chance(2)
    scene = Scene(live, "scheduler", retries=10)
    scene.prepare()

    def strike(number: int) -> None:
        pid = live.pid("scheduler")
        kill = os.killpg if number % 2 else os.kill
        kill(pid, signal.SIGKILL)
        time.sleep(dice.uniform(0, 10))
        live.up()

    return _each("scheduler killed (every second time with its workers), started again", scene, dice, strike)


def database_crashed(live: Live) -> Outcome:
    """Returns whether runs end well though PostgreSQL, for Airflow and the metadata store, was shut down at once in each."""
    dice = chance(3)
    scene = Scene(live, "postgres", retries=10)
    scene.prepare()

    def strike(_number: int) -> None:
        pid = int((live.folder / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)  # its immediate shutdown: no checkpoint, recovery at the next start
        time.sleep(dice.uniform(1, 10))
        live.up()  # Airflow's services that ended with it are started again too, as any supervisor would

    return _each("PostgreSQL shut down without a checkpoint, started again", scene, dice, strike)


def _each(title: str, scene: Scene, dice: random.Random, strike: object) -> Outcome:
    assert callable(strike)
    faults: list[str] = []
    held = 0
    for number in range(TRIES):
        run = scene.start(f"{scene.name}-{number}", no_cache=True)
        _wait_for_work(scene, run)
        time.sleep(dice.uniform(0, 60))
        strike(number)
        state = scene.end(run)
        found = scene.faults(versions=number + 1)
        if state != "success":
            found.append(f"run {number + 1} ended {state}")
        held += not found
        faults += found
    return Outcome(title, TRIES, held, "; ".join(faults) or f"every run blessed, versions 1 to {TRIES} pushed")


def _wait_for_work(scene: Scene, run: str) -> None:
    while not scene.processes() and scene.live.state(scene.name, run) not in ENDED:
        time.sleep(0.5)
