"""The one definition of the pipeline: every runner, here and on a scheduler, takes what `build_pipeline` returns."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tfx.components import Trainer, Tuner
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2

from tfx_retail import lineage, preprocessing, pretraining, shipped, training, tuning
from tfx_retail.compiled import CALIBRATOR, LEARNERS, PRETRAIN, PUSHER, SIBLING, TRAINER, TUNER, VERDICT
from tfx_retail.components.calibrator import Calibrator
from tfx_retail.components.data_gate import DataGate
from tfx_retail.components.evaluator import SkuEvaluator
from tfx_retail.components.example_gen import ShelfExampleGen
from tfx_retail.components.infra_check import InfraCheck
from tfx_retail.components.labels import RetailLabels
from tfx_retail.components.model_card import ModelCard
from tfx_retail.components.predictions import SkuPredictions
from tfx_retail.components.pretrain import SkuPretrain
from tfx_retail.components.pusher import RetailPusher
from tfx_retail.components.schema import DraftSchemaGen, ImageBlindValidator, ReviewedSchema
from tfx_retail.components.sibling import SkuSibling
from tfx_retail.components.statistics import ImageStatistics
from tfx_retail.components.transform import CountingTransform
from tfx_retail.components.verdict import SkuVerdict
from tfx_retail.config import Config
from tfx_retail.digests import code_digest, text_digest
from tfx_retail.doubt import Settings
from tfx_retail.inputs import RunInputs, model_dir, pretraining_view, sibling_view, training_view, workspace

# work on all photos, for minutes: a scheduler gives them a pool of their own
HEAVY = frozenset({"ExampleGen", "StatisticsGen", "Transform", *LEARNERS, CALIBRATOR, "Predictions", "Evaluator"})


def build_pipeline(config: Config, inputs: RunInputs) -> Pipeline:
    """Returns the TFX pipeline of a configuration, from photos to a pushed version."""
    place = workspace(config)
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(place.nodes),
        components=_nodes(config, inputs),
        enable_cache=config.cache,
        metadata_connection_config=lineage.sqlite_config(place.metadata),
        beam_pipeline_args=shipped.beam_arguments(config, inputs),
    )


def checkpoint_folders(config: Config, inputs: RunInputs) -> dict[str, Path]:
    """Returns where nodes that train keep their state: one place for one combination of settings, data, labels and code."""
    views = {TRAINER: training_view(config)}
    views |= {SIBLING: sibling_view(config)} if config.unknowns.hold_out else {}
    given = (inputs.data_digest, inputs.labels.name, inputs.catalog.name, inputs.crops_digest, code_digest(training.__name__))
    digests = {node: text_digest(msgspec.json.encode((view, config.split)), *given) for node, view in views.items()}
    if config.tune:
        digests[TUNER] = text_digest(digests[TRAINER], code_digest(tuning.__name__))
    if config.pretrain:
        code = code_digest(pretraining.__name__)
        digests[PRETRAIN] = text_digest(_json(pretraining_view(config)), _json(config.pretrain), inputs.crops_digest, code)
    return {node: workspace(config).checkpoints / digest for node, digest in digests.items()}


def _nodes(config: Config, inputs: RunInputs) -> list[BaseNode]:
    data = _data_nodes(config, inputs)
    examples, gate, labels = data["ExampleGen"], data["DataGate"], data["Labels"]
    schema = data.get("ImportSchemaGen") or data["SchemaGen"]
    transform = _transform(inputs, examples, schema)
    transform.add_upstream_nodes([gate, labels])
    pretrain = _pretrain(config, inputs) if config.pretrain else None
    tuner = _tuner(config, inputs, examples, transform, pretrain) if config.tune else None
    trainer = _trainer(config, inputs, examples, transform, pretrain, tuner)
    sibling = _sibling(config, inputs, examples, transform, pretrain) if config.unknowns.hold_out else None
    made = Made(
        examples=examples.outputs["examples"],
        report=examples.outputs["report"],
        data_check=gate.outputs["check"],
        trained=trainer.outputs["model"],
        labels=labels.outputs["labels"],
        sibling=sibling.outputs["sibling"] if sibling else None,
    )
    learners = [node for node in (pretrain, tuner, trainer, sibling) if node]
    return [*data.values(), transform, *learners, *finishing_nodes(config, inputs, made, untaught=False)]


def _data_nodes(config: Config, inputs: RunInputs) -> dict[str, Any]:
    examples = ShelfExampleGen(
        data=_json(config.data),
        split=_json(config.split),
        catalog=str(inputs.catalog),
        label_map=str(inputs.label_map or ""),
        data_digest=inputs.data_digest,
        code_digest=code_digest(ShelfExampleGen.__module__),
        shards=config.beam.shards,
        failure_dir=str(workspace(config).root),
    ).with_id("ExampleGen")
    statistics = ImageStatistics(examples.outputs["examples"], code=code_digest(ImageStatistics.__module__)).with_id("StatisticsGen")
    if inputs.schema:
        schema = ReviewedSchema(schema_file=str(inputs.schema)).with_id("ImportSchemaGen")
    else:
        schema = DraftSchemaGen(statistics=statistics.outputs["statistics"]).with_id("SchemaGen")
    validator = ImageBlindValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]).with_id(
        "ExampleValidator"
    )
    gate = DataGate(
        anomalies=validator.outputs["anomalies"],
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        report=examples.outputs["report"],
        on_anomalies=config.data.on_anomalies,
        reviewed=int(inputs.schema is not None),
        code=code_digest(DataGate.__module__),
    )
    labels = RetailLabels(
        labels_file=str(inputs.labels), catalog_file=str(inputs.catalog), code=code_digest(RetailLabels.__module__)
    ).with_id("Labels")
    nodes = (examples, statistics, schema, validator, gate, labels)
    return {node.id: node for node in nodes}


def _transform(inputs: RunInputs, examples: Any, schema: Any) -> CountingTransform:
    return CountingTransform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn=f"{preprocessing.__name__}.{preprocessing.preprocessing_fn.__name__}",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"]),
        custom_config={"labels": str(inputs.labels), "code_digest": code_digest(CountingTransform.__module__)},
        materialize=False,  # images stay where they are: Trainer reads the examples and applies the graph
        disable_statistics=True,  # StatisticsGen has them
        disable_analyzer_cache=True,  # nothing is analysed
    ).with_id("Transform")


def _pretrain(config: Config, inputs: RunInputs) -> BaseNode:
    return SkuPretrain(
        config=_json(pretraining_view(config)),
        pretrain=_json(config.pretrain),
        crops_digest=inputs.crops_digest,
        checkpoints=str(checkpoint_folders(config, inputs)[PRETRAIN]),
        code=code_digest(SkuPretrain.__module__),
    ).with_id(PRETRAIN)


def _trainer(config: Config, inputs: RunInputs, examples: Any, transform: CountingTransform, pretrain: Any, tuner: Any) -> Trainer:
    return Trainer(
        run_fn=f"{training.__name__}.{training.run_fn.__name__}",
        hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        custom_config=_training_config(config, inputs, TRAINER) | {"code_digest": code_digest(training.__name__)},
        **_learnt_from(examples, transform, pretrain),
    ).with_id(TRAINER)


def _tuner(config: Config, inputs: RunInputs, examples: Any, transform: CountingTransform, pretrain: Any) -> Tuner:
    custom = {"fragment": str(workspace(config).root / "tuned.yaml"), "code_digest": code_digest(tuning.__name__)}
    return Tuner(
        tuner_fn=f"{tuning.__name__}.{tuning.tuner_fn.__name__}",
        custom_config=_training_config(config, inputs, TUNER) | custom,
        **_learnt_from(examples, transform, pretrain),
    ).with_id(TUNER)


def _learnt_from(examples: Any, transform: CountingTransform, pretrain: Any) -> dict[str, Any]:
    return {
        "examples": examples.outputs["examples"],
        "transform_graph": transform.outputs["transform_graph"],
        "base_model": pretrain.outputs["trunk"] if pretrain else None,
        "train_args": trainer_pb2.TrainArgs(splits=["train"]),
        "eval_args": trainer_pb2.EvalArgs(splits=["validation"]),
    }


def _training_config(config: Config, inputs: RunInputs, node: str) -> dict[str, str]:
    checkpoints = checkpoint_folders(config, inputs)[node]
    return {
        "config": _json(training_view(config)),
        "labels": str(inputs.labels),
        "catalog": str(inputs.catalog),
        "checkpoints": str(checkpoints),
        "progress": str(checkpoints / "progress.jsonl"),
    }


def _sibling(config: Config, inputs: RunInputs, examples: Any, transform: CountingTransform, pretrain: Any) -> BaseNode:
    return SkuSibling(
        examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        config=_json(sibling_view(config)),
        labels=str(inputs.labels),
        catalog=str(inputs.catalog),
        checkpoints=str(checkpoint_folders(config, inputs)[SIBLING]),
        code=code_digest(SkuSibling.__module__),
        **({"trunk": pretrain.outputs["trunk"]} if pretrain else {}),
    ).with_id(SIBLING)


class Made(NamedTuple):
    """What the nodes need that make a model of a trained network, and judge it: channels."""

    examples: Any
    report: Any
    data_check: Any
    trained: Any
    labels: Any
    sibling: Any = None  # where one was trained


def finishing_nodes(config: Config, inputs: RunInputs, made: Made, *, untaught: bool) -> list[BaseNode]:
    """Returns the nodes from the Calibrator to the Pusher.

    Args:
      untaught: whether SKUs without a photo may be answered where the network was taught their look.
    """
    calibrator = Calibrator(
        examples=made.examples,
        trained=made.trained,
        labels=made.labels,
        settings=_json(Settings.of(config.calibration, config.abstain, config.serving)),
        weights=str(inputs.weights or ""),
        untaught=int(untaught),
        code=code_digest(Calibrator.__module__),
        **({"sibling": made.sibling} if made.sibling else {}),
    ).with_id(CALIBRATOR)
    return [calibrator, *_judging_nodes(config, inputs, made, calibrator)]


def _judging_nodes(config: Config, inputs: RunInputs, made: Made, calibrator: Any) -> list[BaseNode]:
    model = calibrator.outputs["model"]
    predictions = SkuPredictions(
        examples=made.examples,
        model=model,
        baseline=str(inputs.baseline.path) if inputs.baseline else "",
        reference=str(inputs.reference.path) if inputs.reference else "",
        code=code_digest(SkuPredictions.__module__),
    ).with_id("Predictions")
    evaluator = SkuEvaluator(predictions.outputs["predictions"], code=code_digest(SkuEvaluator.__module__)).with_id("Evaluator")
    infra = InfraCheck(model=model, code=code_digest(InfraCheck.__module__))
    verdict = SkuVerdict(
        evaluation=evaluator.outputs["evaluation"],
        infra=infra.outputs["check"],
        model=model,
        predictions=predictions.outputs["predictions"],
        data_check=made.data_check,
        rules=_json(config.verdict),
        code=code_digest(SkuVerdict.__module__),
    ).with_id(VERDICT)
    card = ModelCard(
        model=model,
        report=made.report,
        predictions=predictions.outputs["predictions"],
        evaluation=evaluator.outputs["evaluation"],
        verdict=verdict.outputs["verdict"],
        name=config.name,
        split_by=config.split.by,
        intended_use=config.card.intended_use,
        licence=config.card.data_licence,
        code=code_digest(ModelCard.__module__),
    )
    pusher = RetailPusher(
        model=model,
        blessing=verdict.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        verdict=verdict.outputs["verdict"],
        card=card.outputs["card"],
        model_dir=str(model_dir(config)),
        name=config.name,
        config=_json(config),
        config_digest=inputs.config_digest,
        data_digest=inputs.data_digest,
        code_digest=code_digest(training.__name__),
        code=code_digest(RetailPusher.__module__),
    ).with_id(PUSHER)
    return [predictions, evaluator, infra, verdict, card, pusher]


def _json(section: object) -> str:
    return msgspec.json.encode(section).decode()
