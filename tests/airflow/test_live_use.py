"""Retry, Clear, mark failed, pools, catch-up, backfill, deadlines, alerts: each as an Airflow user expects, on one that runs."""

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from benchmarks.faults.scene import is_alive
from tests.airflow.live import Live
from tests.airflow.stub import Stub, overlap, until


def test_a_retry_keeps_the_generation_and_a_clear_gives_another(live: Live) -> None:
    stub = Stub(live, "stub_retry", {"Trainer": {"codes": [1, 0, 1, 0]}}, retries=1)
    live.trigger("stub_retry", "run")
    assert live.wait("stub_retry", "run") == "success"
    live.clear("stub_retry", "run", "Trainer")
    until(lambda: len(stub.calls("Trainer")) == 4, "four tries of Trainer")
    assert live.wait("stub_retry", "run") == "success"
    first, retried, cleared, retried_again = (call["generation"] for call in stub.calls("Trainer"))
    assert first == retried == "0"
    assert cleared == retried_again != "0"


def test_a_task_that_is_marked_failed_takes_its_command_with_it_and_is_not_tried_again(live: Live) -> None:
    stub = Stub(live, "stub_mark", {"Trainer": {"seconds": 900}}, retries=3)
    live.trigger("stub_mark", "run")
    until(lambda: stub.calls("Trainer"), "Trainer at work")
    live.mark("stub_mark", "run", "Trainer", "failed")
    (call,) = stub.calls("Trainer")
    until(lambda: not is_alive(call["pid"]), "its command gone")
    assert live.wait("stub_mark", "run") == "failed"
    tasks = live.tasks("stub_mark", "run")
    assert (tasks["Pusher"], tasks["Report"], tasks["done"]) == ("upstream_failed", "success", "upstream_failed")
    assert len(stub.calls("Trainer")) == 1


def test_heavy_nodes_of_two_runs_share_the_pools_one_slot(live: Live) -> None:
    plan = {task: {"seconds": 4} for task in ("ExampleGen", "Trainer")}
    stub = Stub(live, "stub_pool", plan, retries=0, max_active_runs=2)
    runs = [live.trigger("stub_pool", f"run-{number}") for number in range(2)]
    assert [live.wait("stub_pool", run) for run in runs] == ["success", "success"]
    heavy = stub.ends("ExampleGen") + stub.ends("Trainer")
    assert len(heavy) == 4 and not overlap(heavy)
    assert overlap(spans(stub))


def test_a_schedule_starts_runs_by_itself_and_misses_none_that_are_due(live: Live) -> None:
    stub = Stub(live, "stub_clock", {}, retries=0, schedule="* * * * *", start="2026-01-01")
    until(lambda: len(stub.ends("Report")) >= 2, "two reports")
    live.pause("stub_clock")
    assert {run["run_type"] for run in live.runs("stub_clock")} == {"scheduled"}
    assert len(live.runs("stub_clock")) < 10  # not those of all minutes since the start: catchup is off


def test_catching_up_makes_a_run_for_each_day_that_was_missed_one_at_a_time(live: Live) -> None:
    start = datetime.now(timezone.utc) - timedelta(days=3, hours=1)
    stub = Stub(live, "stub_days", {}, retries=0, schedule="@daily", catchup=True, start=f"{start:%Y-%m-%d}")
    until(lambda: len(stub.ends("Report")) == 3, "three reports", timeout_s=1200)
    until(lambda: {run["state"] for run in live.runs("stub_days")} == {"success"}, "three runs over")
    assert [run["run_type"] for run in live.runs("stub_days")] == ["scheduled"] * 3
    assert not overlap(spans(stub))


def test_a_backfill_makes_the_runs_of_its_dates(live: Live) -> None:
    stub = Stub(live, "stub_back", {}, retries=0, schedule="@daily", start="2026-01-01")
    live.backfill("stub_back", "2026-01-01", "2026-01-02")
    until(lambda: len(backfilled(live)) == 2 and {run["state"] for run in backfilled(live)} == {"success"}, "two runs over")
    reports = [call["run"] for call in stub.ends("Report")]
    assert all(run["dag_run_id"] in reports for run in backfilled(live))


def test_a_failure_is_told_once_after_the_last_try(live: Live, posted: tuple[str, list[dict[str, Any]]]) -> None:
    hook, received = posted
    stub = Stub(live, "stub_fail", {"Trainer": {"codes": [1], "facts": {"error": "no space left on the disk"}}}, hook, retries=1)
    live.trigger("stub_fail", "run")
    assert live.wait("stub_fail", "run") == "failed"
    until(lambda: received, "a message")
    time.sleep(10)  # time for a second one
    (text,) = (item["text"] for item in received)
    assert text.splitlines()[0] == "stub_fail: Trainer failed"
    assert "no space left on the disk" in text and "run run" in text and "http://" in text
    assert len(stub.calls("Trainer")) == 2


def test_drift_and_a_refused_model_are_told(live: Live, posted: tuple[str, list[dict[str, Any]]]) -> None:
    hook, received = posted
    why = "not blessed: look accuracy 0.5 < 0.9"
    plan = {"DataGate": {"facts": {"anomalies": 2}}, "Pusher": {"codes": [99], "facts": {"why": why}}}
    Stub(live, "stub_told", plan, hook, retries=0)
    live.trigger("stub_told", "run")
    assert live.wait("stub_told", "run") == "success"
    assert live.tasks("stub_told", "run")["Pusher"] == "skipped"
    until(lambda: len(received) == 2, "two messages")
    drifted, refused = (item["text"].splitlines() for item in received)
    assert drifted[0] == "stub_told: DataGate found drifted data"
    assert refused[:2] == ["stub_told: Pusher skipped: not blessed", why]


def test_a_run_that_passes_its_deadline_is_told_while_it_goes_on(live: Live, posted: tuple[str, list[dict[str, Any]]]) -> None:
    if live.major == 2:
        pytest.skip("2.11 has SLAs of scheduled runs instead: their arguments are tested in test_dag.py")
    hook, received = posted
    Stub(live, "stub_late", {"Trainer": {"seconds": 120}}, hook, retries=0, deadline_min=1)
    live.trigger("stub_late", "run")
    until(lambda: received, "a message")
    assert [item["text"].splitlines()[0] for item in received] == ["stub_late: run is late: it has not ended by its deadline"]
    assert live.state("stub_late", "run") == "running"
    assert live.wait("stub_late", "run") == "success"


def spans(stub: Stub) -> list[dict[str, Any]]:
    """Returns when each run began and ended."""
    runs = {call["run"] for call in stub.ends()}
    return [
        {
            "begun": min(call["begun"] for call in stub.ends() if call["run"] == run),
            "ended": max(call["ended"] for call in stub.ends() if call["run"] == run),
        }
        for run in runs
    ]


def backfilled(live: Live) -> list[dict[str, Any]]:
    return [run for run in live.runs("stub_back") if run["run_type"] == "backfill"]
