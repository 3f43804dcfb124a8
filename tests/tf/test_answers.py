"""Family, look and SKU of hand-made scores."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.tf import retail_set
from tfx_retail import acceptance, answers, catalog, decisions, labels
from tfx_retail.acceptance import Usual
from tfx_retail.answers import Corrections, Hierarchy, Scores
from tfx_retail.decisions import Thresholds
from tfx_retail.size_model import SizeModel
from tfx_retail.sizing import Evidence

SKUS = ("cola", "gone", "lime", "water", "still", "milk")
TRAINED = np.array([True, True, True, True, True, False])
EXAMPLES = np.array([20, 5, 20, 30, 10, 0])
HALF = Thresholds(accept_above=0.5, family_accept_above=0.5)
NOISE = SizeModel(scale_deviation=0.03, height_jitter=0.01, width_jitter=0.01)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Hierarchy:
    folder: Path = tmp_path_factory.mktemp("lists")
    retail_set.write_rows(folder / "catalog.csv", retail_set.CATALOG)
    retail_set.write_rows(
        folder / "labels.csv", [("index", "sku", "status"), *((str(i), sku, status) for i, (sku, status) in enumerate(retail_set.LABELS))]
    )
    return answers.hierarchy(labels.read(folder / "labels.csv"), catalog.read(folder / "catalog.csv", "csv"), TRAINED)


def logits(lists: Hierarchy, **probabilities: float) -> Any:
    """Of looks, from the probabilities of looks by name."""
    return tf.math.log(tf.constant([[probabilities.get(look, 1e-9) for look in lists.looks]]))


def from_logits(lists: Hierarchy, corrections: Corrections | None = None, **probabilities: float) -> Scores:
    corrections = corrections or answers.uncorrected(lists, EXAMPLES)
    return answers.scores(logits(lists, **probabilities), tf.constant([True]), lists, corrections)


def scored(lists: Hierarchy, **probabilities: float) -> Scores:
    """From the probabilities of SKUs."""
    shown = np.array([[probabilities.get(sku, 0.0) * active for sku, active in zip(SKUS, lists.active, strict=True)]], np.float32)
    return answers.joint(tf.constant(shown), lists)


def measured(lists: Hierarchy, height_mm: float = math.nan, width_mm: float = math.nan, model: SizeModel = NOISE) -> Evidence:
    return answers.evidence(tf.constant([height_mm]), tf.constant([width_mm]), lists, model)


def answer(
    lists: Hierarchy, scores: Scores, *, size: Evidence | None = None, ok: bool = True, thresholds: Thresholds = HALF
) -> dict[str, Any]:
    found = decisions.decided(scores, tf.constant([ok]), size or measured(lists), lists, thresholds)
    return {name: _python(value.numpy()[0]) for name, value in found.items()}


def _python(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_python(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value.item()


def test_scores_are_zero_for_retired_and_untrained_skus_and_add_up_to_one(lists: Hierarchy) -> None:
    scores = from_logits(lists, gone=0.5, milk=0.3, cola=0.1, lime=0.1)
    np.testing.assert_allclose(scores.sku[0], [0.5, 0.0, 0.5, 0.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(scores.family[0], [1.0, 0.0, 0.0, 0.0], atol=1e-6)


def test_without_a_size_skus_of_a_look_share_it_as_training_showed_them(lists: Hierarchy) -> None:
    scores = from_logits(lists, water=0.8, cola=0.2)
    np.testing.assert_allclose(scores.sku[0], [0.2, 0.0, 0.0, 0.6, 0.2, 0.0], atol=1e-6)  # 30 photos of water, 10 of still


def test_families_and_looks_within_them_have_temperatures_of_their_own(lists: Hierarchy) -> None:
    plain = answers.uncorrected(lists, EXAMPLES)
    scores = from_logits(lists, plain._replace(family_temperature=2.0), cola=0.6, lime=0.2, water=0.2)
    np.testing.assert_allclose(scores.family[0], [2 / 3, 0.0, 1 / 3, 0.0], atol=1e-6)  # roots of 0.8 and 0.2 are as 2 to 1
    np.testing.assert_allclose(scores.look[0], [0.5, 0.0, 1 / 6, 1 / 3, 0.0], atol=1e-6)
    scores = from_logits(lists, plain._replace(look_temperature=0.5), cola=0.6, lime=0.2, water=0.2)
    np.testing.assert_allclose(scores.look[0], [0.72, 0.0, 0.08, 0.2, 0.0], atol=1e-6)  # squares of 0.6 and 0.2 are as 9 to 1


def test_what_balancing_did_is_undone_and_what_shops_hold_is_expected(lists: Hierarchy) -> None:
    plain, thrice = answers.uncorrected(lists, EXAMPLES), np.float32(math.log(3))
    for changed in (plain._replace(undone=thrice * np.eye(5, dtype=np.float32)[0]), plain._replace(expected=thrice * np.eye(6)[0])):
        scores = from_logits(lists, changed, cola=0.25, lime=0.25, water=0.5)
        np.testing.assert_allclose(scores.look[0], [0.5, 0.0, 1 / 6, 1 / 3, 0.0], atol=1e-6)


def test_the_best_family_decides_even_where_a_single_sku_of_another_is_ahead(lists: Hierarchy) -> None:
    found = answer(lists, scored(lists, water=0.4, cola=0.33, lime=0.27))
    assert found["family"] == "soda"
    assert found["sku"] == found["look"] == "cola"
    assert found["category"] == "drinks"
    assert found["family_confidence"] == pytest.approx(0.6)
    assert found["confidence"] == pytest.approx(0.33)
    assert found["top_skus"] == ["cola", "water", "lime", "still"]  # the decided one leads, the rest by score
    assert found["top_scores"] == pytest.approx([0.33, 0.4, 0.27, 0.0], abs=1e-6)
    assert found["unknown_score"] == pytest.approx(0.6)
    assert found["reason"] == "doubt"
    assert not found["accepted"]
    assert found["family_accepted"]


def test_a_confident_answer_is_accepted(lists: Hierarchy) -> None:
    found = answer(lists, scored(lists, cola=0.8, lime=0.2))
    assert (found["reason"], found["accepted"]) == ("ok", True)


def test_skus_of_one_look_need_a_size(lists: Hierarchy) -> None:
    found = answer(lists, scored(lists, water=0.7, still=0.2, cola=0.1))
    assert (found["reason"], found["accepted"], found["family_accepted"]) == ("size_needed", False, True)
    assert found["look_confidence"] == pytest.approx(0.9)


def test_a_doubtful_look_is_a_doubt_before_it_needs_a_size(lists: Hierarchy) -> None:
    scores = scored(lists, water=0.3, still=0.25, cola=0.25, lime=0.2)
    found = answer(lists, scores, thresholds=Thresholds(accept_above=0.6, family_accept_above=0.5))
    assert (found["look"], found["reason"]) == ("water", "doubt")
    assert found["look_confidence"] == pytest.approx(0.55)


def test_an_odd_image_is_an_unknown_product_where_confidence_alone_would_do(lists: Hierarchy) -> None:
    usual = Thresholds(accept_above=0.6, family_accept_above=0.5, known=Usual(0.1, 0.5))
    scores = scored(lists, cola=0.9, lime=0.1)
    for odd, reason in ((0.1, "ok"), (0.2, "ok"), (0.3, "unknown_product"), (0.5, "unknown_product"), (math.nan, "unknown_product")):
        found = answer(lists, scores._replace(unknown=tf.constant([odd])), thresholds=usual)
        assert (found["reason"], found["accepted"], found["family_accepted"]) == (reason, reason == "ok", True)
    assert answer(lists, scored(lists, cola=0.55, lime=0.45)._replace(unknown=tf.constant([0.5])), thresholds=usual)["reason"] == "doubt"


def test_an_unknown_product_is_told_before_its_size_is_asked_for(lists: Hierarchy) -> None:
    usual = Thresholds(accept_above=0.6, family_accept_above=0.5, known=Usual(0.1, 0.5))
    scores = scored(lists, water=0.5, still=0.5)
    assert answer(lists, scores._replace(unknown=tf.constant([0.1])), thresholds=usual)["reason"] == "size_needed"
    assert answer(lists, scores._replace(unknown=tf.constant([0.4])), thresholds=usual)["reason"] == "unknown_product"


def test_the_family_of_an_accepted_sku_is_accepted_with_it(lists: Hierarchy) -> None:
    strict = Thresholds(accept_above=0.6, family_accept_above=math.inf)
    for share, accepted in ((0.8, True), (0.55, False)):
        found = answer(lists, scored(lists, cola=share, lime=1 - share), thresholds=strict)
        assert (found["accepted"], found["family_accepted"]) == (accepted, accepted)


def test_where_nothing_is_accepted_a_missing_size_is_still_asked_for(lists: Hierarchy) -> None:
    never = Thresholds(accept_above=math.inf, family_accept_above=math.inf)
    for scores, reason in ((scored(lists, water=0.7, still=0.3), "size_needed"), (scored(lists, cola=1.0), "doubt")):
        found = answer(lists, scores, thresholds=never)
        assert (found["reason"], found["accepted"], found["family_accepted"]) == (reason, False, False)


@pytest.mark.parametrize("known", [Usual(0.2, 0.6), Usual(0.2, 0.2), decisions.ALL_KNOWN])
def test_the_graphs_knownness_is_that_of_numpy(known: Usual) -> None:
    odd = np.array([-5.0, 0.1, 0.2, 0.21, 0.4, 0.6, 9.0, math.nan])
    found = decisions.knownness(tf.constant(odd, tf.float32), known)
    expected = acceptance.knownness(odd, known)
    np.testing.assert_allclose(found[3:], expected[3:], atol=1e-6)
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-6)


def test_a_row_without_an_image_says_so_and_prefers_no_sku(lists: Hierarchy) -> None:
    scores = answers.scores(logits(lists, cola=1.0), tf.constant([False]), lists, answers.uncorrected(lists, EXAMPLES))
    found = answer(lists, scores, ok=False)
    assert (found["reason"], found["accepted"], found["family_accepted"]) == ("bad_image", False, False)
    assert found["top_scores"] == pytest.approx([0.25] * 4)


def test_a_measured_height_chooses_within_the_look_and_leaves_other_looks_alone(lists: Hierarchy) -> None:
    before, size = scored(lists, water=0.5, still=0.3, cola=0.2), measured(lists, 300.0)
    after = answers.sized(before, size, lists)
    np.testing.assert_allclose(after.look, before.look, atol=1e-6)
    found = answer(lists, after, size=size)
    assert (found["sku"], found["reason"]) == ("still", "ok")
    assert found["confidence"] == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("size", [math.nan, math.inf, -math.inf, 0.0, -200.0])
def test_an_unknown_size_changes_nothing(lists: Hierarchy, size: float) -> None:
    before, unknown = scored(lists, water=0.5, still=0.3, cola=0.2), measured(lists, size, size)
    after = answers.sized(before, unknown, lists)
    np.testing.assert_allclose(after.sku, before.sku, atol=1e-6)
    assert answer(lists, after, size=unknown)["reason"] == "size_needed"


@pytest.mark.parametrize(("height_mm", "width_mm"), [(1e9, 1e-9), (3e38, 3e38), (1e-30, 1e-30), (math.nan, 1e9)])
def test_an_absurd_size_fits_nothing_and_leaves_the_shares_as_they_were(lists: Hierarchy, height_mm: float, width_mm: float) -> None:
    before, absurd = scored(lists, water=0.6, still=0.4), measured(lists, height_mm, width_mm)
    after = answers.sized(before, absurd, lists)
    np.testing.assert_allclose(after.sku, before.sku, atol=1e-6)
    assert answer(lists, after, size=absurd)["reason"] == "size_unknown"


@pytest.mark.parametrize(
    ("height_mm", "width_mm", "sku", "reason"),
    [
        (200.0, 60.0, "water", "ok"),
        (300.0, 80.0, "still", "ok"),
        (math.nan, 80.0, "still", "ok"),  # the width alone: 80 / 60 is 9 deviations
        (60.0, 200.0, "water", "ok"),  # on its side
        (60.0, math.nan, "water", "ok"),  # a height of 60 is that of one that lies
        (245.0, 69.3, "water", "size_unknown"),  # a size between both, 6 deviations from either; the shares stay, so water stays
        (200.0, 80.0, "water", "size_unknown"),  # the height of one and the width of the other
        (400.0, 107.0, "water", "size_unknown"),  # a third size that the catalogue lacks
        (math.nan, math.nan, "water", "size_needed"),
    ],
)
def test_what_is_answered_among_two_sizes_of_one_look(lists: Hierarchy, height_mm: float, width_mm: float, sku: str, reason: str) -> None:
    size = measured(lists, height_mm, width_mm)
    found = answer(lists, answers.sized(scored(lists, water=0.6, still=0.4), size, lists), size=size)
    assert (found["sku"], found["reason"], found["accepted"]) == (sku, reason, reason == "ok")


def test_a_size_that_fits_no_pack_is_told_of_a_look_with_one_sku_too(lists: Hierarchy) -> None:
    for size_mm, reason in ((120.0, "ok"), (180.0, "size_unknown")):
        size = measured(lists, size_mm)
        assert answer(lists, answers.sized(scored(lists, cola=0.9, lime=0.1), size, lists), size=size)["reason"] == reason


def test_a_doubtful_look_is_a_doubt_whatever_the_size(lists: Hierarchy) -> None:
    scores = scored(lists, water=0.3, still=0.25, cola=0.25, lime=0.2)
    size = measured(lists, 245.0, 69.3)
    found = answer(lists, answers.sized(scores, size, lists), size=size, thresholds=Thresholds(accept_above=0.6, family_accept_above=0.5))
    assert (found["look"], found["reason"]) == ("water", "doubt")


def test_a_side_in_which_the_skus_of_a_look_agree_does_not_tell_them_apart(lists: Hierarchy) -> None:
    alike = lists._replace(width_mm=np.array([60, np.nan, 60, 60, 60, np.nan], np.float32))
    sure = scored(lists, water=0.99, still=0.01)
    for sizes, reason in (((math.nan, 60.0), "size_needed"), ((200.0, 60.0), "ok"), ((math.nan, 90.0), "size_unknown")):
        size = measured(alike, *sizes)
        assert answer(alike, answers.sized(sure, size, alike), size=size)["reason"] == reason


def test_sizes_against_what_the_picture_says_are_not_accepted(lists: Hierarchy) -> None:
    # the picture says water, 1e7 to 1; the height says still as clearly as an outlier allows
    size = measured(lists, 300.0)
    found = answer(lists, answers.sized(scored(lists, water=1.0, still=1e-7), size, lists), size=size)
    assert (found["sku"], found["reason"]) == ("water", "size_needed")


def test_a_side_that_one_sku_of_the_look_lacks_is_not_compared(lists: Hierarchy) -> None:
    holed = lists._replace(height_mm=np.array([120, np.nan, 120, 200, np.nan, np.nan], np.float32))
    before = scored(lists, water=0.6, still=0.4)
    for sizes, reason in (((200.0, math.nan), "size_needed"), ((200.0, 80.0), "ok"), ((200.0, 800.0), "size_unknown")):
        size = measured(holed, *sizes)
        after = answers.sized(before, size, holed)
        assert answer(holed, after, size=size)["reason"] == reason
        if reason == "size_needed":
            np.testing.assert_allclose(after.sku, before.sku, atol=1e-6)


@pytest.mark.parametrize("nothing", [math.nan, 0.0, -5.0, math.inf])
def test_a_catalogue_without_usable_sizes_needs_none_of_a_lone_sku(lists: Hierarchy, nothing: float) -> None:
    none = np.full(6, nothing, np.float32)
    bare = lists._replace(height_mm=none, width_mm=none)
    size = measured(bare, 200.0, 60.0)
    for scores, reason in ((scored(bare, cola=0.9, lime=0.1), "ok"), (scored(bare, water=0.6, still=0.4), "size_needed")):
        after = answers.sized(scores, size, bare)
        np.testing.assert_allclose(after.sku, scores.sku, atol=1e-6)
        assert answer(bare, after, size=size)["reason"] == reason


def test_a_retired_sku_without_catalogue_row_stands_alone(lists: Hierarchy) -> None:
    assert lists.looks[lists.look_of_sku[1]] == "gone"
    assert "gone" in lists.families
    assert lists.active.tolist() == [True, False, True, True, True, False]
    assert lists.top == 4
