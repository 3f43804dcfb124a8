"""The network: pixels to an embedding and one logit per look.

The compact network is a plain residual one: on CPUs full 3x3 convolutions are several times faster per multiplication than depthwise ones.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from tfx_retail.config import ModelConfig
from tfx_retail.normalization import FusedBatchNormalization

TRUNK = "trunk.weights.h5"


def build(config: ModelConfig, family_of_look: Sequence[int] | NDArray[np.int64]) -> keras.Model:
    """Returns the network: [B, S, S, 3] float32 in [0, 1] to a dict of two float32 outputs.

    `embedding` [B, embedding_dim] is not yet of unit length; `logits` [B, L] are what a softmax over all looks makes probabilities of.
    With two heads they are the family's logit + log P(look | family), so that log-sum-exp over a family's looks is that logit.

    Args:
      family_of_look: [L], the family of each look, numbered from 0 on.

    Raises:
      ValueError: the backbone's name is unknown, its weights do not fit, or it cannot take this image size.
    """
    images = keras.Input(_shape(config), name="images")
    features = trunk(config)(images)
    embedding = layers.Dense(config.embedding_dim, use_bias=False, name="embedding")(features)
    embedding = layers.BatchNormalization(name="embedding_norm")(embedding)
    hidden = layers.Dropout(config.dropout, name="dropout")(embedding)
    logits = _heads(config, np.asarray(family_of_look, np.int64))(hidden)
    embedding = layers.Activation("linear", dtype="float32", name="embedding_float32")(embedding)
    return keras.Model(images, {"embedding": embedding, "logits": logits}, name="sku_classifier")


def write_trunk(found: keras.Model, path: Path) -> None:
    """Writes the weights of a trunk so that `model.weights` can name the file; of a keras.applications network, that network's own."""
    inner = [layer for layer in found.layers if isinstance(layer, keras.Model)]
    (inner[0] if inner else found).save_weights(path)


def decayed(variable: Any) -> bool:
    """Tells whether weight decay applies: to kernels, not to biases nor to the scales and shifts of normalisations."""
    return len(variable.shape) > 1


class FamilyThenLook(layers.Layer):
    """Joint logits [B, L] of a head for families and one for the looks within them.

    Source: Redmon and Farhadi 2016, arXiv:1612.08242, section 4: a softmax over each set of siblings.
    """

    def __init__(self, family_of_look: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self._family_of_look, self._families = family_of_look, int(family_of_look.max()) + 1
        self._family = _head(self._families, "family_logits")
        self._look = _head(len(family_of_look), "look_logits")

    def call(self, hidden: Any) -> Any:
        """Returns the family's logit + log P(look | family)."""
        family, look = self._family(hidden), self._look(hidden)
        by_look = tf.transpose(look)
        highest = tf.stop_gradient(tf.math.unsorted_segment_max(by_look, self._family_of_look, self._families))
        shifted = by_look - tf.gather(highest, self._family_of_look)
        total = tf.math.log(tf.math.unsorted_segment_sum(tf.exp(shifted), self._family_of_look, self._families))
        within = shifted - tf.gather(total, self._family_of_look)
        return tf.gather(family, self._family_of_look, axis=1) + tf.transpose(within)

    def compute_output_shape(self, shape: Any) -> Any:
        """Keras asks for it instead of tracing `call`."""
        return shape[0], len(self._family_of_look)


def _heads(config: ModelConfig, family_of_look: Any) -> layers.Layer:
    alone = np.bincount(family_of_look).max() == 1  # each look is a family of its own: there is nothing to choose within
    if config.heads == "flat" or alone:
        return _head(len(family_of_look), "logits")
    return FamilyThenLook(family_of_look, dtype="float32", name="logits")


def _head(classes: int, name: str) -> layers.Layer:
    # float32 even under mixed precision: softmax and its gradient lose digits in half floats
    return layers.Dense(classes, dtype="float32", kernel_initializer="glorot_normal", name=name)


def trunk(config: ModelConfig) -> keras.Model:
    """Returns the part that maps pixels to features, [B, S, S, 3] float32 in [0, 1] to [B, F].

    Raises:
      ValueError: as `build`.
    """
    if config.backbone == "compact":
        return _with_weights(_compact(config), config.weights)
    return _from_applications(config)


def _shape(config: ModelConfig) -> tuple[int | None, int | None, int]:
    """Returns that of an image; the compact network takes any side, so that training may begin with small ones."""
    side = None if config.backbone == "compact" else config.image_size
    return side, side, 3


def _compact(config: ModelConfig) -> keras.Model:
    """Returns the residual network; each stage has twice the channels of the one before and half its side."""
    images = keras.Input(_shape(config))
    x = layers.Rescaling(4.0, offset=-2.0)(images)  # [0, 1] to about zero mean and unit deviation
    small = config.image_size < 48  # a 28 pixel image cannot afford to lose half its side before the first stage
    x = _convolution(x, config.width, stride=1 if small else 2)
    x = layers.ReLU()(x)
    for stage, blocks in enumerate(config.blocks):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _residual_block(x, config.width * 2**stage, stride=stride, squeeze=config.squeeze)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, x, name="trunk")


def _residual_block(x: Any, channels: int, *, stride: int, squeeze: bool) -> Any:
    """Two 3x3 convolutions around a shortcut. Source: He et al. 2015, arXiv:1512.03385; shortcut: arXiv:1812.01187, model D."""
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same")(shortcut)
    if shortcut.shape[-1] != channels:
        shortcut = _convolution(shortcut, channels, kernel=1)
    x = layers.ReLU()(_convolution(x, channels, stride=stride))
    x = _convolution(x, channels, gamma="zeros")  # each block starts as the identity, which trains more evenly
    x = _squeezed(x, channels) if squeeze else x
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _squeezed(x: Any, channels: int) -> Any:
    """Source: Hu et al. 2017, arXiv:1709.01507."""
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Dense(channels // 4, activation="relu")(weights)
    return layers.Multiply()([x, layers.Dense(channels, activation="sigmoid")(weights)])


def _convolution(x: Any, channels: int, *, kernel: int = 3, stride: int = 1, gamma: str = "ones") -> Any:
    x = layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return FusedBatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)(x)


def _from_applications(config: ModelConfig) -> keras.Model:
    make, module = _application(config.backbone)
    weights = None if config.weights == "none" else config.weights
    shape = (config.image_size, config.image_size, 3)
    try:
        network = make(include_top=False, weights=weights, input_shape=shape, pooling="avg")
    except Exception as error:
        raise ValueError(
            f"model.backbone {config.backbone} with model.weights {config.weights} and image_size {config.image_size}: {error}"
        ) from error
    images = keras.Input(shape)
    # networks that hold their own preprocessing want [0, 255], and their preprocess_input changes nothing
    prepared = module.preprocess_input(layers.Rescaling(255.0)(images))
    return keras.Model(images, network(prepared), name="trunk")


def _application(name: str) -> tuple[Callable[..., keras.Model], ModuleType]:
    found: dict[str, tuple[Callable[..., keras.Model], ModuleType]] = {}
    for module in vars(keras.applications).values():
        if isinstance(module, ModuleType) and hasattr(module, "preprocess_input"):
            found |= {key: (value, module) for key, value in vars(module).items() if key[0].isupper() and callable(value)}
    if name not in found:
        raise ValueError(f"model.backbone: no network {name!r}; allowed: compact, {', '.join(sorted(found))}")
    return found[name]


def _with_weights(trunk: keras.Model, weights: str) -> keras.Model:
    if weights == "imagenet":
        raise ValueError("model.weights: the compact network has no imagenet weights; give none, a file, or another model.backbone")
    if weights != "none":
        try:
            trunk.load_weights(weights)
        except Exception as error:
            raise ValueError(f"model.weights: {weights} does not fit the compact network of this config: {error}") from error
    return trunk
