"""The learning rate at the steps where it can be worked out by hand."""

import pytest

from tfx_retail.config import TrainConfig
from tfx_retail.schedules import rate, total_steps

COSINE = TrainConfig(epochs=5, learning_rate=0.8, warmup_epochs=1.0)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.8 / 11), (9, 8.0 / 11), (10, 0.8), (30, 0.4), (50, 0.0), (60, 0.0)],
)
def test_rate_rises_in_a_line_and_falls_along_half_a_cosine(step: int, expected: float) -> None:
    assert rate(COSINE, step, epoch_steps=10, total_steps=50) == pytest.approx(expected)


def test_constant_schedule_stays_after_the_warm_up() -> None:
    config = TrainConfig(epochs=5, learning_rate=0.8, warmup_epochs=0.5, schedule="constant")
    assert [rate(config, step, epoch_steps=2, total_steps=10) for step in (0, 1, 9)] == [pytest.approx(0.4), 0.8, 0.8]


def test_max_steps_cuts_the_planned_epochs_and_zero_does_not() -> None:
    assert total_steps(TrainConfig(epochs=3, max_steps=20), 10) == 20
    assert total_steps(TrainConfig(epochs=3, max_steps=0), 10) == 30
