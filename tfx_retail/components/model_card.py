"""The ModelCard node: gathers what the card says from the nodes before it."""

from pathlib import Path
from typing import Any

import msgspec
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model, ModelEvaluation
from tfx.utils import path_utils

from tfx_retail import doubt
from tfx_retail.card import DataFacts, ModelFacts, model_card
from tfx_retail.components import artifacts
from tfx_retail.prediction_files import read_facts
from tfx_retail.verdict import SignatureEvaluation, Verdict
from tfx_retail.versions import EXTRA


@component
def ModelCard(  # noqa: N802, PLR0913, PLR0917  # TFX names a component after its function, and what goes in and out after the arguments
    model: InputArtifact[Model],
    report: InputArtifact[artifacts.IngestReport],
    predictions: InputArtifact[artifacts.Predictions],
    evaluation: InputArtifact[ModelEvaluation],
    verdict: InputArtifact[artifacts.Verdict],
    card: OutputArtifact[artifacts.ModelCard],
    name: Parameter[str],
    split_by: Parameter[str],
    intended_use: Parameter[str],
    licence: Parameter[str],
    code: Parameter[str],
) -> None:
    """Writes `model_card.md`."""
    del code  # read by the cache alone
    ingest = _read(Path(report.uri) / "ingest.json", dict[str, Any])
    data = DataFacts(
        roles=ingest["roles"],
        split_by=split_by,
        licence=licence,
        photos=ingest["photos"]["in"],
        rejected=ingest["rejected"],
        sized=read_facts(Path(predictions.uri)).sized["eval"],
    )
    text = model_card(
        name,
        intended_use,
        _model(Path(path_utils.serving_model_path(model.uri)) / EXTRA),
        data,
        _read(Path(evaluation.uri) / "evaluation.json", dict[str, SignatureEvaluation]),
        _read(Path(verdict.uri) / "verdict.json", Verdict),
    )
    folder = Path(card.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_card.md").write_text(text, encoding="utf-8")


def _model(extra: Path) -> ModelFacts:
    facts, doubts = _read(extra / "model.json", ModelFacts), doubt.read(extra)
    return msgspec.structs.replace(facts, accepts=dict(doubts.lines) if doubts else {})


def _read(path: Path, kind: Any) -> Any:
    return msgspec.json.decode(path.read_bytes(), type=kind)
