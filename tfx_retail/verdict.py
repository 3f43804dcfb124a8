"""Whether a model may be pushed: each rule with what was measured, what was asked for and the result."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from tfx_retail import comparison, doubt_rules
from tfx_retail.comparison import Earlier, Interval, Measured, SliceResult
from tfx_retail.config import Rule, VerdictConfig
from tfx_retail.doubt_rules import Finding
from tfx_retail.look_alikes import LookAlikes
from tfx_retail.measured_doubt import MeasuredDoubt
from tfx_retail.runs import Override
from tfx_retail.slices import ALL, SIZE_PAIRS, TOP_FACINGS, Crops

Result = Literal["pass", "fail", "too_few", "listed"]
_NAMED = 5  # names in a note before it is cut


class SignatureEvaluation(Struct, frozen=True, kw_only=True):
    """What one signature is worth on the eval role; `evaluation.json` has one under each signature's name."""

    overall: dict[str, float | None]  # metric -> value, and `examples`
    slices: list[dict[str, Any]] = []  # feature, value, then as overall
    per_class: list[dict[str, Any]] = []  # sku, examples, predicted, precision, recall, f1
    absent: list[str] = []  # SKUs without an example: they are not in macro F1
    doubt: MeasuredDoubt | None = None  # None: evaluated by an earlier version of this package
    look_alikes: LookAlikes | None = None

    @property
    def examples(self) -> int:
        """The number of crops that were measured."""
        return int(self.overall.get("examples") or 0)


class RuleResult(Struct, frozen=True, kw_only=True):
    """One rule, what was found and what came of it. `value` None: not measured, or not a number."""

    kind: Literal["absolute", "proof", "slice", "infra"] = "absolute"  # `proof`: too few examples to prove a fault do not block
    metric: str
    signature: str
    value: float | None
    at_least: float | None = None
    at_most: float | None = None
    examples: int
    result: Result
    text: str
    interval: Interval | None = None  # of the value, of a slice's loss; None where no exact one is known
    groups: int | None = None  # scenes that the examples come from
    # from here on for slices only
    against: Literal["baseline", "reference"] | None = None
    version: int | None = None  # of the model that `against` names
    feature: str | None = None
    slice: str | None = None
    baseline_value: float | None = None  # of the model that `against` names
    loss: float | None = None  # baseline_value - value
    margin: float | None = None  # the largest loss that is allowed
    smallest_loss: float | None = None  # that would have been refused; None: there are too few groups to refuse any
    masked: Measured | None = None  # both models asked about common SKUs only; None where the catalogue is the same


class Verdict(Struct, frozen=True, kw_only=True):
    """`verdict.json`: blessed where every rule passed; slices and rules of proof with too few groups neither block nor pass."""

    blessed: bool
    rules: list[RuleResult]
    slices: list[RuleResult] = []  # compared, and not gating
    notes: list[str] = []
    schema_reviewed: bool = False
    baseline: int | None = None  # the version that the model was compared with
    reference: int | None = None  # the pinned one
    overridden: Override | None = None  # in the copy beside a model that a person blessed after all


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


def judge(
    config: VerdictConfig,
    evaluation: dict[str, SignatureEvaluation],
    infra: InfraResult,
    circumstances: Circumstances,
    *,
    crops: Crops | None = None,
    earlier: Mapping[str, Earlier] | None = None,
) -> Verdict:
    """Returns the verdict; a metric that is missing or not a number fails its rule, and too few examples bless nothing.

    Args:
      crops: what the intervals and the comparison are made from; without them there are none.
      earlier: `baseline` and `reference`, as far as there are such models.
    """
    known = dict(earlier or {})
    gating, listed = comparison.compare(crops, known, config) if crops else ([], [])
    rules = [_judge_rule(rule, evaluation.get(rule.signature), config, crops) for rule in config.rules]
    rules += [_judge_infra(infra), *_slice_rules(gating, known, config.margin)]
    return Verdict(
        blessed=not any(_blocks(rule) for rule in rules),
        rules=rules,
        slices=_slice_rules(listed, known, config.margin),
        notes=[*_notes(evaluation, circumstances), *_unjudged(config, rules), *_comparison_notes(config, circumstances, known, gating)],
        schema_reviewed=circumstances.schema_reviewed,
        baseline=circumstances.baseline,
        reference=config.reference,
    )


def _blocks(rule: RuleResult) -> bool:
    return rule.result == "fail" or (rule.result == "too_few" and rule.kind not in ("slice", "proof"))


def _judge_rule(rule: Rule, measured: SignatureEvaluation | None, config: VerdictConfig, crops: Crops | None) -> RuleResult:
    found = doubt_rules.find(rule, measured.doubt if measured else None)
    if found is not None:
        return _judge_doubt(rule, found, measured.examples if measured else 0, config.min_examples)
    value = measured.overall.get(rule.metric) if measured else None
    examples = measured.examples if measured else 0
    result: Result = "pass" if _holds(rule, value) else "fail"
    if measured and examples < config.min_examples:
        result = "too_few"
    interval = comparison.interval(crops, rule.metric, rule.signature, config.alpha) if crops else None
    return RuleResult(
        metric=rule.metric,
        signature=rule.signature,
        value=None if value is None or math.isnan(value) else value,
        at_least=rule.at_least,
        at_most=rule.at_most,
        examples=examples,
        result=result,
        text=_words(rule, value, examples, config.min_examples, interval),
        interval=interval,
        groups=comparison.groups(crops) if crops else None,
    )


def _judge_doubt(rule: Rule, found: Finding, examples: int, min_examples: int) -> RuleResult:
    few = examples < min_examples
    proof = rule.metric in doubt_rules.PROVEN and not few
    of = "accepted examples" if rule.metric == "accepted_precision" else "examples"
    why = f"too few: at least {min_examples} are needed" if few else found.said
    counted = "; ".join(filter(None, (f"{found.crops:,} {of} of {found.groups:,} groups", why)))
    return RuleResult(
        kind="proof" if proof else "absolute",
        metric=rule.metric,
        signature=rule.signature,
        value=found.value,
        at_least=rule.at_least,
        at_most=rule.at_most,
        examples=found.crops,
        result="too_few" if few else found.result,
        text=_sentence(rule, found.value, found.interval, counted),
        interval=found.interval,
        groups=found.groups,
    )


def _holds(rule: Rule, value: float | None) -> bool:
    if value is None:
        return False
    if rule.at_least is not None:
        return value >= rule.at_least  # false for NaN
    return rule.at_most is not None and value <= rule.at_most


def _words(rule: Rule, value: float | None, examples: int, min_examples: int, interval: Interval | None) -> str:
    few = f", too few: at least {min_examples} are needed" if examples < min_examples else ""
    return _sentence(rule, value, interval, f"{examples:,} examples{few}")


def _sentence(rule: Rule, value: float | None, interval: Interval | None, counted: str) -> str:
    found = "not measured" if value is None else "not a number" if math.isnan(value) else f"{value:.3f}"
    asked = f"at least {rule.at_least:g}" if rule.at_least is not None else f"at most {rule.at_most:g}"
    between = f"; between {interval[0]:.3f} and {interval[1]:.3f}" if interval else ""
    return f"{rule.metric} of {rule.signature} is {found} (asked: {asked}{between}; {counted})"


def _judge_infra(infra: InfraResult) -> RuleResult:
    text = "a fresh process gives the trainer's answers" if infra.passed else f"infra check: {infra.reason}"
    return RuleResult(
        kind="infra",
        metric="infra_check",
        signature="all",
        value=float(infra.passed),
        at_least=1.0,
        examples=0,
        result="pass" if infra.passed else "fail",
        text=text,
    )


def _slice_rules(found: Sequence[SliceResult], earlier: Mapping[str, Earlier], margin: float) -> list[RuleResult]:
    return [_slice_rule(result, earlier[result.key.against].version, margin) for result in found]


def _slice_rule(found: SliceResult, version: int, margin: float) -> RuleResult:
    key, plain = found.key, found.plain
    return RuleResult(
        kind="slice",
        metric=key.metric,
        signature=key.signature,
        value=plain.value,
        examples=found.examples,
        result=found.result,
        text=_slice_words(found, version, margin),
        interval=plain.interval,
        groups=found.groups,
        against="reference" if key.against == "reference" else "baseline",
        version=version,
        feature=key.feature,
        slice=key.value,
        baseline_value=plain.baseline_value,
        loss=plain.loss,
        margin=margin,
        smallest_loss=found.smallest_loss,
        masked=found.masked,
    )


def _slice_words(found: SliceResult, version: int, margin: float) -> str:
    plain = found.plain
    head = f"{found.key.metric} of {found.key.signature}, {_name(found)}"
    if plain.value is None or plain.baseline_value is None or plain.loss is None:
        return f"{head}: no example to compare with version {version} on"
    masked = f", {found.masked.loss:.3f} among common SKUs" if found.masked and found.masked.loss is not None else ""
    seen = "no loss" if found.smallest_loss is None else f"no loss under {found.smallest_loss:.3f}"
    return (
        f"{head}: {plain.value:.3f}, with version {version} {plain.baseline_value:.3f}; loss {plain.loss:.3f}{masked}, between "
        f"{plain.interval[0]:.3f} and {plain.interval[1]:.3f} (allowed: {margin:g}; {found.groups:,} groups, {found.examples:,} examples; "
        f"{seen} could have been seen)"
    )


def _name(found: SliceResult) -> str:
    feature, value = found.key.feature, found.key.value
    special = {ALL: "all crops", SIZE_PAIRS: "SKUs that only size tells apart", TOP_FACINGS: f"the {value} SKUs with most crops"}
    return special.get(feature, f"{feature} {value}")


def _notes(evaluation: dict[str, SignatureEvaluation], circumstances: Circumstances) -> Iterator[str]:
    if not circumstances.schema_reviewed:
        yield "schema not reviewed: read the draft and accept it with `tfx-retail schema CONFIG --accept`"
    if circumstances.anomalies:
        yield f"{circumstances.anomalies} anomalies of the data were let through (data.on_anomalies: warn)"
    absent = sorted({sku for measured in evaluation.values() for sku in measured.absent})
    if absent:
        yield f"{len(absent)} SKUs have no example in eval, nothing is known of them: {_names(absent)}"


def _unjudged(config: VerdictConfig, rules: Sequence[RuleResult]) -> Iterator[str]:
    """Yields what nothing judges: a calibration error on few crops, where no rule asks for log loss or Brier score either."""
    deciding = {rule.signature for rule in config.rules if rule.metric in ("log_loss", "brier")}
    for rule in rules:
        if rule.metric == "ece" and rule.result == "too_few" and rule.signature not in deciding:
            yield f"too few crops to judge the calibration of {rule.signature}: ask for log_loss or brier too (verdict.rules)"


def _comparison_notes(
    config: VerdictConfig, circumstances: Circumstances, earlier: Mapping[str, Earlier], gating: Sequence[SliceResult]
) -> Iterator[str]:
    if circumstances.baseline is None:
        yield "no earlier version to compare with: absolute rules only"
    elif config.reference == circumstances.baseline:
        yield f"the last blessed version is the pinned one too (verdict.reference: {config.reference})"
    for facts in earlier.values():
        if facts.added:
            yield f"{_skus(facts.added)} new since version {facts.version}, left out of the comparison: {_names(facts.added)}"
        if facts.removed:
            yield f"{_skus(facts.removed)} answered by version {facts.version} and no longer: {_names(facts.removed)}"
    few = [f"{_name(result)} against version {earlier[result.key.against].version}" for result in gating if result.result == "too_few"]
    if few:
        yield f"too few groups to judge {len(few)} of {len(gating)} gating slices, which neither blocks nor passes: {_names(few)}"


def _skus(names: Sequence[str]) -> str:
    return f"{len(names)} SKU is" if len(names) == 1 else f"{len(names)} SKUs are"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
