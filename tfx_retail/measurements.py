"""Measured sizes of labelled crops, read from files of examples without decoding an image, and the size model that they give."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail import features, records, size_model
from tfx_retail.answers import Hierarchy
from tfx_retail.size_model import SizeModel

_ROWS = 256
_TEXTS = (features.SKU.name, features.PHOTO_ID.name)
_SIZES = (features.MEASURED_HEIGHT_MM.name, features.MEASURED_WIDTH_MM.name)
_SPEC = {name: tf.io.FixedLenFeature([], tf.string, "") for name in _TEXTS} | {
    name: tf.io.FixedLenFeature([], tf.float32, float("nan")) for name in _SIZES
}


class Measurements(NamedTuple):
    """N crops of which a side was measured."""

    sku: list[str]
    photo: list[str]  # empty where the examples do not tell
    height_mm: NDArray[np.float32]  # [N], NaN where unknown; the same for the width
    width_mm: NDArray[np.float32]


def read(patterns: Sequence[str]) -> Measurements:
    """Returns the measured crops in the files that match, in the order of the files' names."""
    names = sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
    parts = [batch for name in names for batch in _batches(name)]
    sku, photo = ([text.decode() for part in parts for text in part[name]] for name in _TEXTS)
    height, width = (np.concatenate([np.zeros(0, np.float32), *(part[name] for part in parts)]) for name in _SIZES)
    return Measurements(sku, photo, height, width)


def fitted(patterns: Sequence[str], lists: Hierarchy) -> SizeModel:
    """Returns the size model of the crops in the files; the defaults where the catalogue has no sizes or none was measured."""
    if not ((lists.height_mm > 0) | (lists.width_mm > 0)).any():
        return SizeModel()
    measured = read(patterns)
    place = {sku: index for index, sku in enumerate(lists.skus)}
    own = np.array([place.get(sku, -1) for sku in measured.sku], np.int64)
    catalog_mm = (np.append(side, np.float32(np.nan))[own] for side in (lists.height_mm, lists.width_mm))  # -1: of no known SKU
    return size_model.fit(measured.height_mm, measured.width_mm, *catalog_mm, photo=measured.photo)


def _batches(name: str) -> Iterator[dict[str, NDArray[Any]]]:
    """Yields the measured crops of one file."""
    for batch in records.of_file(name).batch(_ROWS).map(lambda serialized: tf.io.parse_example(serialized, _SPEC)).as_numpy_iterator():
        measured = ~np.isnan([batch[size] for size in _SIZES]).all(axis=0)
        yield {feature: values[measured] for feature, values in batch.items()}
