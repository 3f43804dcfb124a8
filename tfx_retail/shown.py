"""Crops of examples as a network sees them: its raw outputs once for each, with what the crop shows, and encoded images as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail import features, preprocessing, records
from tfx_retail.handover import Network, of_images
from tfx_retail.signatures import BATCH

Floats = NDArray[np.float32]

MOST_VALUES = 100_000_000  # logits and embeddings that are kept: 400 MB
_TEXTS = (features.SKU, features.GROUP, features.PHOTO_ID)
_SIZES = (features.MEASURED_HEIGHT_MM, features.MEASURED_WIDTH_MM)


class Shown(NamedTuple):
    """N crops that could be decoded."""

    sku: NDArray[Any]  # [N] str
    group: NDArray[Any]  # [N] str, names of scenes
    logits: Floats  # [N, C], as the network gives them
    embedding: Floats  # [N, d]
    height_mm: Floats  # [N], NaN where unknown; the same for the width
    width_mm: Floats

    def rows(self, kept: NDArray[np.bool_] | slice) -> "Shown":
        """Returns some of the crops."""
        return Shown(*(values[kept] for values in self))

    @property
    def outputs(self) -> dict[str, Floats]:
        """What the network gave."""
        return {"logits": self.logits, "embedding": self.embedding}


class Images(NamedTuple):
    """N encoded images with their measured sides in mm, NaN where unknown."""

    image: list[bytes]
    height_mm: list[float]
    width_mm: list[float]


def look(network: Network, image_size: int, folder: Path) -> Shown:
    """Returns the crops of a split's folder, as many as fit in memory: examples lie in a random order, so the first are a fair sample."""
    seen = of_images(network, image_size)
    parts: list[dict[str, Any]] = []
    values = 0
    for batch in _batches(folder, seen):
        parts.append(batch)
        values += batch["logits"].size + batch["embedding"].size
        if values > MOST_VALUES:
            break
    return _joined(parts, seen)


def images(folder: Path, count: int) -> Images:
    """Returns the first crops of a split's folder."""
    rows = _parsed(folder, (features.IMAGE,)).take(count)
    found = [(row[features.IMAGE.name], *(row[size.name] for size in _SIZES)) for row in rows.as_numpy_iterator()]
    return Images(*(list(column) for column in zip(*found, strict=True))) if found else Images([], [], [])


def labelled(folder: Path) -> Iterator[tuple[bytes, str]]:
    """Yields the encoded images of a split's folder and their SKUs."""
    for row in _parsed(folder, (features.IMAGE, features.SKU)).as_numpy_iterator():
        yield row[features.IMAGE.name], row[features.SKU.name].decode()


def _batches(folder: Path, seen: Any) -> Iterator[dict[str, Any]]:
    """Yields batches; the next one is computed while this one is looked at."""

    def look_at(row: dict[str, Any]) -> dict[str, Any]:
        outputs, ok = seen(row.pop(features.IMAGE.name))
        return row | outputs | {"ok": ok}

    yield from _parsed(folder, (features.IMAGE, *_TEXTS)).batch(BATCH).map(look_at).prefetch(1).as_numpy_iterator()


def _parsed(folder: Path, texts: tuple[features.Feature, ...]) -> Any:
    files = sorted(str(path) for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    spec = {text.name: tf.io.FixedLenFeature([], tf.string, "") for text in texts}
    spec |= {size.name: tf.io.FixedLenFeature([], tf.float32, float("nan")) for size in _SIZES}

    def parse(serialized: Any) -> dict[str, Any]:
        row = tf.io.parse_single_example(serialized, spec)
        return row | {size.name: preprocessing.known_mm(row[size.name]) for size in _SIZES}

    return tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string)).flat_map(records.of_file).map(parse)


def _joined(parts: list[dict[str, Any]], seen: Any) -> Shown:
    if not parts:
        outputs, ok = seen(tf.constant([], tf.string))
        empty = {text.name: np.array([], object) for text in _TEXTS} | {size.name: np.zeros(0, np.float32) for size in _SIZES}
        parts = [empty | {name: value.numpy() for name, value in outputs.items()} | {"ok": ok.numpy()}]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sku, group, photo = (np.array([value.decode() for value in whole[text.name]], object) for text in _TEXTS)
    height, width = (whole[size.name] for size in _SIZES)
    scene = np.where(group == "", photo, group)  # what no reader of ours leaves out
    return Shown(sku, scene, whole["logits"], whole["embedding"], height, width).rows(whole["ok"])
