"""The graph that training and serving share: raw features to labels and sizes, encoded images to pixels.

TFX reloads this module (its functions are named by dotted path), so it holds functions and plain constants only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_retail import features, labels

LABEL = "label"  # int64, the SKU's index in labels.csv, -1 where that lacks the SKU
COUNTS = "sku_counts"  # the file beside the graph that holds each SKU's number of training examples
PADDING = 0.5  # the grey beside an image that is not square
MAX_PX = 50_000_000  # a header that promises more is not decoded: 150 MB of pixels from a few kB of file
INPUTS = (features.SKU, features.IMAGE, features.MEASURED_HEIGHT_MM, features.MEASURED_WIDTH_MM)  # what preprocessing_fn looks at
JPEG_MAGIC = b"\xff\xd8\xff"  # Source: ITU-T T.81, B.1.1.3
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"  # Source: W3C PNG, 5.2


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what training needs of each example; images pass through encoded.

    Args:
      inputs: raw features by name, dense or sparse; optional ones may be missing.
      custom_config: `labels`, the path of labels.csv.

    Returns:
      `label` [B] int64, `image_bytes` [B] string, `measured_height_mm` and `measured_width_mm` [B] float32, NaN where unknown.
    """
    sku = _dense(inputs[features.SKU.name], "")
    image = _dense(inputs[features.IMAGE.name], "")
    outputs = {LABEL: _indices(sku, labels.read(Path(custom_config["labels"]))), features.IMAGE.name: image}
    for size in (features.MEASURED_HEIGHT_MM, features.MEASURED_WIDTH_MM):
        found = inputs.get(size.name)  # a set without any measured photo has no such column
        outputs[size.name] = tf.fill(tf.shape(sku), float("nan")) if found is None else known_mm(_dense(found, float("nan")))
    return outputs


def known_mm(size_mm: Any) -> Any:
    """Returns sizes [B] float32 in mm, NaN where the given one is NaN, infinite, zero or negative: strict JSON has no NaN to send."""
    known = tf.math.is_finite(size_mm) & (size_mm > 0)
    return tf.where(known, size_mm, float("nan"))


def decode(images: Any, size: int) -> tuple[Any, Any]:
    """Returns the pixels of [B] encoded images, [B, size, size, 3] float32 in [0, 1], and which could be decoded, [B] bool; B may be 0.

    JPEG or PNG by their first bytes. An image keeps its shape and is centred on grey: a pack's height to width tells products apart, and
    squashing would hide it. Values are whole 255ths, so that training can hold them as bytes and still see what serving sees.

    Args:
      images: [B] string; where one cannot be decoded, or its header promises over MAX_PX pixels, the pixels are grey.
    """
    pixels, ok = decode_bytes(images, size)
    return to_unit(pixels), ok


def decode_bytes(images: Any, size: int) -> tuple[Any, Any]:
    """Returns `decode`'s pixels as uint8 in [0, 255], a quarter of the memory; on all cores."""
    count = tf.size(images, out_type=tf.int64)
    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), images))
    rows = rows.map(lambda row, image: (row, _fitted(_pixels(image), size)), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    grey = tf.fill((size, size, 3), tf.constant(round(PADDING * 255), tf.uint8))
    # decoding errors end a data set's element, not the graph, in a reloaded SavedModel too; one row more, cut off below, as a data set
    # without elements has no single element to get
    rows = rows.ignore_errors().concatenate(tf.data.Dataset.from_tensors((count, grey)))
    found, pixels = rows.batch(count + 1).get_single_element()
    canvas = tf.tile(grey[None], (count + 1, 1, 1, 1))
    ok = tf.tensor_scatter_nd_update(tf.fill((count + 1,), False), found[:, None], tf.fill(tf.shape(found), True))
    return tf.tensor_scatter_nd_update(canvas, found[:, None], pixels)[:-1], ok[:-1]


def to_unit(pixels: Any) -> Any:
    """Returns uint8 pixels as float32 in [0, 1]."""
    return tf.cast(pixels, tf.float32) / 255.0


def _pixels(image_bytes: Any) -> Any:
    """Returns [H, W, 3] uint8; fails on what is neither JPEG nor PNG, is broken, or is too large."""
    is_png = tf.strings.substr(image_bytes, 0, len(PNG_MAGIC)) == PNG_MAGIC
    is_jpeg = tf.strings.substr(image_bytes, 0, len(JPEG_MAGIC)) == JPEG_MAGIC
    # decoders take other formats too, so what has neither magic is emptied, and empty bytes fail to decode
    named = tf.where(is_png | is_jpeg, image_bytes, b"")
    height, width = tf.cond(is_png, lambda: _png_size(named), lambda: _jpeg_size(named))
    fits = (height > 0) & (width > 0) & (height * width <= MAX_PX)
    # this op decodes both formats; its default DCT trades accuracy for speed, differently on different machines
    return tf.io.decode_jpeg(tf.where(fits, named, b""), channels=3, dct_method="INTEGER_ACCURATE")


def _png_size(image_bytes: Any) -> tuple[Any, Any]:
    """Returns height and width, int64, from the IHDR chunk. Source: W3C PNG, 11.2.1."""
    sizes = tf.io.decode_raw(tf.strings.substr(image_bytes, 16, 8), tf.int32, little_endian=False)
    return tf.cast(sizes[1], tf.int64), tf.cast(sizes[0], tf.int64)


def _jpeg_size(image_bytes: Any) -> tuple[Any, Any]:
    shape = tf.image.extract_jpeg_shape(image_bytes, output_type=tf.int32)
    return tf.cast(shape[0], tf.int64), tf.cast(shape[1], tf.int64)


def _fitted(pixels: Any, size: int) -> Any:
    """Returns [size, size, 3] uint8: the longer side fills the square, grey fills the rest."""
    shape = tf.shape(pixels)[:2]
    scale = size / tf.reduce_max(shape)
    inner = tf.maximum(tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32), 1)
    # antialiased: without it small print aliases into patterns that change with the distance
    resized = tf.image.resize(pixels, inner, method="bilinear", antialias=True)
    whole = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    before = (size - inner) // 2
    after = size - inner - before
    padding = [[before[0], after[0]], [before[1], after[1]], [0, 0]]
    return tf.ensure_shape(tf.pad(whole, padding, constant_values=round(PADDING * 255)), (size, size, 3))


def _dense(feature: Any, default: Any) -> Any:
    """Returns [B] values of a feature that is dense [B] or [B, 1], ragged or sparse; `default` where a row has none."""
    if isinstance(feature, tf.RaggedTensor):
        feature = feature.to_sparse()
    if isinstance(feature, tf.SparseTensor):
        shape = tf.stack([feature.dense_shape[0], 1])
        feature = tf.sparse.to_dense(tf.SparseTensor(feature.indices, feature.values, shape), default)
    return tf.reshape(feature, (-1,))


def _indices(skus: Any, order: Sequence[labels.Label]) -> Any:
    """Returns the index of each of [B] SKUs, int64, -1 where the order lacks it, by a search among hashes.

    A lookup table would do, too; but it is state, for whose sake TFX runs Beam over data that the graph needs no look at.
    """
    with tf.init_scope():
        hashes = _hashes([label.sku for label in order]).numpy()
    assert len(set(hashes.tolist())) == len(order), "two SKUs have one 63-bit hash"
    ordered = np.argsort(hashes)
    place = tf.minimum(tf.searchsorted(tf.constant(hashes[ordered]), _hashes(skus)), len(order) - 1)
    found = tf.gather(tf.constant([order[index].sku for index in ordered]), place)
    return tf.where(found == skus, tf.gather(tf.constant([order[index].index for index in ordered], tf.int64), place), -1)


def _hashes(texts: Any) -> Any:
    return tf.strings.to_hash_bucket_fast(texts, 2**63 - 1)
