"""Losses on embeddings, worked out by hand on vectors along axes."""

import numpy as np
import tensorflow as tf

from tfx_retail import embedding_loss
from tfx_retail.embedding_loss import overlaps, supcon, triplet

A, B = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
AXES = {"x": [3.0, 0.0], "y": [0.0, 0.5], "-x": [-1.0, 0.0]}


def vectors(*names: str) -> tf.Tensor:
    return tf.constant([AXES[name] for name in names])


def test_crops_of_a_look_overlap_wholly_and_mixed_ones_as_far_as_they_show_the_same() -> None:
    mixed = [0.7, 0.3, 0.0]
    found = overlaps(tf.constant([A, A, B, mixed]), 0.0)
    np.testing.assert_allclose(found, [[0, 1, 0, 0.7], [1, 0, 0, 0.7], [0, 0, 0, 0.3], [0.7, 0.7, 0.3, 0]], rtol=1e-6)


def test_label_smoothing_makes_no_pair_of_different_looks_alike() -> None:
    smooth = 0.9 * np.array([A, B, A], np.float32) + 0.1 / 3
    np.testing.assert_allclose(overlaps(tf.constant(smooth, tf.float32), 0.1), [[0, 0, 1], [0, 0, 0], [1, 0, 0]], atol=1e-6)


def test_supcon_is_the_log_loss_of_picking_ones_own_look() -> None:
    overlap = overlaps(tf.constant([A, A, B]), 0.0)
    # the first: own look at cosine 1, other at 0, over a temperature of 0.5: -log(e^2 / (e^2 + e^0))
    expected = np.log(1 + np.exp(-2.0))
    np.testing.assert_allclose(supcon(vectors("x", "x", "y"), overlap, 0.5), [expected, expected, 0.0], rtol=1e-5)


def test_supcon_weighs_what_is_near_by_its_overlap() -> None:
    overlap = tf.constant([[0.0, 0.75, 0.25], [0.75, 0.0, 0.0], [0.25, 0.0, 0.0]])
    total = np.log(np.exp(1.0) + 1.0)  # to a crop at cosine 1 and one at 0
    found = supcon(vectors("x", "x", "y"), overlap, 1.0)
    np.testing.assert_allclose(found[0], 0.75 * (total - 1.0) + 0.25 * total, rtol=1e-5)


def test_triplet_takes_the_worst_of_its_own_and_the_nearest_of_the_others() -> None:
    overlap = overlaps(tf.constant([A, A, A, B, B]), 0.0)
    found = triplet(vectors("x", "x", "-x", "y", "-x"), overlap, 0.5)
    # x: worst of its own -1, nearest other 0; -x: worst -1, nearest 1; y: worst 0, nearest 0; the last: worst 0, nearest 1
    np.testing.assert_allclose(found, np.log1p(np.exp(np.array([1.0, 1.0, 2.0, 0.0, 1.0]) / 0.5)), rtol=1e-5)


def test_triplet_leaves_pairs_alone_that_are_neither_the_same_nor_different() -> None:
    half = overlaps(tf.constant([A, [0.7, 0.3, 0.0], B]), 0.0)  # B against the mixed one: 0.3 of an overlap
    np.testing.assert_allclose(triplet(vectors("x", "x", "y"), half, 1.0), [np.log1p(np.exp(-1.0)), 0.0, 0.0], rtol=1e-5)


def test_a_crop_without_another_of_its_look_has_no_loss_and_no_gradient() -> None:
    embedding = tf.Variable([[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]])
    for loss in embedding_loss.LOSSES.values():
        with tf.GradientTape() as tape:
            found = tf.reduce_sum(loss(embedding, overlaps(tf.eye(3), 0.0), 0.1))
        assert found.numpy() == 0.0
        np.testing.assert_array_equal(tape.gradient(found, embedding), np.zeros((3, 2)))
