"""A fresh process asks the exported model; whatever becomes of that process is a result."""

import json
import os
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from tfx.types.standard_artifacts import Model

from tfx_retail import fresh
from tfx_retail.components import artifacts
from tfx_retail.components.infra_check import InfraCheck
from tfx_retail.fresh import probe
from tfx_retail.verdict import InfraResult

SAYS_NOTHING = "import json, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(json.dumps([]))"
SAYS_TWO = "import json, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(json.dumps(['embed: shape', input()]))"


@pytest.fixture
def exported(trained: Path, tmp_path: Path) -> Path:
    """A copy of a trained model, as a Model artifact has it."""
    shutil.copytree(trained / "model", tmp_path / "model" / "Format-Serving")
    return tmp_path / "model"


def test_the_trainers_answers_come_back_from_a_fresh_process(exported: Path, tmp_path: Path) -> None:
    given, made = Model(), artifacts.InfraCheck()
    given.uri, made.uri = str(exported), str(tmp_path / "check")
    InfraCheck.test_call(model=given, check=made, code="0", timeout_s=600)
    result = msgspec.json.decode((tmp_path / "check" / "infra_check.json").read_bytes(), type=InfraResult)
    assert result.passed, result.reason
    assert (result.reason, result.differences) == ("", [])


def test_a_model_that_answers_otherwise_than_in_training_is_told_apart(exported: Path) -> None:
    golden = exported / "Format-Serving" / "assets.extra" / "golden" / "golden.json"
    kept = json.loads(golden.read_text(encoding="utf-8"))
    kept["answers"]["serving_default"]["unknown_score"][0] += 0.01
    golden.write_text(json.dumps(kept), encoding="utf-8")
    result = probe(exported / "Format-Serving", timeout_s=600)
    assert not result.passed
    assert result.differences == ["serving_default: unknown_score: differs by 0.01, allowed 0.0001"]
    assert result.reason == result.differences[0]


def test_a_process_that_was_started_before_there_was_a_model_is_the_one_that_is_asked(exported: Path) -> None:
    fresh.start_early()
    (early,) = fresh._early
    assert probe(exported / "Format-Serving", timeout_s=600).passed
    assert (fresh._early, early.process.returncode) == ([], 0)


def test_a_process_that_nobody_asks_is_ended() -> None:
    fresh.start_early()
    (early,) = fresh._early
    fresh.forget_early()
    assert (fresh._early, early.process.returncode) == ([], -signal.SIGKILL)


def test_silence_within_the_limit_is_a_pass(tmp_path: Path) -> None:
    result = probe(tmp_path, timeout_s=60, program=SAYS_NOTHING)
    assert (result.passed, result.reason) == (True, "")


def test_the_first_difference_stands_for_all(tmp_path: Path) -> None:
    result = probe(tmp_path, timeout_s=60, program=SAYS_TWO)
    assert (result.passed, result.reason) == (False, "embed: shape (and 1 more)")
    assert result.differences == ["embed: shape", str(tmp_path)]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the process that loaded the model crashed (SIGSEGV)"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "the process that loaded the model was killed (SIGKILL), as the system does when memory runs out",
        ),
        ("raise ValueError('no graph')", "the model could not be asked: ValueError: no graph"),
        ("import sys; sys.exit(3)", "the model could not be asked: exit code 3"),
        ("import sys; sys.stdout.write('done')", "the model could not be asked: it gave no answer"),
    ],
)
def test_a_process_that_dies_is_a_failed_check_with_its_reason(tmp_path: Path, program: str, reason: str) -> None:
    result = probe(tmp_path, timeout_s=60, program=program)
    assert (result.passed, result.reason) == (False, reason)


def test_a_process_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"""
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
pathlib.Path({str(pid)!r}).write_text(str(child.pid))
child.wait()
"""
    result = probe(tmp_path, timeout_s=3, program=program)
    assert (result.passed, result.reason) == (False, "the model did not answer within 3 s")
    with suppress(ProcessLookupError):  # it is gone already
        ended = os.pidfd_open(int(pid.read_text()))
        assert select.select([ended], [], [], 60)[0] == [ended]  # a signal takes effect when the process next gets a core


def test_a_folder_without_a_model_is_a_failed_check(tmp_path: Path) -> None:
    (tmp_path / "assets.extra").mkdir()
    result = probe(tmp_path, timeout_s=600)
    assert not result.passed
    assert "golden.json: is missing" in result.reason
