"""The network between the node that trains it and the node that makes a model of it: a small SavedModel with one function.

A pushed version holds the same function, so that its weights can be had again from there.
"""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfx_retail import preprocessing, trained
from tfx_retail.trained import Trained
from tfx_retail.versions import EXTRA


class Network(NamedTuple):
    """What maps pixels to embedding and logits, from Keras or from a file."""

    function: Any  # tf.function: [B, S, S, 3] float32 to `embedding` [B, d] and `logits` [B, L]
    weights: list[Any]  # its variables: a function does not keep them alive


def graph(*specs: tf.TensorSpec) -> Callable[[Callable[..., Any]], Any]:
    """Returns the decorator that makes a graph of a function as it stands: no tensor decides a Python branch in any of these, and
    converting all of Keras to look for such branches takes seconds.
    """
    return lambda function: tf.function(tf.autograph.experimental.do_not_convert(function), input_signature=specs)


def of_keras(network: keras.Model, image_size: int) -> Network:
    """Returns a Keras model as it is served, at one size of its images."""

    @graph(tf.TensorSpec([None, image_size, image_size, 3], tf.float32))
    def function(images: Any) -> Any:
        return network(images, training=False)

    return Network(function, [variable.value for variable in network.variables])


def of_images(network: Network, image_size: int) -> Any:
    """Returns the graph's function from B encoded images to the network's outputs and which could be decoded, [B] bool; B may be 0."""

    @graph(tf.TensorSpec([None], tf.string))
    def function(image_bytes: Any) -> tuple[dict[str, Any], Any]:
        images, ok = preprocessing.decode(image_bytes, image_size)
        count = tf.shape(images)[0]
        # some CPU kernels refuse a batch of no images: it gets one here, whose answer is cut off again
        filled = tf.pad(images, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        return {name: value[:count] for name, value in network.function(filled).items()}, ok

    return function


def save(network: Network, known: Trained, folder: Path) -> None:
    """Writes the network and `trained.json`."""
    holder = tf.Module()
    holder.network, holder.weights = network
    tf.saved_model.save(holder, str(folder))
    (folder / EXTRA).mkdir(exist_ok=True)
    trained.write(folder / EXTRA, known)


def load(folder: Path) -> tuple[Network, Trained]:
    """Returns what `save` wrote, or what a pushed version holds of it."""
    restored = tf.saved_model.load(str(folder))
    return Network(restored.network, list(restored.weights)), trained.read(folder / EXTRA)


def embedder_id(network: keras.Model) -> str:
    """Returns a digest of what decides embeddings: trunk weights, preprocessing and length; the last layer is not among it."""
    total = hashlib.sha256(inspect.getsource(preprocessing).encode())
    for layer in network.layers:
        for variable in layer.variables if layer.name not in ("logits", "dropout") else ():
            array = np.ascontiguousarray(variable.numpy())
            total.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:16]
