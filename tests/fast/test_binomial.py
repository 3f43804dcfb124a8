"""Exact binomial tests and bounds, by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import binomial


def test_a_coin_tossed_three_times() -> None:
    assert [binomial.at_most(heads, 3, 0.5) for heads in (-1, 0, 1, 2, 3)] == pytest.approx([0.0, 0.125, 0.5, 0.875, 1.0])


def test_a_share_of_none_or_all_leaves_nothing_to_chance() -> None:
    assert (binomial.at_most(0, 9, 0.0), binomial.at_most(8, 9, 1.0)) == (1.0, 0.0)


@pytest.mark.parametrize(("target", "trials"), [(0.98, 149), (0.95, 59), (0.9, 29)])  # 0.98^149 = 0.0493, 0.98^148 = 0.0503
def test_how_many_trials_without_an_error_prove_a_precision(target: float, trials: int) -> None:
    assert binomial.trials_without_event(1 - target, 0.05) == trials
    assert binomial.lower(trials, trials, 0.05) >= target > binomial.lower(trials - 1, trials - 1, 0.05)


def test_bounds_of_clopper_and_pearson() -> None:
    # one event among ten: 0.9^10 + 10 * 0.1 * 0.9^9 is 0.736 at 0.1; the table of 95 % two-sided bounds says 0.0025 and 0.4450
    assert binomial.upper(1, 10, 0.025) == pytest.approx(0.4450, abs=5e-5)
    assert binomial.lower(1, 10, 0.025) == pytest.approx(0.0025, abs=5e-5)


def test_without_trials_nothing_is_known() -> None:
    assert (binomial.lower(0, 0, 0.05), binomial.upper(0, 0, 0.05)) == (0.0, 1.0)


@settings(max_examples=25)
@given(st.integers(1, 400), st.floats(0.0, 1.0), st.floats(0.001, 0.4))
def test_a_bound_is_where_the_test_stops_to_refute(trials: int, part: float, level: float) -> None:
    events = int(part * (trials - 1))
    bound = binomial.upper(events, trials, level)
    assert events / trials < bound
    assert binomial.at_most(events, trials, bound) <= level
    assert binomial.at_most(events, trials, bound - 1e-6) > level - 1e-4
