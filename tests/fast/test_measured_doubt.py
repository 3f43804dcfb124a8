"""The doubt part of an evaluation, by hand and against scikit-learn."""

import math

import msgspec
import numpy as np
import pytest

from tfx_retail import intervals, measured_doubt
from tfx_retail.measured_doubt import Accepted, Answered, MeasuredDoubt, Shown, Sureness
from tfx_retail.reliability import Losses
from tfx_retail.slices import NOWHERE, Column

# four crops of three scenes; SKUs 0 and 1 of family 0, SKU 2 of family 1
TRUTH = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [2, 2, 1, 0], [2, 2, 1, 0]])
DECIDED = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [2, 2, 1, 0], [1, 1, 0, 0]])
SHOWN = Shown(
    TRUTH,
    np.array([0, 0, 1, 2]),
    {"family": Column(np.array([0, 0, 1, 1]), ["cola", "tea"]), "store": Column(np.array([0, 0, NOWHERE, 1]), ["north", "south"])},
    np.array([20, 0, 15, 15]),
)
AFTER = Sureness(np.array([0.9, 0.6, 0.8, 0.3]), Losses(np.array([0.02, 0.9, 0.08, 1.2]), np.array([0.1, 1.6, 0.2, 2.0])))
BEFORE = Sureness(np.array([0.99, 0.9, 0.95, 0.6]), Losses(np.array([0.0, 1.6, 0.01, 1.5]), np.array([0.01, 4.0, 0.05, 3.0])))
ACCEPTED = Accepted(np.array([True, True, True, False]), np.array([True, True, True, True]), np.array([0.9, 0.6, 0.7, 0.3]))
ANSWERED = Answered(DECIDED, AFTER, BEFORE, ACCEPTED)


def test_what_is_accepted_is_counted_and_judged() -> None:
    found = measured_doubt.measure(SHOWN, ANSWERED)
    assert found.coverage is not None
    assert (found.coverage.value, found.coverage.crops, found.coverage.groups) == (0.75, 4, 3)
    assert found.precision is not None
    assert found.precision.value == pytest.approx(2 / 3)
    assert (found.precision.crops, found.precision.groups) == (3, 2)
    assert found.family_coverage is not None
    assert found.family_coverage.value == 1.0
    assert found.family_precision is not None
    assert found.family_precision.value == 0.75  # the second answer is the wrong SKU of the right family
    assert found.missing == []


def test_means_of_losses_are_taken_before_and_after() -> None:
    found = measured_doubt.measure(SHOWN, ANSWERED)
    assert found.after.brier.value == pytest.approx((0.02 + 0.9 + 0.08 + 1.2) / 4)
    assert found.after.log_loss.value == pytest.approx((0.1 + 1.6 + 0.2 + 2.0) / 4)
    assert found.before is not None
    assert found.before.brier.value == pytest.approx((1.6 + 0.01 + 1.5) / 4)
    assert found.before.calibration.plugin == pytest.approx((0.01 + 0.9 + 0.05 + 0.6) / 4)  # four bins of one crop


def test_the_curve_follows_the_score_that_decides_and_not_the_confidence() -> None:
    found = measured_doubt.measure(SHOWN, ANSWERED)
    assert found.curve.coverage == [0.25, 0.5, 0.75, 1.0]
    assert found.curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert found.area.value == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_right_and_wrong_answers_are_counted_by_confidence() -> None:
    sure = AFTER._replace(confidence=np.array([0.92, 0.62, 0.81, 1.0]))
    found = measured_doubt.measure(SHOWN, ANSWERED._replace(after=sure)).histogram
    assert [place for place, count in enumerate(found.right) if count] == [16, 18]  # 0.81 and 0.92, in steps of 0.05
    assert [place for place, count in enumerate(found.wrong) if count] == [12, 19]


def test_precision_by_slice_leaves_out_crops_without_the_fact() -> None:
    found = {
        (one.feature, one.value): (one.crops, one.coverage, one.precision.value) for one in measured_doubt.measure(SHOWN, ANSWERED).slices
    }
    assert found == {
        ("family", "cola"): (2, 1.0, 0.5),
        ("family", "tea"): (2, 0.5, 1.0),
        ("store", "north"): (2, 1.0, 0.5),
        ("store", "south"): (1, 0.0, None),
    }


def test_a_feature_of_one_value_makes_no_slice() -> None:
    one = SHOWN._replace(slices={"category": Column(np.zeros(4, np.int64), ["drinks"])})
    assert measured_doubt.measure(one, ANSWERED).slices == []


def test_slices_by_training_crops_have_their_edges_where_they_are_said_to_be() -> None:
    counts = [0, 1, 4, 5, 15, 16, 900]
    rows = np.arange(len(counts))
    truth = np.repeat(rows[:, None], 4, axis=1)
    sure = Sureness(np.full(7, 0.5), None)
    found = measured_doubt.measure(Shown(truth, rows, {}, np.array(counts)), Answered(truth, sure)).tail
    assert [(one.training_crops, one.skus, one.accuracy.crops) for one in found] == [
        ("0", 1, 1),
        ("1 to 4", 2, 2),
        ("5 to 15", 2, 2),
        ("16 and more", 2, 2),
    ]
    assert found[0].accuracy.value == 1.0
    assert found[0].precision is None


def test_an_empty_role_measures_nothing() -> None:
    none = np.zeros(0)
    nothing, rows = Sureness(none, Losses(none, none)), np.zeros((0, 4), np.int64)
    shown = Shown(rows, np.zeros(0, np.int64), {"family": Column(np.zeros(0, np.int64), [])}, np.zeros(0, np.int64))
    found = measured_doubt.measure(shown, Answered(rows, nothing, nothing, Accepted(none.astype(bool), none.astype(bool), none)))
    assert (found.crops, found.curve.risk, found.area.value) == (0, [], None)
    assert found.after.calibration.debiased is None
    assert found.precision is not None
    assert found.precision.value is None
    assert found.missing == []


def test_one_class_that_is_always_right_has_no_error_and_wide_bounds() -> None:
    rows = np.zeros((6, 4), np.int64)
    sure = Sureness(np.ones(6), Losses(np.zeros(6), np.zeros(6)))
    found = measured_doubt.measure(
        Shown(rows, np.arange(6), {}), Answered(rows, sure, None, Accepted(np.ones(6, bool), np.ones(6, bool), np.ones(6)))
    )
    assert found.after.calibration.plugin == 0.0
    assert found.precision is not None
    assert found.precision.interval is not None
    assert found.precision.interval[0] < 0.6


def test_what_earlier_code_did_not_say_is_named_and_the_rest_is_measured() -> None:
    found = measured_doubt.measure(SHOWN._replace(training_crops=None), Answered(DECIDED, Sureness(AFTER.confidence, None)))
    assert (found.before, found.coverage, found.precision, found.slices, found.tail) == (None, None, None, [], [])
    assert found.after.brier.value is None
    assert found.after.calibration.crops == 4
    assert found.curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert [line.partition(":")[0] for line in found.missing] == [
        "what is accepted",
        "quality before calibration",
        "Brier score and log loss",
        "slices by training crops",
    ]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -0.5])
def test_a_confidence_that_is_no_probability_is_left_out_and_named(odd: float) -> None:
    sure = AFTER._replace(confidence=np.array([odd, 0.6, 0.8, 0.3]))
    score = ACCEPTED._replace(score=np.array([math.nan, 0.6, 0.7, 0.3]))
    found = measured_doubt.measure(SHOWN, Answered(DECIDED, sure, BEFORE, score))
    assert found.after.calibration.crops == found.after.brier.crops == 3
    assert found.curve.coverage == [0.25, 0.5, 0.75, 1.0]  # what is no number is the least sure
    assert found.curve.risk[-1] == 0.5
    assert found.missing == ["1 of 4 crops: a confidence or a loss of theirs is no number; their quality is not measured"]


def test_signatures_that_say_the_same_are_told() -> None:
    assert measured_doubt.same(ANSWERED, Answered(DECIDED.copy(), AFTER, BEFORE, ACCEPTED))
    assert not measured_doubt.same(ANSWERED, ANSWERED._replace(accepted=ACCEPTED._replace(sku=np.array([True, True, False, False]))))
    assert not measured_doubt.same(ANSWERED, ANSWERED._replace(before=None))
    assert measured_doubt.same(ANSWERED._replace(before=None), ANSWERED._replace(before=None))


def test_it_is_json_and_comes_back() -> None:
    found = measured_doubt.measure(SHOWN, ANSWERED)
    assert msgspec.json.decode(msgspec.json.encode(found), type=MeasuredDoubt) == found


def test_scenes_are_what_intervals_stand_on() -> None:
    assert intervals.number(["b", "a", "b"]).tolist() == [1, 0, 1]
    alone = measured_doubt.measure(SHOWN._replace(groups=np.zeros(4, np.int64)), ANSWERED)
    assert alone.area.interval is None
    assert alone.after.calibration.interval is None
