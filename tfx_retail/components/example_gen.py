"""ExampleGen: labelled photos to tf.Examples in four roles, one crop each, image bytes as they are and never shuffled.

TFX's own would split by record, shuffle the bytes and hold them in memory, so only its artifact is kept.
"""

import shutil
from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import msgspec
from absl import logging
from tfx.components.util import examples_utils
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples

from tfx_retail.components.artifacts import IngestReport
from tfx_retail.config import SplitConfig
from tfx_retail.features import ROLES
from tfx_retail.ingest import counts, example_gen
from tfx_retail.ingest.processes import Decoders
from tfx_retail.ingest.reading import Sources, sources
from tfx_retail.ingest.record import DataError, Rejection
from tfx_retail.ingest.rows import ShardRows
from tfx_retail.ingest.shards import SHARED, Shard, load_rows, read_shard, write_fates, write_shard


class Executor(BaseBeamExecutor):
    """Reads and decodes shard by shard, decides roles from rows, then writes shard by shard without decoding again."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:  # noqa: N802  # TFX calls it so
        """Writes `Split-<role>/data_tfrecord-*` and the report.

        Raises:
          DataError: the data cannot be used; with `failure_dir`, the lists that explain it lie there.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report = Path(artifact_utils.get_single_uri(output_dict["report"]))
        explain = Path(exec_properties["failure_dir"] or report)
        example_gen.forget_failure(explain)
        split = msgspec.json.decode(exec_properties["split"], type=SplitConfig)
        paths = tuple(str(exec_properties[name]) for name in ("data", "catalog", "label_map"))
        known = sources(*paths)
        folder = report / "pass1"
        shards, rejected = _dealt(known, folder, exec_properties["shards"], split.seed)
        self._each(shards, _Read(paths))
        made = example_gen.decide(_gathered(shards, rejected), known, split, explain)
        for shard in shards:
            write_fates(shard, made.fates, made.dropped)
        folders = {role: artifact_utils.get_split_uri([examples], role) for role in _named(examples)}
        self._each(shards, _Write(len(shards), folders, split.seed))
        shutil.rmtree(folder)
        example_gen.write_report(made, report)
        logging.info("%d examples of %d photos written", made.counts.records, made.counts.photos.out)

    def _each(self, shards: list[Shard], work: beam.DoFn) -> None:
        """Does the work on each shard by Beam: a shard is one element, small, and what is read and made of it are files."""
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | "Shards" >> beam.Create(shards) | type(work).__name__ >> beam.ParDo(work)


class _Read(beam.DoFn):
    """The first pass, as something that travels to workers: they read catalogue and facts themselves."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths

    def setup(self) -> None:
        self._known = sources(*self._paths)
        self._decoders = Decoders(self._known)

    def process(self, shard: Shard) -> None:
        try:
            read_shard(shard, self._decoders, self._known)
        except BaseException:
            self._decoders.close()  # Beam tears down only what went well
            raise
        logging.info("shard %d read", shard.number)

    def teardown(self) -> None:
        self._decoders.close()


class _Write(beam.DoFn):
    """The second pass."""

    def __init__(self, count: int, folders: dict[str, str], seed: int) -> None:
        self._decided = (count, folders, seed)

    def process(self, shard: Shard) -> None:
        write_shard(shard, *self._decided)


def _dealt(known: Sources, folder: Path, shards: int, seed: int) -> tuple[list[Shard], list[Rejection]]:
    """Returns the shards, whose items lie in files from now on and not in memory, and what is refused before it is read."""
    items, rejected = example_gen.find(known.settings, known.products)
    return example_gen.deal(items, folder, shards=shards, seed=seed), rejected


def _gathered(shards: list[Shard], rejected: list[Rejection]) -> ShardRows:
    """Raises: DataError: a worker left its rows where this process cannot see them; the run would go on with less data."""
    unseen = [shard for shard in shards if not shard.rows.is_file()]
    if unseen:
        raise DataError(
            f"{len(unseen)} of {len(shards)} shards are not in {unseen[0].folder}: the workers of beam.args write elsewhere; {SHARED}"
        )
    return counts.gather(map(load_rows, shards), rejected)


def _named(examples: Any) -> tuple[str, ...]:
    """Fills in the artifact's properties as TFX's ExampleGen does, and returns its splits. The files bear no .gz: they are not packed."""
    examples.split_names = artifact_utils.encode_split_names(list(ROLES))
    examples.span, examples.version = 0, 0
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    return ROLES


class ShelfExampleGenSpec(ComponentSpec):
    """What the component is given and makes."""

    PARAMETERS: ClassVar = {
        "data": ExecutionParameter(type=str),
        "split": ExecutionParameter(type=str),
        "catalog": ExecutionParameter(type=str),
        "label_map": ExecutionParameter(type=str),
        "data_digest": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
        "shards": ExecutionParameter(type=int),
        "failure_dir": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS: ClassVar = {"examples": ChannelParameter(type=Examples), "report": ChannelParameter(type=IngestReport)}


class ShelfExampleGen(BaseBeamComponent):
    """Examples of all crops, in Split-train, -validation, -calibration and -eval, and the report of what was read."""

    SPEC_CLASS = ShelfExampleGenSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        data: str,
        split: str,
        catalog: str,
        label_map: str,
        data_digest: str,
        code_digest: str,
        shards: int,
        failure_dir: str,
    ) -> None:
        """Takes everything as texts.

        Args:
          data: `DataConfig` as JSON, its path absolute.
          split: `SplitConfig` as JSON.
          catalog: path of the catalogue, in the columns of the data contract.
          label_map: path, or empty.
          data_digest: of the files behind `data`, for the cache.
          code_digest: of the code behind this component, for the cache.
          shards: in how many files each role is written; 0: as the number of photos asks for.
          failure_dir: folder for the lists that explain a refusal; empty: the report's.
        """
        outputs = {"examples": Channel(type=Examples), "report": Channel(type=IngestReport)}
        super().__init__(
            ShelfExampleGenSpec(
                data=data,
                split=split,
                catalog=catalog,
                label_map=label_map,
                data_digest=data_digest,
                code_digest=code_digest,
                shards=shards,
                failure_dir=failure_dir,
                **outputs,
            )
        )
