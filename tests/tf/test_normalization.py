from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfx_retail.normalization import FusedBatchNormalization

IMAGES = np.random.default_rng(1).normal(3, 2, (4, 5, 6, 3)).astype(np.float32)


def twins(**settings: Any) -> tuple[Any, Any]:
    ours, theirs = (made(momentum=0.9, epsilon=1e-5, **settings) for made in (FusedBatchNormalization, keras.layers.BatchNormalization))
    values = [np.array(value, np.float32) for value in ([1, 2, 3], [-1, 0, 1], [0, 1, 2], [1, 4, 9])]  # gamma, beta, moving mean, variance
    for layer in (ours, theirs):
        layer.build(IMAGES.shape)
        layer.set_weights(values)
    return ours, theirs


@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_keras(training: bool) -> None:
    found = []
    for layer in twins():
        images = tf.constant(IMAGES)
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=training)
            loss = tf.reduce_sum(outputs**3)
        found.append([outputs, *tape.gradient(loss, [images, *layer.trainable_variables])])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_moving_averages_follow_each_batch_of_training_and_no_other() -> None:
    ours, _ = twins()
    ours(IMAGES, training=False)
    np.testing.assert_array_equal(ours.get_weights()[2], [0, 1, 2])
    ours(IMAGES, training=True)
    _, _, mean, variance = ours.get_weights()
    flat = IMAGES.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(mean, 0.9 * np.array([0, 1, 2]) + 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.9 * np.array([1, 4, 9]) + 0.1 * flat.var(0, ddof=1), rtol=1e-5)


def test_a_frozen_layer_normalises_as_in_serving() -> None:
    ours, _ = twins()
    ours.trainable = False
    np.testing.assert_array_equal(ours(IMAGES, training=True), ours(IMAGES, training=False))
    np.testing.assert_array_equal(ours.get_weights()[2], [0, 1, 2])


def test_half_floats_stay_half_floats_and_come_close() -> None:
    ours, theirs = twins(dtype="mixed_bfloat16")
    outputs = ours(IMAGES, training=True)
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), tf.cast(theirs(IMAGES, training=True), tf.float32), atol=0.05)


def test_a_mask_is_refused() -> None:
    ours, _ = twins()
    with pytest.raises(ValueError, match="have no mask"):
        ours(IMAGES, mask=tf.ones((4, 5, 6), tf.bool))
