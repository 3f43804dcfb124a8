"""From a network's logits on the calibration role to temperatures and thresholds of the served graph."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tfx_retail import answers, calibrating, catalog, decisions
from tfx_retail.config import AbstainConfig, CalibrationConfig
from tfx_retail.decisions import Thresholds
from tfx_retail.doubt import Doubt, Settings
from tfx_retail.features import SIGNATURES
from tfx_retail.handover import Network
from tfx_retail.labels import Label
from tfx_retail.product import Product
from tfx_retail.serving import Contents
from tfx_retail.shown import Shown
from tfx_retail.trained import Trained
from tfx_retail.trials import Evidence
from tfx_retail.unknown_score import UnknownScore

# two families of two looks; d and e are two sizes of one
SKUS = {"a": ("f", "a", 100.0), "b": ("f", "b", 100.0), "c": ("g", "c", 100.0), "d": ("g", "d", 100.0), "e": ("g", "d", 200.0)}
SETTINGS = Settings(
    calibration=CalibrationConfig(), abstain=AbstainConfig(precision=0.9), prior="train", accept_above=None, family_accept_above=None
)


def contents() -> Contents:
    products = [
        Product(sku=sku, name=sku, category="x", family=family, look=look, height_mm=height) for sku, (family, look, height) in SKUS.items()
    ]
    order = [Label(place, sku) for place, sku in enumerate(SKUS)]
    lists = answers.hierarchy(order, catalog.of(tuple(products)), np.ones(5, bool))
    plain = answers.uncorrected(lists, np.full(5, 10))
    return Contents(
        network=Network(None, []),
        trained=Trained(image_size=8, crop_context=0.0, parameters=1, embedder_id="x", products=()),
        lists=lists,
        columns=np.arange(4),
        corrections=plain,
        neutral=plain,
        thresholds=dict.fromkeys(SIGNATURES, Thresholds(math.inf, math.inf)),
        labels=Path(),
        catalog=Path(),
    )


def crops(scenes: int, *, sure: float = 1.0, seed: int = 1) -> Shown:
    """Five crops of each scene from a network that is `sure` times as sure as it may be; half of them measured."""
    random = np.random.default_rng(seed)
    count = scenes * 5
    logits = 4.0 * random.normal(size=(count, 4))
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    look = (share.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    sku = np.array(["a", "b", "c", "d"], object)[look]
    sku[(look == 3) & (random.random(count) < 0.5)] = "e"
    heights = np.array([SKUS[name][2] for name in sku], np.float32)
    heights[::2] = np.nan
    return shown(sku, np.repeat([f"scene {place}" for place in range(scenes)], 5), sure * logits, heights)


def shown(sku: NDArray[np.object_], group: NDArray[np.str_], logits: NDArray[np.float64], heights: NDArray[np.float32]) -> Shown:
    count = len(sku)
    return Shown(
        sku, group.astype(object), logits.astype(np.float32), np.zeros((count, 2), np.float32), heights, np.full(count, np.nan, np.float32)
    )


def calibrated(given: Shown, settings: Settings = SETTINGS, unknown: Evidence | None = None) -> tuple[Contents, Doubt]:
    return calibrating.calibrated(contents(), given, settings, unknown)


def test_a_network_that_is_too_sure_is_cooled_and_keeps_its_promise_on_other_scenes() -> None:
    finished, found = calibrated(crops(200, sure=3.0))
    assert finished.corrections.family_temperature == found.calibration.family.value
    assert 2.0 < found.calibration.family.value < 3.6
    assert found.fitted_on == "tuning part"
    assert (found.crops, found.groups) == (1000, 200)
    later = crops(1000, sure=3.0, seed=2)
    for name, said in calibrating.said(finished, later).items():
        threshold = found.thresholds[name]
        assert threshold is not None
        assert finished.thresholds[name].accept_above == threshold
        accepted = said.confidence * said.size_fits >= threshold
        assert accepted.mean() > 0.2
        assert said.right[accepted].mean() >= 0.9


def test_skus_that_only_size_tells_apart_are_accepted_with_sizes_alone() -> None:
    finished, _ = calibrated(crops(200))
    given = crops(200, seed=3)
    pair, measured = np.isin(given.sku, ["d", "e"]), np.isfinite(given.height_mm)
    unsized, sized = (calibrating.said(finished, given)[name] for name in SIGNATURES)
    decided_pair = pair & unsized.family_right
    assert not unsized.size_fits[decided_pair & (unsized.confidence > 0.1) & unsized.right].any()
    assert sized.size_fits[pair & measured & sized.right].all()
    assert not sized.size_fits[pair & ~measured & sized.right].any()


def test_few_scenes_accept_nothing_and_all_of_them_fit_the_temperatures() -> None:
    finished, found = calibrated(crops(4))
    assert found.fitted_on == "all"
    assert found.calibration.family.groups == 4
    assert set(found.thresholds.values()) == {None}
    assert finished.thresholds["serving_default"].accept_above == math.inf
    assert all("nothing is accepted: 90.0% needs at least 29 scenes" in text for _, text in found.lines)


def test_without_any_crop_nothing_is_fitted_and_nothing_accepted() -> None:
    none = crops(4).rows(np.zeros(20, bool))
    finished, found = calibrated(none)
    assert (found.crops, found.groups) == (0, 0)
    assert (found.calibration.family.value, found.calibration.look.value) == (1.0, 1.0)
    assert found.calibration.family.reason == "no crop of the calibration role leaves a choice of family"
    assert finished.thresholds["predict_sized"].family_accept_above == math.inf


def test_crops_of_one_look_fit_no_temperature() -> None:
    given = crops(40)
    _, found = calibrated(given.rows(given.sku == "a"))
    assert found.calibration.family.value == 1.0
    assert found.calibration.family.reason == "all crops of the calibration role show one family"


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_network_that_diverged_is_told_and_not_served(broken: float) -> None:
    given = crops(4)
    given.logits[3, 1] = broken
    with pytest.raises(ValueError, match=r"1 of \d+ crops have logits that are NaN or infinite: the network has diverged; train again"):
        calibrated(given)


def test_thresholds_of_the_configuration_are_served_as_they_are_and_promise_nothing() -> None:
    given = msgspec.structs.replace(SETTINGS, accept_above=0.4, family_accept_above=0.6)
    finished, found = calibrated(crops(4), given)
    assert found.thresholds == {"serving_default": 0.4, "predict_sized": 0.4, "family": 0.6}
    assert (finished.thresholds["predict_sized"].accept_above, finished.thresholds["predict_sized"].family_accept_above) == (0.4, 0.6)
    assert next(text for _, text in found.lines) == "accepted from a score of 0.4 on, as the configuration says; nothing is promised"


def test_what_is_odd_costs_confidence_only_where_a_sibling_measured_it() -> None:
    _, plain = calibrated(crops(200))
    assert plain.usual == decisions.ALL_KNOWN and plain.unknown_kind == ""
    given = contents()._replace(unknown=UnknownScore("energy"))
    finished, found = calibrating.calibrated(given, crops(200), SETTINGS)
    assert found.unknown_kind == "energy"
    assert finished.thresholds["predict_sized"].known == found.usual
    energies = calibrating.said(finished, crops(200))["serving_default"].unknown_score
    np.testing.assert_allclose(found.usual.highest, np.quantile(energies, 0.95), atol=0.3)  # of the tuning part


def test_unknown_products_that_nobody_measured_make_a_promise_impossible_and_measured_ones_do_not() -> None:
    settings = msgspec.structs.replace(SETTINGS, abstain=AbstainConfig(precision=0.9, unknown_rate=0.1))
    _, alone = calibrated(crops(200), settings)
    assert alone.thresholds["serving_default"] is None
    rejected = Evidence(np.zeros(300), np.zeros(300, bool), np.arange(300))
    _, measured = calibrated(crops(200), settings, rejected)
    assert measured.thresholds["serving_default"] is not None


def test_lists_are_those_that_the_tests_think_of() -> None:
    lists = contents().lists
    assert lists.look_of_sku.tolist() == [0, 1, 2, 3, 3]
    assert lists.family_of_look.tolist() == [0, 0, 1, 1]
