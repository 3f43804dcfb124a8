"""Facts of runs on disk: whole, found again, and true about runs whose process died."""

import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tfx_retail.errors import RunError
from tfx_retail.runs import (
    NodeFacts,
    RunFacts,
    Workspace,
    exclusive,
    find_run,
    list_runs,
    new_run_id,
    write_atomically,
    write_run,
)


def facts(run_id: str, **values: object) -> RunFacts:
    return RunFacts(run_id=run_id, pipeline="shop", started="2026-11-21T10:00:00+00:00", **values)  # type: ignore[arg-type]


def test_a_run_id_sorts_by_time_and_is_fit_for_a_folder() -> None:
    assert new_run_id(datetime(2026, 11, 21, 10, 5, 7, 123456, timezone.utc)) == "20261121T100507.123Z"


def test_runs_are_listed_oldest_first_and_found_by_id(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    for run_id in ("b", "a"):
        write_run(place, facts(run_id, state="done", nodes=[NodeFacts(node="ExampleGen", state="ran", seconds=1.5)]))
    assert [run.run_id for run in list_runs(place)] == ["a", "b"]
    assert find_run(place, "a").nodes[0].seconds == 1.5
    assert find_run(place, None).run_id == "b"


def test_an_unknown_run_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    write_run(Workspace(tmp_path), facts("a", state="done"))
    with pytest.raises(RunError, match="no run 'c'; the latest ones are a"):
        find_run(Workspace(tmp_path), "c")
    with pytest.raises(RunError, match="no run yet"):
        find_run(Workspace(tmp_path / "empty"), None)


def test_a_run_whose_process_died_is_told_as_interrupted(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_run(Workspace(tmp_path), facts("a", pid=dead.pid, nodes=[NodeFacts(node="Trainer", state="running")]))
    (run,) = list_runs(Workspace(tmp_path))
    assert run.state == "interrupted"
    assert run.nodes[0].state == "interrupted"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.json"
    write_atomically(target, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert target.read_bytes() == b"old"


HOLDER = """
import sys
from pathlib import Path
from tfx_retail.runs import Workspace, exclusive
with exclusive(Workspace(Path(sys.argv[1])), lambda pid: print("waits for", pid, flush=True)):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.mark.long
def test_a_second_run_waits_for_the_first_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "holds\n"
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout is not None and second.stdout.readline() == f"waits for {first.pid}\n"
            first.kill()
            assert second.stdout.readline() == "holds\n"
            assert second.stdin is not None
            second.stdin.close()
    waited: list[str] = []
    with exclusive(Workspace(tmp_path), waited.append):
        pass
    assert waited == []
