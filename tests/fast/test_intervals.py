"""Intervals over groups, by hand and by simulation."""

import math

import numpy as np
import pytest

from tfx_retail import intervals


def test_groups_are_numbered_in_the_order_of_their_names() -> None:
    assert intervals.number(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_the_width_comes_from_the_sums_of_groups() -> None:
    # groups of two with sums 2, 0, 4: mean 1, residuals 0, -2, 2; deviation sqrt(3/2 * 8) = 3.4641; Student's 2 degrees: 4.3027
    found = intervals.mean(np.array([1.0, 1.0, 0.0, 0.0, 2.0, 2.0]), np.array([0, 0, 1, 1, 2, 2]))
    assert (found.value, found.crops, found.groups) == (1.0, 6, 3)
    assert found.interval == pytest.approx((1 - 4.3027 * 3.4641 / 6, 1 + 4.3027 * 3.4641 / 6), abs=1e-4)


def test_alike_crops_of_one_scene_do_not_narrow_an_interval() -> None:
    values, groups = np.array([0.0, 1.0, 1.0, 0.0, 1.0]), np.arange(5)
    assert intervals.mean(np.repeat(values, 100), np.repeat(groups, 100)).interval == pytest.approx(intervals.mean(values, groups).interval)


def test_one_group_has_a_mean_and_no_interval_and_none_has_neither() -> None:
    one = intervals.mean(np.array([1.0, 3.0]), np.array([0, 0]))
    assert (one.value, one.interval) == (2.0, None)
    none = intervals.mean(np.zeros(0), np.zeros(0, np.int64))
    assert (none.value, none.interval, none.crops) == (None, None, 0)


def test_a_one_sided_bound_needs_two_groups() -> None:
    assert intervals.above(np.array([3.0]), np.array([3.0]), 0.05) == -math.inf
    assert intervals.above(np.array([3.0, 2.0]), np.array([3.0, 2.0]), 0.05) == 1.0


def test_groups_drawn_with_replacement_stay_whole() -> None:
    groups = np.array([0, 0, 1, 1, 2])
    seen = []

    def look(weights: intervals.Floats) -> float:
        seen.append(weights)
        return 0.0

    intervals.resampled(look, groups, draws=20, seed=1)
    assert len(seen) == 20
    assert all(drawn[0] == drawn[1] and drawn[2] == drawn[3] and drawn[[0, 2, 4]].sum() == 3 for drawn in seen)


def test_draws_without_a_figure_are_left_out() -> None:
    groups = np.arange(3)
    assert intervals.resampled(lambda weights: 2.0 if weights[0] else math.nan, groups, draws=50, seed=1) == (2.0, 2.0)
    assert intervals.resampled(lambda _: math.nan, groups, draws=5, seed=1) is None
    assert intervals.resampled(lambda _: 1.0, np.zeros(4, np.int64), draws=5, seed=1) is None


def test_the_interval_holds_the_mean_of_alike_crops() -> None:
    rng, held = np.random.default_rng(3), 0
    groups = np.repeat(np.arange(20), 10)
    for _ in range(300):
        held += _holds(intervals.mean(rng.normal(size=20)[groups] + rng.normal(size=200), groups).interval, 0.0)
    assert 275 <= held <= 295  # 95 % of 300 is 285


def _holds(interval: tuple[float, float] | None, value: float) -> bool:
    assert interval is not None
    return interval[0] <= value <= interval[1]
