"""Statistics of examples: TFX's own numbers, for every feature but the image, from files of any size."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatistics
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.components.statistics_gen.executor import Executor as TfxExecutor
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts

from tfx_retail import columns
from tfx_retail.components.statistics import ImageStatisticsExecutor, add_up, finished, merged

SKUS = {"train": ["cola", "可乐", "cola", "lime"] * 50, "eval": ["cola"], "calibration": []}


def example(number: int, sku: str) -> bytes:
    made = tf.train.Example()
    texts = {"image_bytes": "not text", "sku": sku, "crop_id": f"p{number}.jpg#1", "store": "north" if number % 2 else ""}
    for name, text in texts.items():
        if text:
            made.features.feature[name].bytes_list.value.append(text.encode())
    made.features.feature["brightness"].float_list.value.append(number % 5 / 4)
    made.features.feature["width_px"].int64_list.value.append(100 + number)
    return bytes(made.SerializeToString())


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three files a split; the last of each, and all of one split, are empty."""
    made = standard_artifacts.Examples()
    made.uri = str(tmp_path_factory.mktemp("examples"))
    made.split_names = artifact_utils.encode_split_names(list(SKUS))
    examples_utils.set_payload_format(made, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    for split, skus in SKUS.items():
        folder = Path(artifact_utils.get_split_uri([made], split))
        folder.mkdir()
        for part in range(3):
            with tf.io.TFRecordWriter(str(folder / f"data_tfrecord-{part:05d}-of-00003")) as writer:
                for number, sku in enumerate(skus):
                    if number % 2 == part:
                        writer.write(example(number, sku))
    return made


def measured(executor: Any, examples: Any, folder: Path, **properties: str) -> Any:
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(folder)
    executor().Do({"examples": [examples]}, {"statistics": [statistics]}, properties)
    return statistics


def of(statistics: Any, split: str) -> DatasetFeatureStatistics:
    (found,) = stats_artifact_utils.load_statistics(statistics, split).proto().datasets
    return found


@pytest.fixture(scope="module")
def ours(examples: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return measured(ImageStatisticsExecutor, examples, tmp_path_factory.mktemp("ours"))


def by_name(found: DatasetFeatureStatistics) -> dict[str, Any]:
    return {feature.path.step[0]: feature for feature in found.features}


def test_the_numbers_are_those_of_tfx(examples: Any, ours: Any, tmp_path: Path) -> None:
    stock = measured(TfxExecutor, examples, tmp_path, exclude_splits='["eval", "calibration"]')
    expected, found = by_name(of(stock, "train")), by_name(of(ours, "train"))
    assert set(expected) == {*found, "image_bytes"}
    assert [found[name] for name in ("sku", "store", "width_px")] == [expected[name] for name in ("sku", "store", "width_px")]
    assert found["brightness"].num_stats.mean == pytest.approx(expected["brightness"].num_stats.mean)
    assert found["brightness"].num_stats.histograms == expected["brightness"].num_stats.histograms
    assert found["crop_id"].string_stats.common_stats == expected["crop_id"].string_stats.common_stats


def test_numbers_and_common_texts_are_counted(ours: Any) -> None:
    found = of(ours, "train")
    features = by_name(found)
    assert found.num_examples == 200
    assert [(value.value, value.frequency) for value in features["sku"].string_stats.top_values] == [
        ("cola", 100),
        ("可乐", 50),
        ("lime", 50),
    ]
    assert (features["store"].string_stats.common_stats.num_non_missing, features["store"].string_stats.common_stats.num_missing) == (
        100,
        100,
    )
    assert (features["width_px"].num_stats.min, features["width_px"].num_stats.max) == (100, 299)
    assert features["brightness"].num_stats.mean == pytest.approx(0.5)


def test_names_of_single_crops_are_counted_and_not_compared(ours: Any) -> None:
    texts = by_name(of(ours, "train"))["crop_id"].string_stats
    assert (texts.common_stats.num_non_missing, texts.unique, len(texts.top_values)) == (200, 0, 0)


def test_what_no_crop_of_a_split_has_is_not_a_feature_of_it(ours: Any) -> None:
    assert set(by_name(of(ours, "eval"))) == {"sku", "crop_id", "brightness", "width_px"}  # a store is known of every other crop only


def test_a_split_without_examples_has_none(ours: Any) -> None:
    assert artifact_utils.decode_split_names(ours.split_names) == list(SKUS)
    assert (of(ours, "calibration").num_examples, len(of(ours, "calibration").features)) == (0, 0)


def test_the_same_examples_give_the_same_bytes(examples: Any, ours: Any, tmp_path: Path) -> None:
    again = measured(ImageStatisticsExecutor, examples, tmp_path)
    for split in SKUS:
        first, second = (Path(artifact_utils.get_split_uri([made], split), "FeatureStats.pb") for made in (ours, again))
        assert first.read_bytes() == second.read_bytes()


def test_files_come_to_the_same_bytes_in_whatever_order_an_engine_merges_them(examples: Any) -> None:
    files = list(enumerate(columns.files(f"{artifact_utils.get_split_uri([examples], 'train')}/*")))
    orders = (files, files[::-1], [*files[1:], *files[:1]])
    assert len({finished(merged([(number, add_up(file)) for number, file in order])) for order in orders}) == 1
