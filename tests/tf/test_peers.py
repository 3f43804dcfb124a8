"""Our figures against those of scipy and scikit-learn, which take a second to import: too long for the fast tests."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn import calibration, metrics

from tests.fast.page_run import CROPS, SKUS, Crop, write_predictions
from tests.fast.test_size_model import NAN, TRUE, Sizes, numbers, shelf
from tfx_retail import binomial, intervals, measured_doubt, reliability, unknowns
from tfx_retail.measured_doubt import Accepted, Answered, Shown, Sureness
from tfx_retail.page import confusion, predicted, shares, tiles
from tfx_retail.reliability import Losses
from tfx_retail.size_model import PRIOR_BIAS, PRIOR_PHOTOS, fit

PLAIN = predicted.SIGNATURES[0]


def read_page(folder: Path, crops: tuple[Crop, ...] = CROPS) -> predicted.Predicted:
    return predicted.read(write_predictions(folder, crops), "eval")


@settings(max_examples=25)
@given(st.integers(1, 50_000), st.floats(0.0, 1.0), st.floats(0.0001, 0.9999))
def test_the_distribution_is_scipys(trials: int, part: float, share: float) -> None:
    events = int(part * trials)
    assert binomial.at_most(events, trials, share) == pytest.approx(stats.binom.cdf(events, trials, share), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 30, 1000])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.975])
def test_students_quantile_is_scipys(degrees: int, level: float) -> None:
    assert intervals.student(degrees, level) == pytest.approx(stats.t.ppf(level, degrees), rel=2e-3)


def test_bins_are_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    confidence = rng.random(3000)
    right = rng.random(3000) < confidence
    found = reliability.calibration_error(confidence, right, np.arange(3000))
    accuracy, means = calibration.calibration_curve(right, confidence, n_bins=15, strategy="quantile")
    assert [found.accuracy for found in found.bins] == pytest.approx(accuracy, abs=0.006)  # its edges lie between crops
    assert [found.confidence for found in found.bins] == pytest.approx(means, abs=0.001)


def test_brier_score_and_log_loss_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    scores = rng.dirichlet(np.ones(4), 200)
    label = rng.integers(0, 4, 200)
    assert reliability.losses(scores, label).log_loss.mean() == pytest.approx(metrics.log_loss(label, scores))
    binary = np.stack([1 - scores[:, 0], scores[:, 0]], axis=1)
    assert reliability.losses(binary, label % 2).brier.mean() == pytest.approx(2 * metrics.brier_score_loss(label % 2, scores[:, 0]))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_the_area_under_the_curve_of_unknown_scores_is_scikit_learns(known: list[int], unknown: list[int]) -> None:
    numbers = np.arange(len(known)), np.arange(len(unknown)) + 1000
    found = unknowns.detection(np.array(known, float), np.array(unknown, float), *numbers, draws=1)
    assert found.auroc == pytest.approx(metrics.roc_auc_score([0] * len(known) + [1] * len(unknown), [*known, *unknown]))


def test_what_doubt_is_worth_is_scikit_learns() -> None:
    random = np.random.default_rng(3)
    crops, skus = 2000, 6
    scores = random.dirichlet(np.full(skus, 0.5), crops)
    label = (scores.cumsum(axis=1) > random.random((crops, 1))).argmax(axis=1)
    decided = scores.argmax(axis=1)
    squares = ((scores - np.eye(skus)[label]) ** 2).sum(axis=1)
    logs = -np.log(np.maximum(scores[np.arange(crops), label], 1e-7))
    truth, answer = (np.repeat(values[:, None], 4, axis=1) for values in (label, decided))
    sure = Sureness(scores.max(axis=1), Losses(squares, logs))
    accepted = scores.max(axis=1) >= 0.8
    groups = random.integers(0, 100, crops)
    found = measured_doubt.measure(Shown(truth, groups, {}), Answered(answer, sure, None, Accepted(accepted, accepted, scores.max(axis=1))))
    clipped = np.maximum(scores, 1e-7)
    expected = metrics.log_loss(label, clipped / clipped.sum(axis=1, keepdims=True), labels=range(skus))
    assert found.after.log_loss.value == pytest.approx(expected, abs=1e-4)
    of_each = [metrics.brier_score_loss(label == sku, scores[:, sku]) for sku in range(skus)]
    assert found.after.brier.value == pytest.approx(sum(of_each))
    assert found.precision is not None
    assert found.precision.value == pytest.approx(metrics.precision_score(decided == label, accepted))


def test_the_numbers_of_the_page_equal_those_of_scikit_learn(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    crops = tuple(
        Crop(int(t), int(a), float(c))
        for t, a, c in zip(random.integers(0, 4, 200), random.integers(0, 4, 200), random.random(200), strict=True)
    )
    made = read_page(tmp_path, crops)
    truth, answered = made.truth[:, 0], made.answers[PLAIN].decided[:, 0]
    assert shares.overall(made).shares[PLAIN].value == pytest.approx(metrics.accuracy_score(truth, answered))
    found = confusion.matrix(made, PLAIN)
    order = [SKUS.index(sku) for sku in found.skus]
    assert found.counts.tolist() == metrics.confusion_matrix(truth, answered, labels=order).tolist()


def test_the_changes_of_the_page_equal_those_of_scikit_learn_on_the_crops_that_both_were_asked_about(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    drawn = zip(*(random.integers(0, 4, 120) for _ in range(3)), random.random(120), strict=True)
    made = read_page(tmp_path, tuple(Crop(int(t), int(a), float(c), earlier=int(e)) for t, a, e, c in drawn))
    lists = msgspec.structs.replace(made.lists, baseline_lacks=[SKUS[3]])
    made = predicted.Predicted(lists, made.texts, made.flags, made.sides, made.truth, made.answers)
    rows = made.truth[:, 0] != 3
    truth, now, then = made.truth[rows, 0], made.answers[PLAIN], made.answers["baseline/" + PLAIN]
    answered, before = now.decided[rows, 0], then.decided[rows, 0]
    found = tiles.changed(made, None)
    assert found["sku_accuracy"] == pytest.approx(metrics.accuracy_score(truth, answered) - metrics.accuracy_score(truth, before))
    f1 = [metrics.f1_score(truth, said, labels=[0, 1, 2], average="macro", zero_division=0) for said in (answered, before)]
    assert found["macro_f1"] == pytest.approx(f1[0] - f1[1])
    scores = [answer.truth_score[rows].astype(float) for answer in (now, then)]
    losses = [metrics.log_loss(np.ones(len(score)), np.stack([1 - score, score], 1), labels=[0, 1]) for score in scores]
    assert found["log_loss"] == pytest.approx(losses[0] - losses[1], rel=1e-5)
    assert tiles.changed(read_page(tmp_path / "alone"), None) == {}


def test_no_neighbour_is_more_probable() -> None:
    (height, width, *catalog), _ = shelf(60, true=msgspec.structs.replace(TRUE, turned_share=0.1, outlier_share=0.1), seed=3)
    height[:10], width[10:20], catalog[1][20:25] = NAN, NAN, NAN
    sizes = [height, width, *catalog]
    found = np.array(numbers(fit(*sizes)))

    def loss(point: NDArray[np.float64]) -> float:
        return -posterior(found + 0.01 * point, sizes)

    best = optimize.minimize(loss, np.zeros(7), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6, "maxfev": 4000})
    assert loss(np.zeros(7)) - best.fun < 1e-3
    assert found + 0.01 * best.x == pytest.approx(found, abs=1e-3)


def posterior(point: NDArray[np.float64], sizes: list[Sizes]) -> float:
    """The definition, crop by crop: normal densities by scipy."""
    bias, (scale, *jitter), (turned, outlier) = point[:2], point[2:5], point[5:]
    if min(scale, *jitter, turned, outlier) <= 0:
        return -math.inf
    covariance = scale**2 + np.diag(np.square(jitter))
    total = -np.sum(bias**2) / (2 * PRIOR_BIAS**2)
    for now, default in zip((scale, *jitter), (0.05, 0.03, 0.03), strict=True):
        total -= PRIOR_PHOTOS / 2 * (math.log(now**2) + default**2 / now**2)
    for now, default in zip((turned, outlier), (0.01, 0.02), strict=True):
        total += PRIOR_PHOTOS * (default * math.log(now) + (1 - default) * math.log(1 - now))
    for height, width, catalog_height, catalog_width in zip(*sizes, strict=True):
        seen, own = np.log([height, width]), np.log([catalog_height, catalog_width])
        sides = np.flatnonzero(~np.isnan(seen - own))
        if not len(sides):
            continue
        normal = _density(seen - own - bias, covariance, sides)
        if not np.isnan(own).any():
            normal = (1 - turned) * normal + turned * _density(seen - own[::-1] - bias, covariance, sides)
        total += math.log((1 - outlier) * normal + outlier * 0.36 ** len(sides))
    return float(total)


def _density(error: Sizes, covariance: NDArray[np.float64], sides: NDArray[np.int64]) -> float:
    return float(stats.multivariate_normal.pdf(error[sides], cov=covariance[np.ix_(sides, sides)]))
