"""The second shape of a deployment: CeleryExecutor with Redis and two workers, of which one dies."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults.__main__ import IMPATIENT
from benchmarks.faults.scene import parent
from tests.airflow.live import Live, started
from tests.airflow.stub import Stub, until

WORKERS = ("worker-1", "worker-2")


@pytest.fixture(scope="module")
def celery(major: int, folder: Path) -> Iterator[Live]:
    """A deployment of its own, beside the one of the other tests."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    yield from started(folder / "celery", major, "--celery", **IMPATIENT)


def test_both_workers_take_tasks(celery: Live) -> None:
    plan = {task: {"seconds": 10} for task in ("configure", "ExampleGen", "Labels")}
    Stub(celery, "stub_shared", plan, retries=0, max_active_runs=3, heavy_pool=None)
    runs = [celery.trigger("stub_shared", f"run-{number}") for number in range(3)]
    assert [celery.wait("stub_shared", run) for run in runs] == ["success"] * 3
    assert {worker: "succeeded in" in log_of(celery, worker) for worker in WORKERS} == dict.fromkeys(WORKERS, True)


def test_a_worker_that_dies_with_its_task_costs_a_try_and_not_the_run(celery: Live) -> None:
    stub = Stub(celery, "stub_orphan", {"Trainer": {"seconds": 40}}, retries=3)
    celery.trigger("stub_orphan", "run")
    until(lambda: stub.calls("Trainer"), "Trainer at work")
    (call,) = stub.calls("Trainer")
    os.killpg(worker_of(celery, call["pid"]), signal.SIGKILL)
    celery.up()
    assert celery.wait("stub_orphan", "run") == "success"


def worker_of(live: Live, pid: int) -> int:
    """Returns the worker that a process descends from."""
    workers = {live.pid(worker) for worker in WORKERS}
    while pid not in workers:
        pid = parent(pid)
        assert pid > 1, "no worker is an ancestor of the command"
    return pid


def log_of(live: Live, worker: str) -> str:
    return (live.folder / "logs" / f"{worker}.log").read_text()
