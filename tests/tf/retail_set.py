"""A small set of drawn packs as the pipeline's Trainer gets it: examples, Transform's graph, label order, catalogue."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from PIL import Image
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from tfx_retail import features, finishing, preprocessing
from tfx_retail.components.transform import write_counts
from tfx_retail.config import AbstainConfig, AugmentConfig, CalibrationConfig, Config, ModelConfig, TrainConfig
from tfx_retail.doubt import Doubt, Settings
from tfx_retail.features import Kind
from tfx_retail.finishing import Sources

COLORS = {"cola": (200, 30, 30), "lime": (40, 190, 60), "water": (40, 70, 200), "still": (40, 70, 200), "milk": (235, 235, 225)}
CATALOG = (  # water and still look alike, only their size differs; nobody has photographed milk; gone has left the catalogue
    ("sku", "name", "category", "family", "look", "height_mm", "width_mm"),
    ("cola", "可乐 Cola", "drinks", "soda", "cola", "120", "60"),
    ("lime", "Lime", "drinks", "soda", "lime", "120", "60"),
    ("water", "Water 0.5", "drinks", "waters", "water", "200", "60"),
    ("still", "Water 1.0", "drinks", "waters", "water", "300", "80"),
    ("milk", "Milk", "dairy", "milks", "milk", "", ""),
)
LABELS = (("cola", "active"), ("gone", "retired"), ("lime", "active"), ("water", "active"), ("still", "active"), ("milk", "active"))
SETTINGS = Settings(calibration=CalibrationConfig(), abstain=AbstainConfig(), prior="train", accept_above=0.5, family_accept_above=0.5)
WANTED = (features.IMAGE, features.SKU, features.MEASURED_HEIGHT_MM)
# limits of training_data: the set is larger than nothing, and far smaller than a megabyte
WHEREVER_IMAGES_ARE_KEPT = pytest.mark.parametrize(
    ("memory_bytes", "disk_bytes"), [(2**20, 0), (0, 2**20), (0, 0)], ids=["images in memory", "images on disk", "decoded each epoch"]
)


class RetailSet(NamedTuple):
    folder: Path

    @property
    def labels(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.csv"

    def arguments(self, output: Path, config: Config, **settings: str) -> Any:
        """Returns what TFX gives to `run_fn`."""
        custom = {"config": msgspec.json.encode(config).decode(), "labels": str(self.labels), "catalog": str(self.catalog)}
        return SimpleNamespace(
            train_files=[str(self.folder / "Split-train" / "*")],
            eval_files=[str(self.folder / "Split-validation" / "*")],
            transform_output=str(self.folder / "transform"),
            serving_model_dir=str(output / "network"),
            model_run_dir=str(output / "run"),
            custom_config=custom | {"checkpoints": str(output / "checkpoints")} | settings,
        )


def pack(sku: str, number: int, size: tuple[int, int] = (40, 40), form: str = "JPEG") -> bytes:
    """Returns a photo of a pack: its colour in the middle of a noisy shelf."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(90, 160, (size[1], size[0], 3)).astype(np.uint8)
    pixels[size[1] // 6 : -size[1] // 6, size[0] // 4 : -size[0] // 4] = COLORS[sku]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **({"quality": 90} if form == "JPEG" else {}))
    return file.getvalue()


def config(train: dict[str, Any] | None = None, **model: Any) -> Config:
    """Returns settings of a training that takes seconds."""
    tree: dict[str, Any] = {
        "name": "drinks",
        "root": "",
        "catalog": {"path": ""},
        "data": {"path": "", "format": "voc"},
        "serving": {"dir": ""},
        "verdict": {"rules": [{"metric": "sku_accuracy", "at_least": 0}]},
    }
    plain = TrainConfig(
        epochs=4, batch_size=8, learning_rate=0.01, warmup_epochs=0.5, label_smoothing=0.0, augment=AugmentConfig(min_area=0.9)
    )
    return msgspec.structs.replace(
        msgspec.convert(tree, Config),
        train=msgspec.structs.replace(plain, **(train or {})),
        model=msgspec.structs.replace(ModelConfig(image_size=32, width=8, blocks=(1, 1), embedding_dim=8), **model),
    )


def example(image: bytes, sku: str, height_mm: float = math.nan, *, group: str = "") -> bytes:
    made = tf.train.Example()
    made.features.feature[features.IMAGE.name].bytes_list.value.append(image)
    made.features.feature[features.SKU.name].bytes_list.value.append(sku.encode())
    if group:
        made.features.feature[features.GROUP.name].bytes_list.value.append(group.encode())
    if math.isfinite(height_mm):
        made.features.feature[features.MEASURED_HEIGHT_MM.name].float_list.value.append(height_mm)
    return bytes(made.SerializeToString())


def finish(packs: RetailSet, output: Path) -> Doubt:
    """Makes a model of the trained network, that accepts from a score of 0.5 on."""
    sources = Sources(output / "network", packs.labels, packs.catalog, packs.folder)
    return finishing.finish(sources, SETTINGS, output / "model")


def make(folder: Path) -> RetailSet:
    """Draws 48 train, 12 validation and 48 calibration crops of four SKUs and runs Transform on them."""
    heights = {"water": 205.0, "still": 290.0}
    skus = [sku for sku in COLORS if sku != "milk"]
    train = [example(pack(sku, number), sku, heights.get(sku, math.nan)) for number in range(12) for sku in skus]
    validation = [example(pack(sku, 100 + number, form="PNG"), sku, heights.get(sku, math.nan)) for number in range(3) for sku in skus]
    calibration = [
        example(pack(sku, 300 + number), sku, heights.get(sku, math.nan), group=f"scene {number}") for number in range(12) for sku in skus
    ]
    for split, examples in (("train", train), ("validation", validation), ("calibration", calibration)):
        write_examples(folder / f"Split-{split}", examples)
    write_rows(folder / "catalog.csv", CATALOG)
    write_rows(folder / "labels.csv", [("index", "sku", "status"), *((str(i), sku, status) for i, (sku, status) in enumerate(LABELS))])
    transform(train, folder)
    return RetailSet(folder)


def transform(examples: Sequence[bytes], folder: Path, wanted: Sequence[features.Feature] = WANTED) -> None:
    """Writes the graph that TFX's Transform would write for these examples, to `transform`."""
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(_spec(wanted)))
    rows = [_raw(serialized, wanted) for serialized in examples]
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(folder / "scratch")):
        data = pipeline | beam.Create(rows)
        custom = {"labels": str(folder / "labels.csv")}
        graph = (data, metadata) | tft_beam.AnalyzeDataset(lambda inputs: preprocessing.preprocessing_fn(inputs, custom))
        graph | tft_beam.WriteTransformFn(str(folder / "transform"))
        metadata | tft_beam.WriteMetadata(str(folder / "transform" / "metadata"), pipeline)
    write_counts(folder / "transform", Counter(row[features.SKU.name].decode() for row in rows))


def write_examples(folder: Path, examples: Sequence[bytes]) -> None:
    folder.mkdir(parents=True)
    for shard in range(2):
        with tf.io.TFRecordWriter(str(folder / f"data-{shard:05d}-of-00002")) as writer:
            for serialized in examples[shard::2]:
                writer.write(serialized)


def write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _spec(wanted: Sequence[features.Feature]) -> dict[str, Any]:
    kinds = {Kind.BYTES: tf.string, Kind.TEXT: tf.string, Kind.FLOAT: tf.float32, Kind.INT: tf.int64}
    required, optional = tf.io.FixedLenFeature, tf.io.VarLenFeature
    return {f.name: required([], kinds[f.kind]) if f.required else optional(kinds[f.kind]) for f in wanted}


def _raw(serialized: bytes, wanted: Sequence[features.Feature]) -> dict[str, Any]:
    found = tf.train.Example.FromString(serialized).features.feature
    row: dict[str, Any] = {}
    for feature in wanted:
        values = list(found[feature.name].float_list.value if feature.kind is Kind.FLOAT else found[feature.name].bytes_list.value)
        row[feature.name] = values[0] if feature.required else values
    return row
