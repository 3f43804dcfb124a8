"""The worker pool, asked by Beam's own job server in Python: what it does there it does for Spark and Flink, without Java."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pytest

from tfx_retail import shipped
from tfx_retail.worker import facts, pool

# Beam's job server in Python leaves its channels to the collector, and lets the thread of a failed job end with the failure.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


class Served(NamedTuple):
    address: str
    folder: Path  # of packages that arrived


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = tmp_path_factory.mktemp("arrived")
    server, started = pool.serve(address, folder)
    yield Served(address, folder)
    started.close()
    server.stop(0).wait()


# Text for `eval`, not a function of this module: workers have no tests.
WHERE = "__import__('pathlib').Path({target!r}).write_text(str(__import__('os').getpid()) + ' ' + __import__('tfx_retail').__file__)"


def done(served: Served, package: Path | None, target: Path) -> str:
    """Returns what one job writes that asks the pool for a worker."""
    arguments = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL", f"--environment_config={served.address}"]
    arguments += [f"--extra_package={package}"] if package else []
    with beam.Pipeline(argv=arguments) as pipeline:
        _ = pipeline | beam.Create([WHERE.format(target=str(target))]) | beam.Map(eval)
    return target.read_text(encoding="utf-8")


def test_workers_take_the_package_that_came_with_the_job_and_stay_for_the_next(served: Served, tmp_path: Path) -> None:
    package = shipped.keep(tmp_path, [tmp_path])
    first, second = (done(served, package, tmp_path / name) for name in ("first", "second"))
    assert first == second
    assert first.partition(" ")[2].startswith(str(served.folder / package.name.partition("-")[0]))


def test_a_worker_that_was_killed_has_a_successor(served: Served, tmp_path: Path) -> None:
    package = shipped.keep(tmp_path, [tmp_path])
    killed = int(done(served, package, tmp_path / "first").split()[0])
    os.kill(killed, signal.SIGKILL)
    assert int(done(served, package, tmp_path / "second").split()[0]) != killed


def test_a_worker_that_dies_before_its_runner_knows_of_it_has_a_successor_too(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = pool._Process.begin, []

    def begin_and_die(process: pool._Process, *job: Any) -> None:
        begun.append(process)
        if len(begun) == 1:
            os.kill(process._child.pid, signal.SIGSTOP)  # it can read nothing any more
        begin(process, *job)
        if len(begun) == 1:
            os.kill(process._child.pid, signal.SIGKILL)

    monkeypatch.setattr(pool._Process, "begin", begin_and_die)
    assert done(served, shipped.keep(tmp_path, [tmp_path]), tmp_path / "first")
    assert len(begun) == 2


def test_a_machine_that_differs_refuses_the_job_and_says_in_what(served: Served, tmp_path: Path) -> None:
    package = shipped.keep(tmp_path, [tmp_path / "only here"])
    with pytest.raises(RuntimeError, match=f"{facts.REFUSES} .* cannot do this job: it does not see {tmp_path}/only here"):
        done(served, package, tmp_path / "never")


def test_a_job_without_the_package_is_refused(served: Served, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the job brought no package of tfx-retail"):
        done(served, None, tmp_path / "never")
