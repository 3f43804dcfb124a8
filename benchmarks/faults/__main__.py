"""Faults on a live Airflow, scripted and counted: `python -m benchmarks.faults [--airflow 2|3] [FAULT...]`. About an hour for all."""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.faults import kills, refusals, resources, runs, servers
from benchmarks.faults.outcome import Outcome, table
from benchmarks.faults.scene import Scene
from tests.airflow.live import REPO, Live

# Those of one pipeline share it: its data nodes run once, then each run trains a model of its own.
ON_ONE_PIPELINE = {
    "scheduler": servers.scheduler_killed,
    "worker": servers.worker_killed,
    "database": servers.database_crashed,
    "same-run": runs.same_run_id_twice,
    "two-runs": runs.two_runs_at_once,
    "refused": refusals.unblessed_model,
}
ON_THEIR_OWN: dict[str, Callable[[Live], Outcome]] = {
    "kills": kills.random_kills,
    "disk": resources.full_disk,
    "hang": resources.hanging_node,
}
FAULTS = ON_THEIR_OWN.keys() | ON_ONE_PIPELINE.keys()
# A dead worker is noticed after 20 s here; Airflow's default of five minutes would make this an afternoon.
IMPATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "20",
    "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "5",
}


def main() -> int:
    """Runs the faults that were asked for, prints their table, and keeps it."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    words.add_argument("--airflow", type=int, choices=(2, 3), default=3)
    words.add_argument("--folder", type=Path, default=REPO / ".cache" / "faults")
    words.add_argument("--celery", action="store_true", help="two workers of Celery instead of LocalExecutor")
    words.add_argument("--kills", type=int, default=kills.KILLS, metavar="N", help="how often `kills` strikes")
    words.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(sorted(FAULTS)))
    given = words.parse_args()
    unknown = set(given.faults) - FAULTS
    if unknown:
        words.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(sorted(FAULTS))}")
    live = Live(given.folder, given.airflow, IMPATIENT)
    outcomes: list[Outcome] = []
    on_their_own: dict[str, Callable[[Live], Outcome]] = {**ON_THEIR_OWN, "kills": partial(kills.random_kills, kills=given.kills)}
    live.forget()
    try:
        live.up(*(["--celery"] if given.celery else []))
        shop = Scene(live, "shop")
        if not given.faults or set(given.faults) & ON_ONE_PIPELINE.keys():
            shop.prepare()
        for name in given.faults or sorted(FAULTS):
            begun = time.monotonic()
            outcomes.append(ON_ONE_PIPELINE[name](shop) if name in ON_ONE_PIPELINE else on_their_own[name](live))
            print(f"{name}: {outcomes[-1]} ({time.monotonic() - begun:.0f} s)", flush=True)
    finally:
        live.down()
    print(table(outcomes))
    (given.folder / f"airflow-{given.airflow}.json").write_text(json.dumps([vars(outcome) for outcome in outcomes], indent=1))
    return 0 if all(outcome.held == outcome.tries for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
