"""The Evaluator node: TFMA over the files of predictions, without a model, for both signatures at once. It measures and does not judge."""

from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import msgspec
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types.artifact_utils import get_single_uri
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import ModelEvaluation

from tfx_retail import columns, doubted, features, look_alikes, metrics
from tfx_retail.components import artifacts
from tfx_retail.evaluation import LEVELS, SIGNATURES, Counts, per_class
from tfx_retail.prediction_files import DECIDED, IN_TOP, LABEL, SKU_SCORES, TRUTH, PredictionFacts, file_pattern, read_facts
from tfx_retail.verdict import SignatureEvaluation

ROLE = "eval"
SLICES = (features.CATEGORY.name, features.FAMILY.name, features.BRAND.name)
_ANY = {**dict.fromkeys(metrics.METRICS), metrics.EXAMPLES: 0}  # what is said where there is nothing to measure


class SkuEvaluatorSpec(ComponentSpec):
    """What goes in and out."""

    PARAMETERS: ClassVar[dict[str, Any]] = {"code": ExecutionParameter(type=str)}
    INPUTS: ClassVar[dict[str, Any]] = {"predictions": ChannelParameter(type=artifacts.Predictions)}
    OUTPUTS: ClassVar[dict[str, Any]] = {"evaluation": ChannelParameter(type=ModelEvaluation)}


class SkuEvaluatorExecutor(BaseBeamExecutor):
    """Runs TFMA on Beam and sums its results up."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:  # noqa: N802  # TFX's name
        """Writes TFMA's own files, `evaluation.json` and `look_alikes.csv`."""
        del exec_properties  # `code` is read by the cache alone
        predictions = Path(get_single_uri(input_dict["predictions"]))
        folder = Path(get_single_uri(output_dict["evaluation"]))
        folder.mkdir(parents=True, exist_ok=True)
        with self._make_beam_pipeline() as pipeline:
            analyse(pipeline, predictions, folder)
        write_config(folder)
        result = with_doubt(summarise(folder, read_facts(predictions)), predictions, folder)
        (folder / "evaluation.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))


class SkuEvaluator(BaseBeamComponent):
    """Predictions to metrics, overall and by slice; `code` is a digest that makes the cache see changes of the code."""

    SPEC_CLASS = SkuEvaluatorSpec
    EXECUTOR_SPEC = BeamExecutorSpec(SkuEvaluatorExecutor)

    def __init__(self, predictions: Channel, code: str) -> None:
        super().__init__(SkuEvaluatorSpec(predictions=predictions, evaluation=Channel(type=ModelEvaluation), code=code))


def analyse(pipeline: beam.Pipeline, predictions: Path, folder: Path) -> None:
    """Adds to the pipeline what measures the eval role of `predictions` and writes TFMA's files into `folder`."""
    facts = read_facts(predictions)
    if not facts.counts[ROLE]:
        return  # TFMA cannot read nothing
    schema, config = _schema(facts), eval_config()
    # TFMA's default writers add files for plots, attributions and validations, all empty here, and each of them costs as much as measuring
    writer = tfma.writers.MetricsPlotsAndValidationsWriter({tfma.METRICS_KEY: str(folder / tfma.METRICS_KEY)}, config)
    _ = (
        pipeline
        | "Files" >> beam.Create(columns.files(file_pattern(predictions, ROLE)))
        | "ReadPredictions" >> beam.FlatMap(columns.read, schema).with_output_types(pa.RecordBatch)
        | "Measure" >> tfma.ExtractEvaluateAndWriteResults(eval_config=config, output_path=str(folder), schema=schema, writers=[writer])
    )


def eval_config() -> config_pb2.EvalConfig:
    """Returns what TFMA measures: one model spec a signature, its scores read from the files."""
    answers = config_pb2.MetricConfig(class_name=metrics.AnswerMetrics.__name__, module=metrics.__name__)
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(name=name, prediction_key=f"{name}/{SKU_SCORES}", label_key=LABEL) for name in SIGNATURES],
        slicing_specs=[config_pb2.SlicingSpec(), *(config_pb2.SlicingSpec(feature_keys=[name]) for name in SLICES)],
        metrics_specs=[config_pb2.MetricsSpec(metrics=[answers])],
    )


def write_config(folder: Path) -> None:
    """Writes the file by which TFMA's own tools know the results in a folder. TFMA's writer of it is a Beam pipeline for one short text."""
    run = config_pb2.EvalRun(eval_config=eval_config(), version=tfma.version.VERSION)
    (folder / "eval_config.json").write_text(json_format.MessageToJson(run), encoding="utf-8")


def summarise(folder: Path, facts: PredictionFacts) -> dict[str, SignatureEvaluation]:
    """Returns TFMA's results by signature."""
    if not facts.counts[ROLE]:
        return {name: SignatureEvaluation(overall=dict(_ANY), absent=list(facts.skus)) for name in SIGNATURES}
    return {name: _summary(tfma.load_eval_result(str(folder), model_name=name), facts.skus) for name in SIGNATURES}


def with_doubt(measured: dict[str, SignatureEvaluation], predictions: Path, folder: Path) -> dict[str, SignatureEvaluation]:
    """Returns the evaluations with how far they can be trusted, and writes into `folder` which SKU is taken for which."""
    found = doubted.read(predictions, ROLE)
    names = look_alikes.Names(found.facts.skus, found.facts.families)
    alike = {name: look_alikes.find(found.shown.truth, answered, names) for name, answered in found.answered.items()}
    look_alikes.write(folder / "look_alikes.csv", alike)
    doubts = doubted.measure(found)
    return {
        name: msgspec.structs.replace(one, doubt=doubts[name], look_alikes=look_alikes.shortened(alike[name]))
        for name, one in measured.items()
    }


def _schema(facts: PredictionFacts) -> schema_pb2.Schema:
    """Returns a schema of what is measured: TFXIO reads no other feature."""
    schema = schema_pb2.Schema()
    columns = {LABEL: (schema_pb2.INT, 1), TRUTH: (schema_pb2.INT, len(LEVELS))}
    columns |= dict.fromkeys(SLICES, (schema_pb2.BYTES, 1))
    for name in SIGNATURES:
        columns[f"{name}/{SKU_SCORES}"] = (schema_pb2.FLOAT, len(facts.skus))
        columns[f"{name}/{DECIDED}"] = (schema_pb2.INT, len(LEVELS))
        columns[f"{name}/{IN_TOP}"] = (schema_pb2.INT, 1)
    for name, (kind, size) in columns.items():
        feature = schema.feature.add(name=name, type=kind)
        feature.shape.dim.add(size=size)
        feature.presence.min_fraction = 1.0
    return schema


def _summary(result: Any, skus: list[str]) -> SignatureEvaluation:
    by_slice = {key: values[""][""] for key, values in result.slicing_metrics}
    counts = _counts(by_slice[()])
    slices = [{"feature": key[0][0], "value": key[0][1], **_numbers(values)} for key, values in by_slice.items() if key and key[0][1]]
    return SignatureEvaluation(
        overall=_numbers(by_slice[()]),
        slices=sorted(slices, key=lambda row: (SLICES.index(row["feature"]), row["value"])),
        per_class=per_class(counts, skus),
        absent=[sku for index, sku in enumerate(skus) if not counts.get(index, (0, 0, 0))[0]],
    )


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: values[name]["doubleValue"] for name in metrics.METRICS}
    return {**numbers, metrics.EXAMPLES: int(values[metrics.EXAMPLES]["doubleValue"])}


def _counts(values: dict[str, Any]) -> Counts:
    array = values[metrics.CLASS_COUNTS]["arrayValue"]
    rows = np.array(array["float64Values"], np.int64).reshape(array["shape"])
    return {int(label): (int(examples), int(answered), int(right)) for label, examples, answered, right in rows}
