"""Unknown products told from known ones: by hand."""

import numpy as np
import pytest

from tfx_retail import unknowns
from tfx_retail.unknowns import Detection


def detection(known: list[float], unknown: list[float], draws: int = 20) -> Detection:
    known_groups, unknown_groups = np.arange(len(known)), np.arange(len(unknown)) + 1000
    return unknowns.detection(np.array(known), np.array(unknown), known_groups, unknown_groups, draws=draws)


def test_pairs_in_the_right_order_are_counted_and_ties_are_half() -> None:
    # (1, 2): 0.5 and 3 against 1: one; against 2: 3 only; against 2 once more by a tie with 2
    assert detection([1.0, 2.0], [0.5, 3.0, 2.0]).auroc == pytest.approx((0 + 0 + 1 + 1 + 1 + 0.5) / 6)


def test_unknown_products_passed_where_19_of_20_known_ones_are_kept() -> None:
    found = detection([float(number) for number in range(1, 21)], [18.0, 19.0, 19.5, 99.0])
    assert (found.threshold, found.passed) == (19.0, 0.5)


def test_a_score_that_separates_and_one_that_is_the_same_for_all() -> None:
    perfect, blind = detection([0.0] * 30, [1.0] * 30), detection([0.0] * 30, [0.0] * 30)
    assert (perfect.auroc, perfect.passed, perfect.auroc_interval) == (1.0, 0.0, (1.0, 1.0))
    assert (blind.auroc, blind.passed) == (0.5, 1.0)


def test_without_unknown_products_nothing_is_measured() -> None:
    found = detection([1.0], [])
    assert (found.auroc, found.passed, found.threshold, found.known, found.unknown) == (None, None, None, 1, 0)


def test_alike_crops_of_a_scene_do_not_narrow_an_interval() -> None:
    rng = np.random.default_rng(1)
    known, unknown = rng.normal(size=15), rng.normal(size=15) + 1
    once = unknowns.detection(known, unknown, np.arange(15), np.arange(15), draws=200)
    copies = [np.repeat(values, 40) for values in (known, unknown, np.arange(15), np.arange(15))]
    copied = unknowns.detection(*copies, draws=200)
    assert copied.auroc == pytest.approx(once.auroc)
    assert copied.auroc_interval == pytest.approx(once.auroc_interval)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 3 unknown scores are NaN"):
        detection([1.0, np.nan], [2.0])
