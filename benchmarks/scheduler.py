"""What Airflow adds to a run: the sample pipeline by `tfx-retail run`, by a live Airflow, and as tasks of the same shape that do nothing.

`python -m benchmarks.scheduler [--airflow 2|3]`. The goal: Airflow's run takes at most 1.5 times the local one plus the empty one.
On a machine that is busy with other work wall times tell little; the CPU time of our own commands is there for that.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.measure import measure
from tests.airflow.live import REPO, Live
from tfx_retail import config_file, starting

TFX_RETAIL = os.environ.get("TFX_RETAIL_COMMAND", str(REPO / ".venv" / "bin" / "tfx-retail"))
CONFIG = REPO / "configs" / "sample.yaml"
_EMPTY = """
from tfx_retail.airflow import Host, dag
made = dag({file!r}, environment=Host(command="/bin/true"))
"""
# Adds the CPU seconds of each call, user and system, to a log.
_TIMED = """#!/bin/bash
TIMEFORMAT='%U %S'
{{ time {command} "$@" 2>&3; }} 3>&2 2>> {log}
"""


def main() -> None:
    """Prints the times of the three and whether the goal is met."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.scheduler")
    words.add_argument("--airflow", type=int, choices=(2, 3), default=3)
    major = words.parse_args().airflow
    starting.draw_sample(config_file.load(CONFIG))
    with tempfile.TemporaryDirectory() as folder:
        local_s, local_cpu_s = _local(Path(folder))
    place = REPO / ".cache" / "bench" / "scheduler"
    live = Live(place, major, {"TFX_RETAIL_COMMAND": str(place / str(major) / "tfx-retail")})
    live.forget()
    dags = live.folder / "dags"
    dags.mkdir(parents=True)
    calls = _time_calls(live.folder)
    shutil.copy(REPO / "dags" / "retail.py", dags)
    try:
        live.up("--dags", str(dags))
        _add_empty(live, dags)
        empty_s = _run(live, "empty")
        compiling_cpu_s = _cpu_s(calls)
        real_s = _run(live, "sample")
        real_cpu_s = _cpu_s(calls) - compiling_cpu_s
    finally:
        live.down()
    allowed_s = 1.5 * local_s + empty_s
    print("| | tfx-retail run | Airflow, empty tasks | Airflow | allowed |\n| --- | ---: | ---: | ---: | ---: |")
    print(f"| wall | {local_s:.0f} s | {empty_s:.0f} s | {real_s:.0f} s | {allowed_s:.0f} s |")
    print(f"| CPU of our commands | {local_cpu_s:.0f} s | 0 s | {real_cpu_s:.0f} s | |")
    print("met" if real_s <= allowed_s else "not met")


def _local(folder: Path) -> tuple[float, float]:
    call = [TFX_RETAIL, "run", str(CONFIG), "--set", f"root={folder}/output", "--set", f"serving.dir={folder}/served"]
    cost = measure(call, log=folder / "log")
    if cost.exit_code:
        raise SystemExit((folder / "log").read_text())
    return cost.wall_s, cost.cpu_s


def _time_calls(folder: Path) -> Path:
    """Puts a command into `folder` that notes what each call costs, and returns the file of its notes."""
    command, log = folder / "tfx-retail", folder / "calls"
    log.touch()
    command.write_text(_TIMED.format(command=TFX_RETAIL, log=log))
    command.chmod(0o755)
    return log


def _cpu_s(calls: Path) -> float:
    return sum(float(number) for number in calls.read_text().split())


def _add_empty(live: Live, dags: Path) -> None:
    """Adds a DAG of the sample's shape whose tasks call `true`; its pipeline lies where the other DAG file does not look."""
    file = live.folder / "empty.json"
    subprocess.run([TFX_RETAIL, "compile", str(CONFIG), "--set", "name=empty", "-o", str(file)], check=True, timeout=600)
    (dags / "empty.py").write_text(_EMPTY.format(file=str(file)))


def _run(live: Live, dag: str) -> float:
    live.wait_for_dag(dag)
    live.trigger(dag, "timed")
    state = live.wait(dag, "timed", timeout_s=3600)
    if state != "success":
        raise SystemExit(f"the run of {dag} ended {state}: {live.tasks(dag, 'timed')}")
    facts = live.ask("GET", f"dags/{dag}/dagRuns/timed")
    return _seconds(facts["end_date"]) - _seconds(facts["start_date"])


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    main()
