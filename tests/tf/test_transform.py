"""Transform's node: the graph as TFX writes it, without a look at the data, and the count of each SKU beside it."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts

from tests.tf.retail_set import LABELS, example, write_rows
from tfx_retail import preprocessing
from tfx_retail.components.transform import CountingExecutor

SKUS = {"train": ["lime", "cola", "newcomer", "cola", "可乐 zero", "cola"], "eval": ["lime"]}
SCHEMA = """
feature { name: "image_bytes" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "sku" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "measured_height_mm" type: FLOAT value_count { min: 1 max: 1 } }
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tft.TFTransformOutput:
    """What the executor makes of two files a split, some of them empty."""
    folder = tmp_path_factory.mktemp("transform")
    write_rows(folder / "labels.csv", [("index", "sku", "status"), *((str(i), sku, status) for i, (sku, status) in enumerate(LABELS))])
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(SCHEMA, encoding="utf-8")
    examples, schema, made = standard_artifacts.Examples(), standard_artifacts.Schema(), standard_artifacts.TransformGraph()
    examples.uri, schema.uri, made.uri = (str(folder / name) for name in ("examples", "schema", "graph"))
    examples.split_names = artifact_utils.encode_split_names(list(SKUS))
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    for split, skus in SKUS.items():
        write(Path(artifact_utils.get_split_uri([examples], split)), skus)
    CountingExecutor(CountingExecutor.Context(tmp_dir=str(folder / "tmp"), unique_id="1")).Do(
        {"examples": [examples], "schema": [schema]}, {"transform_graph": [made]}, properties(folder)
    )
    return tft.TFTransformOutput(made.uri)


def properties(folder: Path) -> dict[str, Any]:
    return {
        "preprocessing_fn": f"{preprocessing.__name__}.{preprocessing.preprocessing_fn.__name__}",
        "splits_config": '{"analyze": ["train"]}',
        "custom_config": json.dumps({"labels": str(folder / "labels.csv")}),
        "disable_statistics": 1,
        "force_tf_compat_v1": 0,
    }


def write(folder: Path, skus: list[str]) -> None:
    folder.mkdir(parents=True)
    for part in range(2):
        with tf.io.TFRecordWriter(str(folder / f"data_tfrecord-{part:05d}-of-00002")) as writer:
            for sku in skus[part::2]:
                writer.write(example(b"image", sku, 205.0))


def test_the_skus_of_train_are_counted(graph: tft.TFTransformOutput) -> None:
    file = Path(graph.vocabulary_file_by_name(preprocessing.COUNTS))
    assert file.read_text(encoding="utf-8") == "3 cola\n1 lime\n1 newcomer\n1 可乐 zero\n"


def test_the_graph_gives_labels_images_and_sizes(graph: tft.TFTransformOutput) -> None:
    rows = [example(b"one", "lime", 205.0), example(b"two", "newcomer"), example(b"three", "cola", -1.0)]
    found = graph.transform_features_layer()(tf.io.parse_example(rows, graph.raw_feature_spec()))
    assert found["label"].numpy().tolist() == [2, -1, 0]
    assert found["image_bytes"].numpy().tolist() == [b"one", b"two", b"three"]
    assert [str(size) for size in found["measured_height_mm"].numpy()] == ["205.0", "nan", "nan"]
