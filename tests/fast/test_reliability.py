"""Calibration error, Brier score and log loss: by hand, and on models that are perfect or not."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import reliability
from tfx_retail.reliability import CalibrationError


def error(confidence: list[float], right: list[int], groups: list[int] | None = None, *, bins: int = 15) -> CalibrationError:
    numbers = np.arange(len(right)) if groups is None else np.array(groups)
    return reliability.calibration_error(np.array(confidence), np.array(right, bool), numbers, bins)


def simulated(crops: int, off: float, seed: int, *, alike: int = 1) -> tuple[CalibrationError, float]:
    """Returns the error of a model whose confidence is too high by `off`, and its true error; crops of a scene share 45 % of their luck."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(crops // alike), alike)
    confidence = 0.01 + 0.98 * rng.beta(2, 1, crops)
    luck = np.where(rng.random(crops) < (0.45 if alike > 1 else 0), rng.random(crops)[groups], rng.random(crops))
    share = np.maximum(confidence - off, 0)
    return reliability.calibration_error(confidence, luck < share, groups), float(np.abs(confidence - share).mean())


def mean(found: list[float | None]) -> float:
    return float(np.mean([value for value in found if value is not None]))


def test_two_bins_by_hand() -> None:
    # 0.2 is right in 1 of 4, 0.9 in 2 of 4: distances 0.05 and -0.4
    found = error([0.2] * 4 + [0.9] * 4, [1, 0, 0, 0, 1, 1, 0, 0], bins=2)
    assert found.plugin == pytest.approx((0.05 + 0.4) / 2)
    # squares less variance / 3 (Kumar et al., definition 5.2): 0.0025 - 0.1875 / 3 and 0.16 - 0.25 / 3
    assert found.rms == pytest.approx(math.sqrt((0.0025 - 0.0625 + 0.16 - 0.25 / 3) / 2))
    # deviations 0.25 and 0.2887: |N(0.05, 0.25)| has a mean of 0.20345, |N(0.4, 0.2887)| of 0.42185
    assert found.debiased == pytest.approx((2 * 0.05 - 0.20345 + 2 * 0.4 - 0.42185) / 2, abs=1e-4)
    assert found.chance == pytest.approx(math.sqrt(2 / math.pi) * (0.25 + math.sqrt(0.25 / 3)) / 2)
    assert [(one.accuracy, one.crops, one.groups) for one in found.bins] == [(0.25, 4, 4), (0.5, 4, 4)]
    assert [one.confidence for one in found.bins] == pytest.approx([0.2, 0.9])


def test_crops_of_one_scene_are_no_evidence_against_each_other() -> None:
    found = error([0.5] * 6, [1, 1, 1, 1, 1, 1], [7] * 6)
    assert (found.plugin, found.debiased, found.rms, found.interval, found.groups) == (0.5, 0.0, 0.0, None, 1)


def test_copies_of_crops_change_nothing_but_their_number() -> None:
    rng = np.random.default_rng(1)
    confidence, right = rng.random(60), rng.random(60) < 0.5
    once = reliability.calibration_error(confidence, right, np.arange(60))
    copied = reliability.calibration_error(np.repeat(confidence, 5), np.repeat(right, 5), np.repeat(np.arange(60), 5))
    assert (copied.debiased, copied.rms, copied.chance) == pytest.approx((once.debiased, once.rms, once.chance))
    assert copied.interval == pytest.approx(once.interval)


def test_bins_hold_as_many_crops_each_and_equal_confidences_lie_together() -> None:
    assert reliability.equal_mass(np.array([0.1, 0.4, 0.2, 0.3, 0.9, 0.8]), 3).tolist() == [0, 1, 0, 1, 2, 2]
    assert reliability.equal_mass(np.array([1.0, 1.0, 1.0, 0.5]), 4).tolist() == [1, 1, 1, 0]
    assert reliability.equal_mass(np.full(9, 0.7), 15).tolist() == [0] * 9


@pytest.mark.long
def test_a_perfect_model_shows_an_error_by_chance_and_none_when_debiased() -> None:
    found = [simulated(296, 0.0, seed)[0] for seed in range(25)]
    assert mean([one.plugin for one in found]) == pytest.approx(0.07, abs=0.01)
    assert mean([one.chance for one in found]) == pytest.approx(0.07, abs=0.01)
    assert mean([one.debiased for one in found]) < 0.65 * mean([one.plugin for one in found])
    large, _ = simulated(100_000, 0.0, 1)
    assert large.debiased is not None
    assert large.debiased < 0.003


@pytest.mark.parametrize("alike", [1, 20])
def test_debiased_comes_near_the_error_of_a_model_that_is_off(alike: int) -> None:
    found, truth = zip(*(simulated(2000, 0.1, seed, alike=alike) for seed in range(20)), strict=True)
    assert mean([one.debiased for one in found]) == pytest.approx(np.mean(truth), abs=0.008)


@pytest.mark.parametrize(("crops", "off", "alike"), [(296, 0.0, 1), (2000, 0.0, 20), (2000, 0.05, 1), (2000, 0.1, 20)])
@pytest.mark.long
def test_the_error_is_seldom_outside_of_the_interval(crops: int, off: float, alike: int) -> None:
    found = [simulated(crops, off, seed, alike=alike) for seed in range(40)]
    assert sum(one.interval is not None and one.interval[0] > truth for one, truth in found) <= 3  # 2.5 % of 40 are 1
    assert sum(one.interval is not None and one.interval[1] < truth for one, truth in found) <= 3


def test_an_error_that_is_large_lifts_the_lower_end() -> None:
    found, truth = simulated(5000, 0.15, 1)
    assert found.interval is not None
    assert found.interval[0] > 0.1
    assert found.interval[0] < truth < found.interval[1]


def test_fewer_than_four_scenes_have_no_interval() -> None:
    assert error([0.5] * 6, [1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2]).interval is None
    assert error([0.5] * 8, [1, 0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2, 3, 3]).interval is not None


def test_without_crops_there_is_no_error() -> None:
    assert error([], []) == CalibrationError(debiased=None, plugin=None, chance=None, rms=None, interval=None, crops=0, groups=0, bins=[])


@pytest.mark.parametrize("odd", [math.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(odd: float) -> None:
    with pytest.raises(ValueError, match="1 of 2 confidences are no numbers in"):
        error([0.5, odd], [1, 0])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 9)), min_size=1, max_size=80))
@pytest.mark.long
def test_every_figure_is_in_its_range(crops: list[tuple[float, bool, int]]) -> None:
    found = error([crop[0] for crop in crops], [crop[1] for crop in crops], [crop[2] for crop in crops])
    assert found.plugin is not None
    assert found.debiased is not None
    assert found.rms is not None
    assert 0 <= found.debiased <= found.plugin + 1e-12
    assert 0 <= found.plugin <= 1 + 1e-12
    assert 0 <= found.rms <= 1
    assert sum(one.crops for one in found.bins) == len(crops)
    if found.interval is not None:
        assert 0 <= found.interval[0] <= found.plugin + 1e-12 <= found.interval[1] + 1e-9
    assert msgspec.json.decode(msgspec.json.encode(found), type=CalibrationError) == found


def test_a_model_is_refused_for_its_calibration_only_if_many_crops_prove_it() -> None:
    found, _ = simulated(5000, 0.15, 1)
    assert reliability.proven_above(found, 0.1)
    assert not reliability.proven_above(found, 0.2)
    assert not reliability.proven_above(msgspec.structs.replace(found, crops=999), 0.1)
    assert not reliability.proven_above(msgspec.structs.replace(found, interval=None), 0.1)


def test_the_worth_of_probabilities_in_one_value() -> None:
    scores = np.array([[0.7, 0.3], [0.4, 0.6]])
    label, groups = np.array([0, 0]), np.array([0, 1])
    found = reliability.quality(np.array([0.7, 0.6]), np.array([True, False]), reliability.losses(scores, label), groups)
    assert found.brier.value == pytest.approx((2 * 0.09 + 2 * 0.36) / 2)
    assert found.log_loss.value == pytest.approx(-(math.log(0.7) + math.log(0.4)) / 2)
    assert found.calibration.plugin == pytest.approx((0.3 + 0.6) / 2)
    assert msgspec.json.decode(msgspec.json.encode(found), type=reliability.Quality) == found


def test_brier_score_and_log_loss_by_hand() -> None:
    found = reliability.losses(np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0]], np.float32), np.array([0, 0, -1]))
    assert found.brier == pytest.approx([0.09 + 0.04 + 0.01, 1 + 0.25 + 0.25, 1 + 0.25 + 0.25])
    assert found.log_loss == pytest.approx([-math.log(0.7), -math.log(1e-7), -math.log(1e-7)], rel=1e-6)
