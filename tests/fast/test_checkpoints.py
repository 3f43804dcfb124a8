"""A training's state is on disk whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from tfx_retail import checkpoints
from tfx_retail.checkpoints import Progress, State

PROGRESS = Progress(
    epoch=2, step=8, history=({"epoch": 1, "loss": 1.5}, {"epoch": 2, "loss": 1.25}), best_epoch=1, best_loss=0.5, seconds=3.0
)


def state(value: float) -> State:
    arrays = [np.full((2, 3), value + i, np.float32) for i in range(12)]  # twelve: names sort 1, 10, 11, 2
    return State(PROGRESS, arrays, arrays[:1])


def test_a_saved_state_is_read_back_in_order(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "new", state(0.0))
    found = checkpoints.load(tmp_path / "new")
    assert found is not None
    assert found.progress == PROGRESS
    assert [array[0, 0] for array in found.variables] == list(range(12))
    assert len(found.best) == 1


def test_a_folder_without_state_has_none(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path / "missing") is None


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, state(0.0))
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(tmp_path, State(PROGRESS, [_Unwritable()], []))  # type: ignore[list-item]
    found = checkpoints.load(tmp_path)
    assert found is not None
    assert len(found.variables) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_a_broken_state_counts_as_none_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints.save(tmp_path, state(0.0))
    whole = (tmp_path / "state.npz").read_bytes()
    (tmp_path / "state.npz").write_bytes(whole[: len(whole) // 2])
    assert checkpoints.load(tmp_path) is None
    assert "training starts from its first epoch" in caplog.text


def test_removing_takes_the_folder_and_may_be_done_twice(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "kept", state(0.0))
    checkpoints.remove(tmp_path / "kept")
    checkpoints.remove(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


class _Unwritable:
    def __array__(self, *_: object, **__: object) -> None:
        raise OSError("disk full")
