"""Whether a model may be pushed: each rule with what was measured, what was asked for and the result."""

import math
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from tfx_retail.config import Rule, VerdictConfig

Result = Literal["pass", "fail", "too_few"]


class SignatureEvaluation(Struct, frozen=True, kw_only=True):
    """What one signature is worth on the eval role; `evaluation.json` has one under each signature's name."""

    overall: dict[str, float | None]  # metric -> value, and `examples`
    slices: list[dict[str, Any]] = []  # feature, value, then as overall
    per_class: list[dict[str, Any]] = []  # sku, examples, predicted, precision, recall, f1
    absent: list[str] = []  # SKUs without an example: they are not in macro F1

    @property
    def examples(self) -> int:
        """The number of crops that were measured."""
        return int(self.overall.get("examples") or 0)


class RuleResult(Struct, frozen=True, kw_only=True):
    """One rule, what was found and what came of it. `value` None: not measured, or not a number."""

    metric: str
    signature: str
    value: float | None
    at_least: float | None = None
    at_most: float | None = None
    examples: int
    result: Result
    text: str


class Verdict(Struct, frozen=True, kw_only=True):
    """`verdict.json`: blessed only where every rule passed."""

    blessed: bool
    rules: list[RuleResult]
    notes: list[str] = []
    schema_reviewed: bool = False
    baseline: int | None = None  # the version that the model was compared with


class InfraResult(Struct, frozen=True, kw_only=True):
    """`infra_check.json`: whether a fresh process gets the trainer's answers from the exported model."""

    passed: bool
    reason: str = ""
    differences: list[str] = []
    seconds: float = 0.0


class Circumstances(Struct, frozen=True, kw_only=True):
    """What a reader of the verdict has to know beside the rules."""

    schema_reviewed: bool
    anomalies: int = 0  # of the data, let through by `data.on_anomalies: warn`
    baseline: int | None = None


def judge(config: VerdictConfig, evaluation: dict[str, SignatureEvaluation], infra: InfraResult, circumstances: Circumstances) -> Verdict:
    """Returns the verdict; a metric that is missing or not a number fails its rule, and too few examples bless nothing."""
    rules = [_judge_rule(rule, evaluation.get(rule.signature), config.min_examples) for rule in config.rules]
    rules.append(_judge_infra(infra))
    return Verdict(
        blessed=all(rule.result == "pass" for rule in rules),
        rules=rules,
        notes=list(_notes(evaluation, circumstances)),
        schema_reviewed=circumstances.schema_reviewed,
        baseline=circumstances.baseline,
    )


def _judge_rule(rule: Rule, measured: SignatureEvaluation | None, min_examples: int) -> RuleResult:
    value = measured.overall.get(rule.metric) if measured else None
    examples = measured.examples if measured else 0
    result: Result = "pass" if _holds(rule, value) else "fail"
    if measured and examples < min_examples:
        result = "too_few"
    return RuleResult(
        metric=rule.metric,
        signature=rule.signature,
        value=None if value is None or math.isnan(value) else value,
        at_least=rule.at_least,
        at_most=rule.at_most,
        examples=examples,
        result=result,
        text=_words(rule, value, examples, min_examples),
    )


def _holds(rule: Rule, value: float | None) -> bool:
    if value is None:
        return False
    if rule.at_least is not None:
        return value >= rule.at_least  # false for NaN
    return rule.at_most is not None and value <= rule.at_most


def _words(rule: Rule, value: float | None, examples: int, min_examples: int) -> str:
    found = "not measured" if value is None else "not a number" if math.isnan(value) else f"{value:.3f}"
    asked = f"at least {rule.at_least:g}" if rule.at_least is not None else f"at most {rule.at_most:g}"
    few = f", too few: at least {min_examples} are needed" if examples < min_examples else ""
    return f"{rule.metric} of {rule.signature} is {found} (asked: {asked}; {examples:,} examples{few})"


def _judge_infra(infra: InfraResult) -> RuleResult:
    text = "a fresh process gives the trainer's answers" if infra.passed else f"infra check: {infra.reason}"
    return RuleResult(
        metric="infra_check",
        signature="all",
        value=float(infra.passed),
        at_least=1.0,
        examples=0,
        result="pass" if infra.passed else "fail",
        text=text,
    )


def _notes(evaluation: dict[str, SignatureEvaluation], circumstances: Circumstances) -> Iterator[str]:
    if not circumstances.schema_reviewed:
        yield "schema not reviewed: read the draft and accept it with `tfx-retail schema CONFIG --accept`"
    if circumstances.anomalies:
        yield f"{circumstances.anomalies} anomalies of the data were let through (data.on_anomalies: warn)"
    absent = sorted({sku for measured in evaluation.values() for sku in measured.absent})
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        yield f"{len(absent)} SKUs have no example in eval, nothing is known of them: {', '.join(absent[:5])}{more}"
