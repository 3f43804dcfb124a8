"""Risk against coverage, the area under it, and precision among what is accepted."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import risk
from tfx_retail.risk import Area


def test_the_curve_by_hand() -> None:
    found = risk.curve(np.array([0.9, 0.5, 0.7, 0.7]), np.array([True, False, True, False]))
    assert found.threshold.tolist() == [0.9, 0.7, 0.5]
    assert found.coverage.tolist() == [0.25, 0.75, 1.0]
    assert found.risk == pytest.approx([0, 1 / 3, 1 / 2])


def test_the_area_by_hand() -> None:
    # surest first: right, wrong, right: risks 0, 1/2, 1/3; at best 0, 0, 1/3
    found = risk.area(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), np.arange(3))
    assert found.value == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert found.best == pytest.approx((0 + 0 + 1 / 3) / 3)


def test_equally_sure_answers_are_wrong_in_no_particular_order() -> None:
    # one of two is wrong, whichever comes first: half an error at the first, one at the second
    for right in ([True, False], [False, True]):
        assert risk.area(np.array([0.5, 0.5]), np.array(right), np.arange(2)).value == pytest.approx(0.5)


def test_a_score_that_knows_nothing_has_the_error_rate_as_its_area() -> None:
    rng = np.random.default_rng(1)
    found = risk.area(rng.random(20_000), rng.random(20_000) < 0.7, np.arange(20_000) % 50, draws=20)
    assert found.value == pytest.approx(0.3, abs=0.01)
    assert found.interval is not None
    assert found.interval[0] < 0.3 < found.interval[1]


def test_without_crops_there_is_no_area() -> None:
    none = np.zeros(0)
    assert risk.area(none, none.astype(bool), none.astype(int)) == Area(value=None, interval=None, best=None, crops=0, groups=0)
    assert len(risk.curve(none, none.astype(bool)).risk) == 0


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        risk.curve(np.array([0.5, np.nan]), np.array([True, True]))


def test_precision_counts_accepted_crops_and_bounds_count_scenes() -> None:
    right = np.array([True, True, False, True, False])
    accepted = np.array([True, True, True, True, False])
    found = risk.precision(right, accepted, np.array([3, 3, 5, 5, 8]))
    assert (found.value, found.crops, found.groups) == (0.75, 4, 2)
    assert found.interval is not None
    assert found.interval[0] < 0.2  # two scenes prove next to nothing
    assert found.interval[1] > 0.99


def test_precision_of_nothing_is_nothing() -> None:
    assert risk.precision(np.array([True]), np.array([False]), np.array([0])).value is None


def test_precision_by_slice() -> None:
    right, accepted = np.array([True, False, True, True]), np.array([True, True, True, False])
    found = risk.precision_by(np.array([1, 1, 0, 2]), 4, right, accepted, np.arange(4))
    assert [(one.value, one.crops) for one in found] == [(1.0, 1), (0.5, 2), (None, 0), (None, 0)]
    assert [one.crops for one in risk.precision_by(np.array([-1, 1, -1, 0]), 2, right, accepted, np.arange(4))] == [0, 1]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_no_area_is_below_the_best_one(crops: list[tuple[float, bool, int]]) -> None:
    score, right, groups = (np.array(column) for column in zip(*crops, strict=True))
    found = risk.area(score, right, groups, draws=5)
    assert found.value is not None
    assert found.best is not None
    assert -1e-12 <= found.best <= found.value + 1e-12 <= 1 + 1e-9
    assert msgspec.json.decode(msgspec.json.encode(found), type=Area) == found
    assert risk.curve(score, right).risk[-1] == pytest.approx((~right).mean())
