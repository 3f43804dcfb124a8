"""A DAG whose tasks call a command that only notes that it was called: what Airflow itself does with our DAGs, without TFX's minutes."""

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.airflow.live import Live
from tests.airflow.pipelines import write

_DAG = """
from tfx_retail.airflow import Host, dag
from tfx_retail.airflow.alerts import Webhook

made = dag({file!r}, environment=Host(command={command!r}), notify=[Webhook(url={hook!r})] if {hook!r} else [])
"""
_COMMAND = """#!{python} -ESs
import fcntl, json, os, pathlib, sys, time

place, task, run = pathlib.Path({place!r}), sys.argv[3], os.environ["TFX_RETAIL_RUN_ID"]
plan = json.loads((place / "plan.json").read_bytes()).get(task, {{}})
note = {{"task": task, "run": run, "generation": os.environ["TFX_RETAIL_GENERATION"], "pid": os.getpid(), "begun": time.time()}}
note["parameters"] = os.environ.get("TFX_RETAIL_PARAMS")
with open(place / "calls", "a+") as calls:
    fcntl.flock(calls, fcntl.LOCK_EX)
    calls.seek(0)
    earlier = sum(call["task"] == task and call["run"] == run for call in map(json.loads, calls))
    calls.write(json.dumps(note) + "\\n")
time.sleep(plan.get("seconds", 0))
with open(place / "ends", "a") as ends:
    ends.write(json.dumps(note | {{"ended": time.time()}}) + "\\n")
print(json.dumps(plan.get("facts", {{}})))
codes = plan.get("codes", [0])
sys.exit(codes[min(earlier, len(codes) - 1)])
"""


class Stub:
    """One such DAG of a live Airflow.

    Args of its constructor:
      plan: by task: `seconds` that it takes, `facts` that it hands over, exit `codes` of its tries in one run; the last one stays.
      hook: where alerts are posted.
      airflow: the section of the configuration.
    """

    def __init__(self, live: Live, name: str, plan: dict[str, Any], hook: str = "", **airflow: Any) -> None:
        self.live = live
        self.name = name
        self._place = live.folder / "stubs" / name
        self._place.mkdir(parents=True)
        (self._place / "plan.json").write_text(json.dumps(plan))
        command = self._place / "tfx-retail"
        command.write_text(_COMMAND.format(python=sys.executable, place=str(self._place)))
        command.chmod(0o755)
        settings: dict[str, Any] = {"retry_delay_s": 1, **airflow}
        file = write(self._place, name, **settings)
        (live.folder / "dags" / f"{name}.py").write_text(_DAG.format(file=str(file), command=str(command), hook=hook))
        live.wait_for_dag(name)

    def calls(self, task: str = "") -> list[dict[str, Any]]:
        """Returns how the command was called, in order; of one task if it is given."""
        return [call for call in _lines(self._place / "calls") if task in ("", call["task"])]

    def ends(self, task: str = "") -> list[dict[str, Any]]:
        """Returns the calls that came to their end."""
        return [call for call in _lines(self._place / "ends") if task in ("", call["task"])]


def until(true: Callable[[], object], what: str, timeout_s: float = 600) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.5)


def overlap(calls: list[dict[str, Any]]) -> bool:
    """Tells whether two calls were at work at one time."""
    spans = sorted((call["begun"], call["ended"]) for call in calls)
    return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
