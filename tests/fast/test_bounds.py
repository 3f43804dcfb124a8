"""Bounds over groups and Holm's levels, by hand, by property and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import bounds
from tfx_retail.bounds import Totals

KINDS = [(size, total) for size in range(1, 10) for total in range(-size, size + 1)]
GROUPS = st.lists(st.sampled_from(KINDS), min_size=1, max_size=30)


def totals(*groups: tuple[int, int]) -> Totals:
    """Returns the totals of groups of (crops, sum)."""
    return Totals(np.array([size for size, _ in groups], float), np.array([total for _, total in groups], float))


def test_the_stake_is_the_mean_of_what_each_bet_comes_to() -> None:
    # two groups of one crop, both lost; the claim is that nothing is: a bet of b grows to (1 + b)^2
    # 1/2 * 4 + 1/12 * (1.5^2 + 1.25^2 + 1.125^2 + 1.0625^2 + 1.03125^2 + 1.015625^2) = 2.691833
    assert bounds.p_above(totals((1, 1), (1, 1)), 0.0, -1.0) == pytest.approx(1 / 2.691833, abs=1e-6)


def test_a_large_group_weighs_more_than_a_small_one() -> None:
    # 4 of 4 lost and 1 of 1 kept: gains of 1 and 0 - 0 = 0 crops of 4: a bet of b grows to 1 + b; half of it is 1, the rest adds 0.164
    assert bounds.p_above(totals((4, 4), (1, 0)), 0.0, -1.0) == pytest.approx(1 / (0.5 * 2 + 0.5 + 0.984375 / 12), abs=1e-6)


@pytest.mark.parametrize(("groups", "refuted"), [(72, True), (58, False)])  # 0.95^-72 = 40.2 > 2 / 0.05; 0.95^-58 = 19.6 < 1 / 0.05
def test_how_many_groups_without_a_difference_rule_a_loss_of_five_points_out(groups: int, refuted: bool) -> None:
    same = totals(*[(1, 0)] * groups)
    assert (bounds.p_below(same, 0.05, 1.0) <= 0.05) == refuted
    assert (bounds.upper(same, 0.05, 1.0) <= 0.05) == refuted


@pytest.mark.parametrize("groups", [1, 5, 59, 500])
def test_no_bound_has_zero_width_where_nothing_was_lost(groups: int) -> None:
    clopper_pearson = 1 - 0.05 ** (1 / groups)
    assert bounds.upper(totals(*[(3, 0)] * groups), 0.05, 1.0) > clopper_pearson
    assert bounds.lower(totals(*[(3, 3)] * groups), 0.05, 0.0) < 1 - clopper_pearson


def test_crops_of_one_group_are_one_piece_of_evidence() -> None:
    one = bounds.p_above(totals((100, 100)), 0.05, -1.0)
    assert one == pytest.approx(bounds.p_above(totals((1, 1)), 0.05, -1.0), rel=1e-12)
    assert one > 0.5


def test_without_groups_nothing_is_known() -> None:
    none = Totals(np.zeros(0), np.zeros(0))
    assert (bounds.lower(none, 0.05, -1.0), bounds.upper(none, 0.05, 1.0)) == (-1.0, 1.0)
    assert (bounds.p_above(none, 0.05, -1.0), bounds.p_below(none, 0.05, 1.0)) == (1.0, 1.0)
    assert math.isnan(bounds.smallest_seen([none], 0.05, 0.05)[0])
    assert math.isnan(none.mean)


def test_the_smallest_loss_that_is_seen_is_at_the_edge_of_being_refused() -> None:
    same = totals(*[(1, 0)] * 72)
    (smallest,) = bounds.smallest_seen([same], 0.05, 0.05)
    # every group loses so much: 1/2 * (1 + (smallest - 0.05) / 1.05)^72 is nearly all of the stake of 20
    assert 0.5 * (1 + (smallest - 0.05) / 1.05) ** 72 == pytest.approx(20, rel=0.1)
    assert math.isnan(bounds.smallest_seen([totals((5, 0))], 0.05, 0.05)[0])  # one scene proves nothing


@pytest.mark.parametrize(
    ("p_values", "levels"),
    [
        ([0.01, 0.04, 0.03], [0.05 / 3, 0.025, 0.025]),  # 0.01 is rejected, 0.03 > 0.025 stops it
        ([0.01, 0.02, 0.04], [0.05 / 3, 0.025, 0.05]),  # all rejected
        ([0.02, 0.02], [0.025, 0.025]),  # equal ones are held against the same level
        ([0.9], [0.05]),
        ([], []),
    ],
)
def test_holms_levels(p_values: list[float], levels: list[float]) -> None:
    assert bounds.holm_levels(p_values, 0.05) == pytest.approx(levels)


@given(st.lists(st.floats(0, 1), max_size=8), st.randoms())
def test_holm_does_not_look_at_the_order(p_values: list[float], random: object) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    levels = bounds.holm_levels(p_values, 0.05)
    assert bounds.holm_levels([p_values[index] for index in order], 0.05) == [levels[index] for index in order]


@settings(max_examples=25)
@given(GROUPS, st.floats(0.001, 0.4))
def test_a_bound_holds_the_mean_and_says_what_the_test_says(groups: list[tuple[int, int]], level: float) -> None:
    found = totals(*groups)
    low, high = bounds.lower(found, level, -1.0), bounds.upper(found, level, 1.0)
    assert -1.0 <= low <= found.mean <= high <= 1.0
    if low > -1.0:
        assert bounds.p_above(found, low, -1.0) <= level
    if high < 1.0:
        assert bounds.p_below(found, high, 1.0) <= level


@settings(max_examples=25)
@given(GROUPS, st.data())
def test_one_more_loss_is_never_less_evidence(groups: list[tuple[int, int]], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(groups) - 1))
    size, total = groups[place]
    worse = [*groups[:place], (size, min(size, total + 1)), *groups[place + 1 :]]
    assert bounds.p_above(totals(*worse), 0.05, -1.0) <= bounds.p_above(totals(*groups), 0.05, -1.0) + 1e-12
    assert bounds.p_below(totals(*worse), 0.05, 1.0) >= bounds.p_below(totals(*groups), 0.05, 1.0) - 1e-12


@pytest.mark.parametrize("alike", [True, False], ids=["scenes lost whole", "crops lost one by one"])
def test_a_model_that_loses_just_the_margin_is_refused_in_fewer_than_alpha_of_all_cases(alike: bool) -> None:
    rng, scenes, crops = np.random.default_rng(7), 40, 5
    refused = 0
    for _ in range(400):
        lost = crops * (rng.random(scenes) < 0.05) if alike else rng.binomial(crops, 0.05, scenes)
        refused += bounds.p_above(Totals(np.full(scenes, float(crops)), lost.astype(float)), 0.05, -1.0) <= 0.05
    assert refused <= 20
