"""Family, look and SKU of hand-made scores."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.tf import retail_set
from tfx_retail import answers, catalog, labels
from tfx_retail.answers import Hierarchy, Scores, Thresholds

SKUS = ("cola", "gone", "lime", "water", "still", "milk")
TRAINED = np.array([True, True, True, True, True, False])
HALF = Thresholds(accept_above=0.5, family_accept_above=0.5)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Hierarchy:
    folder: Path = tmp_path_factory.mktemp("lists")
    retail_set.write_rows(folder / "catalog.csv", retail_set.CATALOG)
    retail_set.write_rows(
        folder / "labels.csv", [("index", "sku", "status"), *((str(i), sku, status) for i, (sku, status) in enumerate(retail_set.LABELS))]
    )
    return answers.hierarchy(labels.read(folder / "labels.csv"), catalog.read(folder / "catalog.csv", "csv"), TRAINED)


def logits(**probabilities: float) -> Any:
    return tf.math.log(tf.constant([[probabilities.get(sku, 1e-9) for sku in SKUS]]))


def scored(lists: Hierarchy, **probabilities: float) -> Scores:
    return answers.scores(logits(**probabilities), tf.constant([True]), lists)


def answer(lists: Hierarchy, scores: Scores, *, size_known: bool = False, ok: bool = True, thresholds: Thresholds = HALF) -> dict[str, Any]:
    found = answers.decided(scores, tf.constant([ok]), tf.constant([size_known]), lists, thresholds)
    return {name: _python(value.numpy()[0]) for name, value in found.items()}


def _python(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_python(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value.item()


def test_scores_are_zero_for_retired_and_untrained_skus_and_add_up_to_one(lists: Hierarchy) -> None:
    scores = scored(lists, gone=0.5, milk=0.3, cola=0.1, lime=0.1)
    np.testing.assert_allclose(scores.sku[0], [0.5, 0.0, 0.5, 0.0, 0.0, 0.0], atol=1e-6)


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


def test_a_row_without_an_image_says_so_and_prefers_no_sku(lists: Hierarchy) -> None:
    scores = answers.scores(logits(cola=1.0), tf.constant([False]), lists)
    found = answer(lists, scores, ok=False)
    assert (found["reason"], found["accepted"], found["family_accepted"]) == ("bad_image", False, False)
    assert found["top_scores"] == pytest.approx([0.25] * 4)


def test_a_measured_height_chooses_within_the_look_and_leaves_other_looks_alone(lists: Hierarchy) -> None:
    before = scored(lists, water=0.5, still=0.3, cola=0.2)
    after = answers.sized(before, tf.constant([300.0]), tf.constant([math.nan]), lists)
    np.testing.assert_allclose(after.look, before.look, atol=1e-6)
    found = answer(lists, after, size_known=True)
    assert (found["sku"], found["reason"]) == ("still", "ok")
    assert found["confidence"] == pytest.approx(0.8, abs=1e-3)


def test_an_unknown_size_changes_nothing(lists: Hierarchy) -> None:
    before = scored(lists, water=0.5, still=0.3, cola=0.2)
    after = answers.sized(before, tf.constant([math.nan]), tf.constant([math.nan]), lists)
    np.testing.assert_allclose(after.sku, before.sku, atol=1e-6)


def test_an_absurd_size_gives_no_number_that_is_none(lists: Hierarchy) -> None:
    after = answers.sized(scored(lists, water=0.6, still=0.4), tf.constant([1e9]), tf.constant([1e-9]), lists)
    assert np.isfinite(after.sku.numpy()).all()
    np.testing.assert_allclose(tf.reduce_sum(after.sku, axis=1), [1.0], atol=1e-6)


def test_a_retired_sku_without_catalogue_row_stands_alone(lists: Hierarchy) -> None:
    assert lists.looks[lists.look_of_sku[1]] == "gone"
    assert "gone" in lists.families
    assert lists.active.tolist() == [True, False, True, True, True, False]
    assert lists.top == 4
