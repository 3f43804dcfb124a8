"""The stock-style TFX pipeline for the same job: TFX's own components as its image examples put them together, LocalDagRunner.

It starts from TFRecords, because ImportExampleGen does; writing them is counted apart.
"""

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.components import Evaluator, ExampleValidator, ImportExampleGen, Pusher, SchemaGen, StatisticsGen, Trainer, Transform
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2

from tfx_retail.config_file import load

HELD_OUT = 0.2  # of the crops, for validation and evaluation both: the stock pipeline has two splits
MARGIN = 1.25  # random crops are cut from larger images, as in the other contenders


def main(config: Path, data: Path, out: Path) -> None:
    """Runs the pipeline and prints the figures."""
    begun = time.perf_counter()
    classes, train_examples = write_records(data, out / "records")
    written_s = time.perf_counter() - begun
    LocalDagRunner().run(_pipeline(config, out, classes, train_examples))
    print(json.dumps({"records_s": round(written_s, 1), **_figures(out)}))


def write_records(data: Path, out: Path) -> tuple[int, int]:
    """Writes one TFRecord a split; returns the number of SKUs and of training crops."""
    out.mkdir(parents=True)
    paths = sorted(data.glob("photos/*/*/*/*.jpg"))
    skus = sorted({path.parent.name for path in paths})
    random.Random(1).shuffle(paths)  # noqa: S311
    held = round(HELD_OUT * len(paths))
    for split, part in (("eval", paths[:held]), ("train", paths[held:])):
        with tf.io.TFRecordWriter(str(out / f"{split}.tfrecord")) as writer:
            for path in part:
                writer.write(_example(path, skus).SerializeToString())
    return len(skus), len(paths) - held


def _example(path: Path, skus: list[str]) -> Any:
    def text(value: str) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[path.read_bytes()])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[skus.index(path.parent.name)])),
        "family": text(path.parts[-3]),
        "category": text(path.parts[-4]),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def _pipeline(config: Path, out: Path, classes: int, train_examples: int) -> Pipeline:
    side = round(load(config).model.image_size * MARGIN)
    splits = [example_gen_pb2.Input.Split(name=name, pattern=f"{name}.tfrecord") for name in ("train", "eval")]
    examples = ImportExampleGen(input_base=str(out / "records"), input_config=example_gen_pb2.Input(splits=splits))
    statistics = StatisticsGen(examples=examples.outputs["examples"])
    schema = SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    transform = Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="benchmarks.stock_steps.preprocessing_fn",
        custom_config={"side": side},
    )
    trainer = Trainer(
        run_fn="benchmarks.stock_steps.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(num_steps=0),
        eval_args=trainer_pb2.EvalArgs(num_steps=0),
        custom_config={"config": str(config), "classes": classes, "train_examples": train_examples, "side": side},
    )
    evaluator = Evaluator(examples=examples.outputs["examples"], model=trainer.outputs["model"], eval_config=_eval_config())
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(out / "serving"))),
    )
    return Pipeline(
        pipeline_name="stock",
        pipeline_root=str(out / "pipeline"),
        components=[examples, statistics, schema, validator, transform, trainer, evaluator, pusher],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(out / "metadata.sqlite")),
    )


def _eval_config() -> Any:
    anything = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": 0.0}))
    metrics = [tfma.MetricConfig(class_name="SparseCategoricalAccuracy", threshold=anything), tfma.MetricConfig(class_name="ExampleCount")]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key="label", prediction_key="scores")],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=["category"]), tfma.SlicingSpec(feature_keys=["family"])],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def _figures(out: Path) -> dict[str, Any]:
    (folder,) = (out / "pipeline" / "Evaluator" / "evaluation").iterdir()
    overall = tfma.load_eval_result(str(folder)).get_metrics_for_slice(())
    pushed = len(list((out / "serving").iterdir()))
    return {"sku_accuracy": overall["sparse_categorical_accuracy"]["doubleValue"], "pushed": pushed}


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
