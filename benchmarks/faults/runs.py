"""One run id given twice, and runs at once with one serving folder."""

import json
import subprocess
import urllib.error

from benchmarks.faults.outcome import Outcome
from benchmarks.faults.refusals import TOO_STRICT
from benchmarks.faults.scene import Scene, new_model

BY_HAND = ("Trainer", "Evaluator", "Pusher")


def same_run_id_twice(scene: Scene) -> Outcome:
    """Returns whether a run id that is given again starts nothing, and two processes at one node of one run do its work once."""
    run = scene.start("twice", **new_model(20))
    faults = [] if _is_refused(scene, run) else ["a second run of the same id was taken"]
    faults += _twice_at_once(scene, run)
    faults += scene.ended_well(run)
    tries = 1 + len(BY_HAND)
    told = "; ".join(faults) or "the second trigger is refused (409); of two processes one works, the other takes its result"
    fault = f"one run id twice: triggered again, and {', '.join(BY_HAND)} started by hand beside the scheduler"
    return Outcome(fault, tries, 0 if faults else tries, told)


def _is_refused(scene: Scene, run: str) -> bool:
    try:
        scene.start(run)
    except (AssertionError, urllib.error.HTTPError) as error:
        return "409" in str(error)
    return False


def _twice_at_once(scene: Scene, run: str) -> list[str]:
    """Starts a node by hand, as often as the scheduler does, while the scheduler's own process is at work on it."""
    given = scene.live.settings()
    faults: list[str] = []
    for node in BY_HAND:
        if not scene.wait_for_work(run, node):
            faults.append(f"{node} was not seen running")
            continue
        file = f"{given['TFX_RETAIL_PIPELINES']}/{scene.name}.json"
        call = [given["TFX_RETAIL_COMMAND"], "run-node", file, node, "--run-id", run, "--generation", "0"]
        done = subprocess.run(call, env={"PATH": "/usr/bin:/bin", **given}, capture_output=True, text=True, timeout=900, check=False)
        said = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
        if done.returncode != 0 or said.get("state") not in ("ran", "cached"):
            faults.append(f"{node} by hand: exit {done.returncode}, {done.stdout[-300:]}")
    return faults


def two_runs_at_once(scene: Scene) -> Outcome:
    """Returns whether different trainings side by side push a version each, both whole, and a refused one beside them none."""
    before = set(scene.versions())
    runs = [scene.start(f"pair-{side}", **new_model(30 + side)) for side in range(2)]
    refused = scene.start("pair-refused", settings=TOO_STRICT)  # at work when the first of the pair has ended
    faults = [] if scene.end(refused) == "success" and scene.live.tasks(scene.name, refused)["Pusher"] == "skipped" else ["not refused"]
    faults += scene.ended_well(*runs)
    seeds = sorted(scene.manifest(version)["config"]["train"]["seed"] for version in set(scene.versions()) - before)
    faults += [] if seeds == [30, 31] else [f"versions hold seeds {seeds}"]
    told = "; ".join(faults) or "two versions, each whole and of its own run; none of the refused model, its Pusher skipped"
    fault = "runs of different seeds at once, two at a time, one of three refused; one serving folder"
    return Outcome(fault, 3, 0 if faults else 3, told)
