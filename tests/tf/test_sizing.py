"""Measured sizes against the catalogue's: by hand, against numpy in float64, by property, by simulation, and after export."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tfx_retail import answers, catalog, decisions, labels, sizing
from tfx_retail.answers import Hierarchy
from tfx_retail.decisions import Thresholds
from tfx_retail.product import Product
from tfx_retail.sample.assortment import assortment
from tfx_retail.size_model import SizeModel
from tfx_retail.sizing import Evidence, Packs

NAN = float("nan")
ROUND = SizeModel(scale_deviation=0.04, height_jitter=0.03, width_jitter=0.03)  # each side's deviation is 0.05
SKEWED = SizeModel(
    height_bias=0.02, width_bias=-0.03, scale_deviation=0.03, height_jitter=0.01, width_jitter=0.02, turned_share=0.05, outlier_share=0.1
)
Floats = NDArray[np.float64]
Sides = tuple[float | None, float | None]  # height and width


def packs(*sides: tuple[float, float]) -> Packs:
    """Returns packs of (height, width) in mm."""
    return Packs(*np.array(sides, np.float32).T)


def likelihood(height_mm: float, width_mm: float, pack: tuple[float, float], model: SizeModel = ROUND) -> float:
    found = sizing.compare(tf.constant([height_mm]), tf.constant([width_mm]), packs(pack), model)
    return float(found.log_likelihood[0, 0])


@pytest.mark.parametrize(
    ("measured", "pack", "expected"),
    [
        # one deviation off: 0.98 * exp(-1/2) / (0.05 * sqrt(2 pi)) + 0.02 * 0.36 = 4.7498
        ((200 * math.exp(0.05), NAN), (200.0, NAN), math.log(4.7498)),
        # both sides so: the covariance is 0.0016, its determinant 3.69e-6, the distance 2 * 0.05^2 / 0.0041 = 1.2195
        # 0.98 * 0.99 * exp(-0.6098) / (2 pi * 0.0019209) + 0.02 * 0.36^2 = 43.69
        ((200 * math.exp(0.05), 100 * math.exp(0.05)), (200.0, 100.0), math.log(43.69)),
        # one side larger, the other smaller by as much: 2 * 0.05^2 / 0.0009 = 5.5556, and 0.98 * 0.99 * 82.853 * exp(-2.7778) = 4.9984
        ((200 * math.exp(0.05), 100 * math.exp(-0.05)), (200.0, 100.0), math.log(4.9984 + 0.0026)),
        # on its side, exactly: 0.98 * 0.01 * 82.853 = 0.81196
        ((100.0, 200.0), (200.0, 100.0), math.log(0.81196 + 0.00259)),
        ((100.0, NAN), (200.0, 100.0), math.log(0.98 * 0.01 * 7.97885 + 0.0072)),
        # nothing of the kind: the outlier's share of two sides, of one side
        ((1000.0, 1000.0), (200.0, 100.0), math.log(0.02 * 0.36**2)),
        ((1000.0, NAN), (200.0, 100.0), math.log(0.02 * 0.36)),
        # nothing to compare
        ((200.0, NAN), (NAN, 100.0), 0.0),
        ((NAN, NAN), (200.0, 100.0), 0.0),
        ((200.0, 100.0), (NAN, NAN), 0.0),
    ],
)
def test_likelihoods_worked_by_hand(measured: tuple[float, float], pack: tuple[float, float], expected: float) -> None:
    assert likelihood(*measured, pack) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("deviations", "width_mm", "fits"),
    [(3.2, NAN, True), (3.4, NAN, False), (-3.4, NAN, False), (0.0, 100.0, True), (0.0, 100 * math.exp(3.2 * 0.0384), True)],
)
def test_one_measurement_in_a_thousand_is_said_to_fit_nothing(deviations: float, width_mm: float, fits: bool) -> None:
    # 3.29 deviations of one side; of two sqrt(13.8) = 3.7, and 0.0384 is the width's deviation where the height is right
    found = sizing.compare(tf.constant([200 * math.exp(0.05 * deviations)]), tf.constant([width_mm]), packs((200.0, 100.0)), ROUND)
    assert bool(found.fits[0, 0]) is fits


def sizes(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Returns sizes in mm, of which one in four is not known."""
    return np.where(random.random(count) < 0.25, NAN, np.exp(random.normal(5.0, 0.3, count))).astype(np.float32)


def test_the_graph_is_what_numpy_makes_of_the_definition() -> None:
    random = np.random.default_rng(1)
    own = Packs(sizes(random, 30), sizes(random, 30))
    near = random.integers(30, size=(2, 80))
    measured = [side[rows] * np.exp(random.normal(0.0, 0.05, 80)).astype(np.float32) for side, rows in zip(own, near, strict=True)]
    measured[0][:20], measured[1][:20] = own.width_mm[:20], own.height_mm[:20]
    found = sizing.compare(measured[0], measured[1], own, SKEWED)
    expected = [[_by_definition((h, w), pack, SKEWED) for pack in zip(*own, strict=True)] for h, w in zip(*measured, strict=True)]
    np.testing.assert_allclose(found.log_likelihood, [[cell[0] for cell in row] for row in expected], atol=2e-4)
    np.testing.assert_array_equal(found.fits, [[cell[1] for cell in row] for row in expected])
    np.testing.assert_array_equal(found.used, [[cell[2] for cell in row] for row in expected])


def _by_definition(measured: tuple[float, float], pack: tuple[float, float], model: SizeModel) -> tuple[float, bool, bool]:
    seen, own = np.log(np.array(measured, np.float64)), np.log(np.array(pack, np.float64))
    sides = np.flatnonzero(~np.isnan(seen - own))
    if not len(sides):
        return 0.0, True, False
    errors = [seen - own - [model.height_bias, model.width_bias]]
    if not np.isnan(own).any():
        errors.append(seen - own[::-1] - [model.height_bias, model.width_bias])
    covariance = (model.scale_deviation**2 + np.diag([model.height_jitter**2, model.width_jitter**2]))[np.ix_(sides, sides)]
    densities = [stats.multivariate_normal.pdf(error[sides], cov=covariance) for error in errors]
    shares = [1.0] if len(errors) == 1 else [1 - model.turned_share, model.turned_share]
    normal = float(np.dot(shares, densities))
    tails = [stats.chi2.sf(error[sides] @ np.linalg.solve(covariance, error[sides]), len(sides)) for error in errors]
    total = (1 - model.outlier_share) * normal + model.outlier_share * model.outlier_density ** len(sides)
    return math.log(total), max(tails) >= model.refused_share, True


# ---- through scores and answers ----


def lists_of(*skus: tuple[str, str, Sides]) -> Hierarchy:
    """Returns label lists of (SKU, look, sides), all of one family."""
    products = [
        Product(sku=sku, name=sku, look=look, family="f", category="c", height_mm=height, width_mm=width)
        for sku, look, (height, width) in skus
    ]
    order = [labels.Label(index, product.sku) for index, product in enumerate(products)]
    return answers.hierarchy(order, catalog.of(tuple(products)), np.ones(len(products), bool))


class Answered(NamedTuple):
    """What is said of N crops of one SKU."""

    right: float  # share of all
    sure: float  # mean confidence
    precision: float  # share of the accepted; NaN without any
    reasons: dict[str, float]  # share of each


def answered(lists: Hierarchy, height_mm: Floats, width_mm: Floats, model: SizeModel, *, sku: str, at_least: float = 0.5) -> Answered:
    """Returns the answers to crops whose picture tells the look and nothing else."""
    count = len(height_mm)
    shares = np.where(lists.look_of_sku == lists.look_of_sku[lists.skus.index(sku)], 0.0, -30.0).astype(np.float32)
    ok = tf.ones(count, tf.bool)
    measured = answers.evidence(np.float32(height_mm), np.float32(width_mm), lists, model)
    after = answers.sized(answers.joint(tf.nn.softmax(np.tile(shares, (count, 1))), lists), measured, lists)
    found = decisions.decided(after, ok, measured, lists, Thresholds(at_least, 0.5))
    names, counts = np.unique(found["reason"].numpy(), return_counts=True)
    reasons = {name.decode(): float(share) for name, share in zip(names, counts / count, strict=True)}
    right, accepted = found["sku"].numpy() == sku.encode(), found["accepted"].numpy()
    precision = float(right[accepted].mean()) if accepted.any() else NAN
    return Answered(float(right.mean()), float(np.mean(found["confidence"])), precision, reasons)


def noisy(side_mm: float, count: int, *, seed: int, deviation: float = 0.03) -> Floats:
    return side_mm * np.exp(np.random.default_rng(seed).normal(0.0, deviation, count))


def pair(ratio: float) -> Hierarchy:
    return lists_of(("small", "pack", (200.0, 100.0)), ("large", "pack", (200.0 * ratio, 100.0 * ratio)))


ONE_SIDE = SizeModel(scale_deviation=0.02, height_jitter=math.sqrt(0.03**2 - 0.02**2), width_jitter=math.sqrt(0.03**2 - 0.02**2))
UNKNOWN = np.full(4000, NAN)


@pytest.mark.parametrize(
    ("ratio", "least", "most"),
    [
        (1.05, 0.77, 0.81),  # half of log 1.05 is 0.81 deviations: 0.792
        (1.12, 0.964, 0.977),  # 1.89 deviations: 0.9705
        (1.25, 0.999, 1.0),  # 3.72 deviations: 0.9999
    ],
)
def test_how_often_one_side_with_three_percent_of_noise_is_right(ratio: float, least: float, most: float) -> None:
    found = answered(pair(ratio), noisy(200.0, 4000, seed=1), UNKNOWN, ONE_SIDE, sku="small")
    assert least <= found.right <= most
    assert found.sure == pytest.approx(found.right, abs=0.015)  # as sure as it is right


def test_of_sizes_that_are_much_alike_only_those_far_out_are_accepted_and_rightly() -> None:
    # log 1.05 is 1.63 deviations, and odds of 0.97 to 0.03 are 3.48: a deviate above 3.48 / 1.63 - 1.63 / 2 = 1.32, which are 9 %
    found = answered(pair(1.05), noisy(200.0, 4000, seed=1), UNKNOWN, ONE_SIDE, sku="small", at_least=0.97)
    assert found.reasons["ok"] == pytest.approx(0.093, abs=0.02)
    assert found.precision > 0.97


@pytest.mark.parametrize("model", [SizeModel(), ONE_SIDE], ids=["defaults", "fitted"])
@pytest.mark.parametrize("sides", ["both", "height", "width"])
def test_the_samples_pairs_are_told_apart_at_three_percent_of_noise(model: SizeModel, sides: str) -> None:
    items = [item.product for item in assortment(14)]
    listed = lists_of(*((item.sku, item.look, (item.height_mm, item.width_mm)) for item in items))
    of_pairs = [item for item in items if sum(other.look == item.look for other in items) == 2]
    assert len(of_pairs) == 4
    for number, item in enumerate(of_pairs):
        height, width = (noisy(side or NAN, 1000, seed=2 * number + place) for place, side in enumerate((item.height_mm, item.width_mm)))
        unknown = np.full(1000, NAN)
        given = {"both": (height, width), "height": (height, unknown), "width": (unknown, width)}[sides]
        found = answered(listed, *given, model, sku=item.sku)
        assert found.right >= 0.97
        assert found.reasons["ok"] >= 0.97
        assert answered(listed, unknown, unknown, model, sku=item.sku).reasons == {"size_needed": 1.0}


@pytest.mark.parametrize("ratio", [0.75, 1.3])
def test_a_new_size_of_a_known_look_is_not_taken_for_the_old_one(ratio: float) -> None:
    alone = lists_of(("old", "pack", (200.0, 100.0)))
    found = answered(alone, noisy(200.0 * ratio, 4000, seed=1), noisy(100.0 * ratio, 4000, seed=2), ONE_SIDE, sku="old")
    assert found.reasons["size_unknown"] > 0.99


SIDE = st.one_of(st.none(), st.floats(20.0, 600.0, width=32))
SKU = st.tuples(st.sampled_from("xyz"), st.tuples(SIDE, SIDE))
SEEN = st.one_of(st.floats(width=32), st.floats(20.0, 600.0, width=32))


class Case(NamedTuple):
    """SKUs with their logits, and measured crops."""

    skus: list[tuple[str, str, Sides]]
    logits: NDArray[np.float32]  # [1, S]
    height_mm: NDArray[np.float32]  # [1]
    width_mm: NDArray[np.float32]

    def scores(self, order: Sequence[int]) -> tuple[answers.Scores, answers.Scores, Evidence]:
        """Returns the scores before and after sizes, for the SKUs in some order."""
        lists = lists_of(*(self.skus[place] for place in order))
        before = answers.joint(tf.nn.softmax(self.logits[:, list(order)]), lists)
        measured = answers.evidence(self.height_mm, self.width_mm, lists, ROUND)
        return before, answers.sized(before, measured, lists), measured


@st.composite
def cases(draw: Any) -> Case:
    skus = [(f"sku {number}", look, sides) for number, (look, sides) in enumerate(draw(st.lists(SKU, min_size=1, max_size=5)))]
    logits = draw(st.lists(st.floats(-20.0, 20.0, width=32), min_size=len(skus), max_size=len(skus)))
    height, width = draw(SEEN), draw(SEEN)
    return Case(skus, *(np.array(values, np.float32) for values in ([logits], [height], [width])))


@settings(max_examples=25)
@given(cases(), st.randoms(use_true_random=False))
def test_probabilities_add_up_looks_keep_theirs_and_the_order_of_skus_does_not_matter(case: Case, random: Any) -> None:
    order = list(range(len(case.skus)))
    before, after, measured = case.scores(order)
    assert np.isfinite(measured.log_likelihood).all()
    np.testing.assert_allclose(tf.reduce_sum(after.sku, axis=1), [1.0], atol=1e-5)
    np.testing.assert_allclose(after.look, before.look, atol=1e-5)
    random.shuffle(order)
    _, shuffled, _ = case.scores(order)
    np.testing.assert_allclose(shuffled.sku, after.sku.numpy()[:, order], atol=1e-5)


@settings(max_examples=15)
@given(cases(), st.sampled_from([NAN, math.inf, 0.0, -3.0]))
def test_unknown_sizes_change_nothing(case: Case, unknown: float) -> None:
    nothing = np.array([unknown], np.float32)
    before, after, measured = case._replace(height_mm=nothing, width_mm=nothing).scores(range(len(case.skus)))
    np.testing.assert_allclose(after.sku, before.sku, atol=1e-6)
    assert not measured.used.numpy().any()
    assert measured.fits.numpy().all()


def test_an_exported_graph_says_the_same_to_the_last_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    listed = lists_of(*((f"sku {n}", f"look {n // 3}", (float(h), float(w))) for n, (h, w) in enumerate(random.uniform(50, 300, (30, 2)))))

    def asked(logits: Any, height_mm: Any, width_mm: Any) -> dict[str, Any]:
        ok = tf.ones_like(height_mm, tf.bool)
        measured = answers.evidence(height_mm, width_mm, listed, SKEWED)
        after = answers.sized(answers.joint(tf.nn.softmax(logits), listed), measured, listed)
        return decisions.decided(after, ok, measured, listed, Thresholds(0.5, 0.5)) | {"sku_scores": after.sku}

    served = tf.Module()
    specs = [tf.TensorSpec(shape, tf.float32) for shape in ([None, 30], [None], [None])]
    served.asked = tf.function(asked, input_signature=specs)
    tf.saved_model.save(served, str(tmp_path))
    inputs = random.normal(size=(50, 30)).astype(np.float32), sizes(random, 50), sizes(random, 50)
    before, after = served.asked(*inputs), tf.saved_model.load(str(tmp_path)).asked(*inputs)
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])
