"""A disk that fills up, and a node that hangs."""

import os
import signal
import subprocess
import time
from pathlib import Path

from benchmarks.faults.outcome import Outcome
from benchmarks.faults.scene import Scene, is_alive, new_model
from benchmarks.faults.scene import dice as chance
from tests.airflow.live import Live

TRIES = 2
TIMEOUT_MIN = 4
HANGING = ("ExampleGen", "Evaluator", "Pusher")


def full_disk(live: Live) -> Outcome:
    """Returns whether a run on a full disk fails with the cause in its log, and ends well once there is room and it is cleared."""
    disk = live.folder / "disk"
    disk.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(disk)], check=False).returncode != 0:
        return Outcome("disk full", 0, 0, "not tried: a small file system to fill needs the right to mount one")
    try:
        scene = Scene(live, "disk", place=disk / "shop", retries=1)
        scene.prepare()
        outcomes = [_fill(scene, disk, number) for number in range(TRIES)]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    faults = [fault for found in outcomes for fault in found]
    told = "; ".join(faults) or "the task's log says `no space left on the disk` and the cure; cleared with room again, blessed and pushed"
    return Outcome("disk full while the run is at work", TRIES, sum(not found for found in outcomes), told)


def _fill(scene: Scene, disk: Path, number: int) -> list[str]:
    run = scene.start(f"full-{number}", **new_model(number + 1))
    scene.wait_for_work(run)
    time.sleep(chance(number).uniform(5, 60))
    filler = disk / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    state = scene.end(run)
    found = [] if state == "failed" else [f"the run on a full disk ended {state}"]
    failed = [task for task, said in scene.live.instances(scene.name, run).items() if said["state"] == "failed"]
    logs = "\n".join(scene.live.log(scene.name, run, task, 2) for task in failed if task != "done")
    if "no space left" not in logs.lower():
        found.append(f"the log of {failed} does not name the cause: {logs[-500:]!r}")
    filler.unlink()
    scene.live.clear(scene.name, run, *failed, downstream=True)
    time.sleep(5)
    return found + [f"cleared: {fault}" for fault in scene.ended_well(run)]


def hanging_node(live: Live) -> Outcome:
    """Returns whether nodes that stand still are ended by their time-out, and the next attempt goes well."""
    scene = Scene(live, "hang", timeout_min=TIMEOUT_MIN, heavy_timeout_min=TIMEOUT_MIN)
    scene.prepare()
    run = scene.start("hang")
    faults: list[str] = []
    for node in HANGING:
        pid = scene.wait_for_work(run, node)
        if not pid:
            faults.append(f"{node} was not seen running")
            continue
        os.kill(pid, signal.SIGSTOP)
        print(f"  {node} stands still", flush=True)
        given_up = time.monotonic() + (TIMEOUT_MIN + 2) * 60
        while is_alive(pid) and time.monotonic() < given_up:
            time.sleep(1)
        if is_alive(pid):
            faults.append(f"{node}'s hanging process is still there")
            os.kill(pid, signal.SIGKILL)
    faults += scene.ended_well(run)
    told = "; ".join(faults) or f"each was ended by the time-out ({TIMEOUT_MIN} minutes); the next attempt went well"
    return Outcome(f"a node hangs (`kill -STOP`: {', '.join(HANGING)})", len(HANGING), 0 if faults else len(HANGING), told)
