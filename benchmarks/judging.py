"""Doubt and the verdict on prediction files, as the nodes Evaluator and Verdict come to them."""

from pathlib import Path

import msgspec

from tfx_retail import doubted, look_alikes, outcomes
from tfx_retail.config import Rule, VerdictConfig
from tfx_retail.evaluation import SIGNATURES
from tfx_retail.prediction_files import read_facts
from tfx_retail.verdict import Circumstances, InfraResult, SignatureEvaluation
from tfx_retail.verdict import judge as judged


def measure(predictions: Path, evaluation: Path) -> None:
    """Adds the doubt part and the look-alikes to an `evaluation.json`."""
    found = doubted.read(predictions, "eval")
    names = look_alikes.Names(found.facts.skus, found.facts.families)
    alike = {name: look_alikes.find(found.shown.truth, answered, names) for name, answered in found.answered.items()}
    look_alikes.write(evaluation.parent / "look_alikes.csv", alike)
    before = msgspec.json.decode(evaluation.read_bytes(), type=dict[str, SignatureEvaluation])
    parts = {name: {"doubt": one, "look_alikes": look_alikes.shortened(alike[name])} for name, one in doubted.measure(found).items()}
    evaluation.write_bytes(msgspec.json.encode({name: msgspec.structs.replace(one, **parts[name]) for name, one in before.items()}))


def judge(predictions: Path, folder: Path) -> None:
    """Writes `verdict.json`."""
    facts = read_facts(predictions)
    measured = SignatureEvaluation(overall={"sku_accuracy": 0.9, "examples": facts.counts["eval"]})
    verdict = judged(
        VerdictConfig(rules=(Rule(metric="sku_accuracy", at_least=0.5),)),
        dict.fromkeys(SIGNATURES, measured),
        InfraResult(passed=True),
        Circumstances(schema_reviewed=True, baseline=1),
        crops=outcomes.read(predictions),
        earlier=outcomes.earlier(facts),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdict.json").write_bytes(msgspec.json.encode(verdict))
