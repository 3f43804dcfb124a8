"""Unknown scores as graphs, and the means that one of them needs."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfx_retail import unknowns
from tfx_retail.unknown_score import class_means, score

NOTHING = tf.zeros((1, 2))


def test_confidence_is_what_the_best_score_lacks_to_one() -> None:
    np.testing.assert_allclose(score("confidence", tf.constant([0.9, 0.25]), NOTHING, NOTHING), [0.1, 0.75], rtol=1e-6)


def test_energy_falls_with_every_logit_that_is_high() -> None:
    found = score("energy", NOTHING, tf.math.log([[1.0, 3.0], [2.0, 0.5]]), NOTHING)
    np.testing.assert_allclose(found, [-np.log(4.0), -np.log(2.5)], rtol=1e-6)


def test_distance_is_to_the_nearest_mean_by_direction_alone() -> None:
    means = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    embedding = tf.constant([[5.0, 0.0], [3.0, 4.0], [-1.0, -1.0], [0.0, 0.0]])
    np.testing.assert_allclose(score("distance", NOTHING, NOTHING, embedding, means), [0.0, 0.2, 1 + np.sqrt(0.5), 1.0], atol=1e-6)


def test_distance_without_means_is_refused() -> None:
    for means in (None, np.zeros((0, 0), np.float32)):
        with pytest.raises(ValueError, match="distance needs the looks' mean embeddings"):
            score("distance", NOTHING, NOTHING, NOTHING, means)


def test_each_kind_works_in_a_graph_with_any_number_of_rows() -> None:
    means = np.eye(2, dtype=np.float32)
    for kind in unknowns.KINDS:
        graph = tf.function(lambda best, logits, kind=kind: score(kind, best, logits, logits, means), reduce_retracing=True)
        for count in (0, 3):
            assert graph(tf.zeros(count), tf.zeros((count, 2))).shape == (count,)
            assert graph(tf.zeros(count), tf.zeros((count, 2))).dtype == tf.float32


def _embed(images: Any) -> Any:
    """Reads two numbers from each text."""
    return np.array([[float(number) for number in image.split()] for image in images.numpy()], np.float32)


def test_means_are_of_unit_vectors_and_of_unit_length_by_number_of_look() -> None:
    crops = [(b"0 2", 7), (b"9 0", 7), (b"0 -1", 2), (b"0 0", 2), (b"0 0", 3)]  # long vectors do not weigh more; zeros are no crop
    np.testing.assert_allclose(class_means(_embed, crops), [[0, -1], [np.sqrt(0.5), np.sqrt(0.5)]], atol=1e-6)


def test_means_look_at_a_bounded_number_of_crops_of_each_look() -> None:
    seen: list[int] = []

    def embed(images: Any) -> Any:
        seen.append(len(images))
        return np.ones((len(images), 2), np.float32)

    assert class_means(embed, [(b"", number % 3) for number in range(300)], at_most=30).shape == (3, 2)
    assert seen == [64, 26]


def test_no_crops_give_no_means() -> None:
    assert class_means(_embed, []).shape == (0, 0)
