"""Batch normalisation in TensorFlow's fused operation: Keras 3 composes it of a dozen, which takes a fifth of a training step.

In half floats Keras converts each image to float32 and back besides; the fused operation reads and writes them as they are.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("tfx_retail")
class FusedBatchNormalization(layers.BatchNormalization):
    """Keras's layer, with its weights and settings, for images with the channels last.

    The moving variance is of samples, as in Keras 2, where Keras 3 takes the batch for the population: a factor of N / (N - 1), N being the
    pixels of a batch. Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Returns inputs [B, H, W, C] normalised, in their own dtype."""
        if mask is not None:
            raise ValueError(f"{self.name}: images have no mask")
        if not (training and self.trainable):
            return self._fused(inputs, tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance))[0]
        nothing = tf.zeros((0,), tf.float32)
        outputs, mean, variance = self._fused(inputs, nothing, nothing, training=True)
        for moving, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + found * (1.0 - self.momentum))
        return outputs

    def _fused(self, inputs: Any, mean: Any, variance: Any, *, training: bool = False) -> Any:
        found = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            is_training=training,
        )
        return found[:3]
