"""The project's network as somebody without the project would write it: of the layers that Keras brings along."""

from typing import Any

import keras

from tfx_retail.normalization import FusedBatchNormalization


def of_keras(network: keras.Model) -> keras.Model:
    """Returns the same network, not yet trained, without layers of our own."""
    return keras.models.clone_model(network, clone_function=_own, recursive=True)


def _own(layer: Any) -> Any:
    kind = keras.layers.BatchNormalization if isinstance(layer, FusedBatchNormalization) else type(layer)
    return kind.from_config(layer.get_config())
