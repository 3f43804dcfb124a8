"""Transform: TFX's own, on a graph that needs no look at the data, and the number of training examples of each SKU beside that graph.

As a vocabulary in `preprocessing_fn` the numbers would make TFX analyse, with ten times the Beam steps that counting takes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components import Transform
from tfx.components.transform import executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types.artifact_utils import get_single_uri, get_split_uri

from tfx_retail import columns, features, preprocessing

SPLIT = "train"


class CountingExecutor(executor.Executor):
    """TFX's executor, then the count."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:  # noqa: N802  # TFX's name
        """Writes the graph as TFX does, and `sku_counts` among its assets."""
        super().Do(input_dict, output_dict, exec_properties)
        files = columns.files(f"{get_split_uri(input_dict['examples'], SPLIT)}/*")
        graph = get_single_uri(output_dict["transform_graph"])
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(files)
                | "Count" >> beam.Map(lambda file: (SPLIT, count(file)))
                | "Add" >> beam.CombinePerKey(_added)
                | "Write" >> beam.MapTuple(lambda _, counts: write_counts(Path(graph), counts))
            )


class CountingTransform(Transform):
    """TFX's component."""

    EXECUTOR_SPEC = BeamExecutorSpec(CountingExecutor)


def count(file: str) -> dict[str, int]:
    """Returns the number of examples of each SKU in a file."""
    schema = schema_pb2.Schema()
    schema.feature.add(name=features.SKU.name, type=schema_pb2.BYTES)
    counted: Counter[str] = Counter()
    for batch in columns.read(file, schema):
        counted.update(value.decode() for value in batch.column(0).flatten().to_pylist())
    return dict(counted)


def write_counts(graph: Path, counts: Mapping[str, int]) -> None:
    """Writes lines of `<count> <sku>`, the largest first, where `TFTransformOutput.vocabulary_file_by_name` looks.

    Args:
      graph: the folder of Transform's output.
    """
    folder = graph / "transform_fn" / tf.saved_model.ASSETS_DIRECTORY
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    (folder / preprocessing.COUNTS).write_text("".join(f"{number} {sku}\n" for sku, number in ordered), encoding="utf-8")


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
