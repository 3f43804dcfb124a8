"""A place that does not answer is told in time; what is merely not there is somebody else's to tell."""

import os
import threading
from pathlib import Path

import pytest

from tfx_retail import cli, storage
from tfx_retail.errors import RunError


def test_places_that_are_there_or_not_there_answer(tmp_path: Path) -> None:
    storage.check_answers({"root": str(tmp_path), "data.path": str(tmp_path / "none")})


def test_a_place_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(Path, "exists", lambda path: never.wait() if path.name == "away" else True)
    with pytest.raises(RunError, match=r"data\.path: .*/away does not answer within 0\.05 s; if it is a mount, its server is away"):
        storage.check_answers({"root": str(tmp_path), "data.path": str(tmp_path / "away")}, patience_s=0.05)
    never.set()


@pytest.mark.parametrize("error", [5, 107, 116])  # EIO, ENOTCONN, ESTALE
def test_a_mount_that_breaks_is_one_line(error: int, capsys: pytest.CaptureFixture[str]) -> None:
    def act() -> int:
        raise OSError(error, os.strerror(error), "/mnt/photos/1.jpg")

    assert cli._guarded(act) == cli.FAILED
    assert capsys.readouterr().err == (
        "error: the storage does not answer: look at its mount and its server, and run again (/mnt/photos/1.jpg)\n"
    )
