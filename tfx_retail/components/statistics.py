"""StatisticsGen: TFDV's statistics of every feature but the encoded image, in one small Beam pipeline.

TFX's own reads the images with the rest, and builds a graph of a hundred steps for each split: two seconds of processor time a split,
however few crops there are. Here a file is one element: its columns are read without the images, TFDV's generators add them up, and what
they have added up is merged by split, in an order that no engine can change: the same bytes come out everywhere.
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import pyarrow as pa
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators.basic_stats_generator import BasicStatsGenerator
from tensorflow_data_validation.statistics.generators.top_k_uniques_sketch_stats_generator import TopKUniquesSketchStatsGenerator
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import artifact_utils
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, ExampleStatistics

from tfx_retail import columns, features
from tfx_retail.components.artifacts import STATISTICS_FILE
from tfx_retail.features import Kind

_IDENTIFIERS = (features.CROP_ID, features.PHOTO_ID, features.GROUP, features.TAKEN_AT, features.SOURCE_FILE, features.PERCEPTUAL_HASH)
_TYPES = {Kind.TEXT: schema_pb2.BYTES, Kind.INT: schema_pb2.INT, Kind.FLOAT: schema_pb2.FLOAT}
_ADDED_ROWS = 2_000  # rows without images that the generators get at once
_MERGED_FILES = 64  # are merged at once; of ten thousand files one worker need not hold all sums
_VALUES = 16_384  # of a text are counted exactly; which of more are the commonest is estimated, differently each time
Sums = list[Any]  # the accumulator of each of TFDV's generators


class ImageStatisticsExecutor(BaseBeamExecutor):
    """Reads, adds up, writes."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:  # noqa: N802  # TFX's name
        """Writes `Split-<role>/FeatureStats.pb`."""
        del exec_properties  # `code` is read by the cache alone
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names, statistics.span = examples.split_names, examples.span
        splits = artifact_utils.decode_split_names(examples.split_names)
        files = [
            (split, number, file)
            for split in splits
            for number, file in enumerate(columns.files(f"{artifact_utils.get_split_uri([examples], split)}/*"))
        ]
        folders = {split: artifact_utils.get_split_uri([statistics], split) for split in splits}
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(files)
                | "AddUp" >> beam.MapTuple(lambda split, number, file: ((split, number // _MERGED_FILES), (number, add_up(file))))
                | "SomeFiles" >> beam.GroupByKey()
                | "MergeSome" >> beam.MapTuple(lambda key, sums: (key[0], (key[1], merged(sums))))
                | "AllFiles" >> beam.GroupByKey()
                | "Write" >> beam.MapTuple(lambda split, sums: _write(Path(folders[split]), finished(merged(sums))))
            )


class ImageStatisticsSpec(ComponentSpec):
    """What goes in and out."""

    PARAMETERS: ClassVar[dict[str, Any]] = {"code": ExecutionParameter(type=str)}
    INPUTS: ClassVar[dict[str, Any]] = {"examples": ChannelParameter(type=Examples)}
    OUTPUTS: ClassVar[dict[str, Any]] = {"statistics": ChannelParameter(type=ExampleStatistics)}


class ImageStatistics(BaseBeamComponent):
    """Examples to statistics of each split; `code` is a digest that makes the cache see changes of the code."""

    SPEC_CLASS = ImageStatisticsSpec
    EXECUTOR_SPEC = BeamExecutorSpec(ImageStatisticsExecutor)

    def __init__(self, examples: Channel, code: str) -> None:
        super().__init__(ImageStatisticsSpec(examples=examples, statistics=Channel(type=ExampleStatistics), code=code))


def add_up(file: str) -> Sums:
    """Returns what the generators make of one file of examples; it may hold none."""
    generators = _generators()
    sums = [generator.create_accumulator() for generator in generators]
    for batch in _batches(file):
        sums = [generator.add_input(one, batch) for generator, one in zip(generators, sums, strict=True)]
    return _compact(sums)


def merged(numbered: Iterable[tuple[int, Sums]]) -> Sums:
    """Returns what was added up of several files as one, merged in the order of their numbers: sums of floats depend on their order."""
    ordered = [sums for _, sums in sorted(numbered, key=itemgetter(0))]
    merging = zip(_generators(), zip(*ordered, strict=True), strict=True)
    return _compact([generator.merge_accumulators(of_it) for generator, of_it in merging])


def finished(sums: Sums) -> bytes:
    """Returns the statistics, serialized."""
    return bytes(stats_impl.extract_statistics_output(sums, _generators()).SerializeToString(deterministic=True))


def _compact(sums: Sums) -> Sums:
    return [generator.compact(one) for generator, one in zip(_generators(), sums, strict=True)]


def _generators() -> list[Any]:
    """Those that hold sums of bounded size, however many values they have seen; numbers as TFDV's StatsOptions has them."""
    common = TopKUniquesSketchStatsGenerator(
        schema=_schema(), num_top_values=20, num_rank_histogram_buckets=1000, num_misragries_buckets=_VALUES, num_kmv_buckets=_VALUES
    )
    return [BasicStatsGenerator(), common]


def _batches(file: str) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    for batch in columns.read(file, _schema()):
        waiting.append(batch)
        if len(waiting) * columns.ROWS >= _ADDED_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns the batches as one, less the columns without any value: a feature that nothing has is no feature of the data."""
    (whole,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    known = [index for index, column in enumerate(whole.columns) if column.null_count < len(column)]
    return pa.RecordBatch.from_arrays([whole.column(index) for index in known], [whole.schema.field(index).name for index in known])


def _schema() -> schema_pb2.Schema:
    """Returns all that is read, every feature but the image. Of texts that name one crop or one photo, no common values are sought."""
    schema = schema_pb2.Schema()
    for feature in features.ALL:
        if feature is not features.IMAGE:
            added = schema.feature.add(name=feature.name, type=_TYPES[feature.kind])
            if feature in _IDENTIFIERS:
                added.string_domain.is_categorical = schema_pb2.StringDomain.CATEGORICAL_NO
    return schema


def _write(folder: Path, statistics: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATISTICS_FILE).write_bytes(statistics)
