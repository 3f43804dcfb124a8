"""The files of a run that evaluated many crops of many SKUs, made from seeded random numbers by the pipeline's own writers.

No model and no shelf stands behind them; sizes and shapes are those of a large shop: looks of two SKUs, families of ten, scenes of forty
crops, an earlier model that is nearly as good.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from tfx_retail import catalog, features, prediction_files, predictions
from tfx_retail.catalog import Catalog, Product
from tfx_retail.evaluation import SIGNATURES, Decisions, Indices
from tfx_retail.prediction_files import PredictionFacts
from tfx_retail.predictions import Answers, Doubt

_CHUNK = 1000
_PER_SCENE, _PER_STORE = 40, 100  # crops of a scene, scenes of a store
_MODELS = ("", prediction_files.BASELINE)
_PHOTOS = 64  # different ones: what a page costs depends on their bytes, not on what they show
_SEED = 5


class Shelf(NamedTuple):
    """S SKUs and their hierarchy."""

    skus: list[str]
    levels: Indices  # [S, 4] indices of features.LEVELS


class Rows(NamedTuple):
    """Some crops and what was answered to them."""

    serialized: list[bytes]  # examples as ExampleGen writes them
    truth: Indices  # [N, 4]
    answers: dict[str, Answers]


def shelf(count: int) -> Shelf:
    """Returns SKUs of which a fifth share their look with a neighbour."""
    sku = np.arange(count)
    look = sku - (sku % 10 == 1)  # one pair in ten SKUs
    _, look = np.unique(look, return_inverse=True)
    return Shelf(
        [f"brand-{number // 40:02}-product-{number:05}-330ml" for number in range(count)], np.stack([sku, look, sku // 10, sku // 100], 1)
    )


def products(given: Shelf) -> Catalog:
    """Returns their catalogue."""
    rows = [
        Product(sku=sku, name=sku, category=f"category {c}", family=f"family {f}", look=f"look {k}", height_mm=200.0, width_mm=80.0)
        for sku, (_, k, f, c) in zip(given.skus, given.levels.tolist(), strict=True)
    ]
    return catalog.of(tuple(rows))


def write(folder: Path, crops: int, given: Shelf) -> None:
    """Writes `examples` and `predictions`, the eval role alone."""
    examples, made = folder / "examples" / "Split-eval" / "data_tfrecord-00000-of-00001", folder / "predictions"
    target = prediction_files.file_path(made, "eval", 0, 1)
    for path in (examples, target):
        path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(examples)) as photos, tf.io.TFRecordWriter(str(target)) as answered:
        for rows in _rows(crops, given):
            for row, serialized in enumerate(rows.serialized):
                photos.write(serialized)
                answered.write(predictions.encode(serialized, row, rows.truth, rows.answers))
    prediction_files.write_facts(made, _facts(crops, given))


def _facts(crops: int, given: Shelf) -> PredictionFacts:
    looks, families, categories = (int(column.max()) + 1 for column in given.levels.T[1:])
    counts = np.bincount(given.levels[:, 1])
    return PredictionFacts(
        counts={"eval": crops},
        sized={"eval": crops},
        skus=given.skus,
        looks=[f"look {number}" for number in range(looks)],
        families=[f"family {number}" for number in range(families)],
        categories=[f"category {number}" for number in range(categories)],
        top=5,
        baseline=str(Path("versions") / "1"),
        training_crops={sku: number % 40 for number, sku in enumerate(given.skus)},
        same_look=[sku for sku, look in zip(given.skus, given.levels[:, 1], strict=True) if counts[look] > 1],
    )


def _rows(crops: int, given: Shelf) -> Iterator[Rows]:
    random = np.random.default_rng(_SEED)
    photos = [_photo(random) for _ in range(_PHOTOS)]
    for start in range(0, crops, _CHUNK):
        truth = given.levels[(len(given.skus) * random.random(min(_CHUNK, crops - start)) ** 2).astype(np.int64)]  # few sell most
        serialized = [_example(start + row, levels, photos, given, random) for row, levels in enumerate(truth.tolist())]
        luck = random.random(len(truth))
        yield Rows(serialized, truth, {f"{model}{name}": _answers(truth, given, luck, random) for model in _MODELS for name in SIGNATURES})


def _answers(truth: Indices, given: Shelf, luck: NDArray[Any], random: np.random.Generator) -> Answers:
    """Returns answers of which nine in ten are right; the wrong ones are neighbours, and now and then anything."""
    count, skus = len(truth), len(given.skus)
    right = luck + random.normal(0, 0.05, count) < 0.9  # what one model finds hard is hard for another
    near = np.clip(truth[:, 0] + random.integers(-3, 4, count), 0, skus - 1)
    wrong = np.where(random.random(count) < 0.8, near, random.integers(0, skus, count))
    sku = np.where(right, truth[:, 0], wrong)
    sure = np.where(right, random.beta(8, 1.5, count), random.beta(3, 3, count)).astype(np.float32)
    scores = random.random((count, skus), np.float32)
    scores *= ((1 - sure) / scores.sum(axis=1))[:, None]
    scores[np.arange(count), sku] = sure
    families = np.zeros((count, int(given.levels[:, 2].max()) + 1), np.float32)
    decided = Decisions(given.levels[sku], np.repeat(sure[:, None], 3, axis=1))
    losses = np.stack([(1 - sure) ** 2, -np.log(np.where(right, sure, 0.01))], axis=1).astype(np.float32)
    accepted = np.stack([sure > 0.8, sure > 0.3], axis=1).astype(np.int64)
    doubt = Doubt(accepted, sure, np.column_stack([sure**0.5, losses]).astype(np.float32))
    top = right | (random.random(count) < 0.5)
    return Answers(scores, families, np.zeros(count, np.float32), decided, top, losses, doubt)


def _example(number: int, levels: list[int], photos: list[bytes], given: Shelf, random: np.random.Generator) -> bytes:
    scene = number // _PER_SCENE
    texts: dict[str, str | bytes] = {
        features.IMAGE.name: photos[number % len(photos)],
        features.SKU.name: given.skus[levels[0]],
        features.BRAND.name: f"brand {levels[0] // 40}",
        features.CROP_ID.name: f"2026/scene-{scene:05}.jpg#{number % _PER_SCENE}",
        features.PHOTO_ID.name: f"2026/scene-{scene:05}.jpg",
        features.GROUP.name: f"scene {scene}",
        features.STORE.name: f"store {scene // _PER_STORE}",
        features.TAKEN_AT.name: f"2026-{1 + scene % 11:02}-{1 + scene % 28:02}T10:00:00",
        features.FACE.name: "side" if number % 9 == 0 else "front",
        features.SOURCE.name: "shelf",
        **{feature.name: f"{feature.name} {level}" for feature, level in zip(_LEVELS, levels[1:], strict=True)},
    }
    made = tf.train.Example()
    for name, text in texts.items():
        made.features.feature[name].bytes_list.value.append(text if isinstance(text, bytes) else text.encode())
    for feature in (features.TRUNCATED, features.OCCLUDED, features.DIFFICULT):
        made.features.feature[feature.name].int64_list.value.append(int(number % 20 == 0))
    for feature, side_mm in ((features.MEASURED_HEIGHT_MM, 200.0), (features.MEASURED_WIDTH_MM, 80.0)):
        made.features.feature[feature.name].float_list.value.append(side_mm * random.normal(1.0, 0.05))
    return bytes(made.SerializeToString())


_LEVELS = (features.LOOK, features.FAMILY, features.CATEGORY)


def _photo(random: np.random.Generator) -> bytes:
    """Returns a JPEG of 160 px, some 5 kB."""
    small = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
    file = io.BytesIO()
    small.resize((160, 160), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()
