"""Rules about doubt: what fails, what passes, and what too few crops can tell."""

import msgspec
import numpy as np
import pytest

from tfx_retail import measured_doubt
from tfx_retail.config import Rule, VerdictConfig
from tfx_retail.intervals import Estimate
from tfx_retail.measured_doubt import Answered, MeasuredDoubt, Shown, Sureness
from tfx_retail.reliability import CalibrationError, Losses, Quality
from tfx_retail.verdict import Circumstances, InfraResult, RuleResult, SignatureEvaluation, Verdict, judge

SOUND = InfraResult(passed=True)
PLAIN = Circumstances(schema_reviewed=True)
NOTHING = Estimate(value=None, interval=None, crops=0, groups=0)


def estimate(value: float, low: float, high: float, crops: int = 2000) -> Estimate:
    return Estimate(value=value, interval=(low, high), crops=crops, groups=crops // 4)


def doubted(error: CalibrationError | None = None, **given: Estimate | None) -> MeasuredDoubt:
    """Returns a measurement of one crop with some of its figures replaced."""
    rows = np.zeros((1, 4), np.int64)
    made = measured_doubt.measure(
        Shown(rows, np.zeros(1, np.int64), {}), Answered(rows, Sureness(np.array([0.5]), Losses(np.array([0.3]), np.array([0.7]))))
    )
    after = Quality(calibration=error or made.after.calibration, brier=given.pop("brier", NOTHING) or NOTHING, log_loss=NOTHING)
    return msgspec.structs.replace(made, after=after, **given)


def error(debiased: float | None, low: float, crops: int = 2000) -> CalibrationError:
    interval = None if debiased is None else (low, debiased + 0.03)
    return CalibrationError(
        debiased=debiased, plugin=debiased, chance=0.01, rms=debiased, interval=interval, crops=crops, groups=crops // 4, bins=[]
    )


def asked(rule: Rule, found: MeasuredDoubt | None, examples: int = 2000) -> tuple[RuleResult, Verdict]:
    evaluation = {"serving_default": SignatureEvaluation(overall={"examples": examples}, doubt=found)}
    verdict = judge(VerdictConfig(rules=(rule,)), evaluation, SOUND, PLAIN)
    return verdict.rules[0], verdict


ECE = Rule(metric="ece", at_most=0.05)
PRECISION = Rule(metric="accepted_precision", at_least=0.98)
BRIER = Rule(metric="brier", at_most=0.4)
COVERAGE = Rule(metric="coverage", at_least=0.5)


@pytest.mark.parametrize(
    ("rule", "found", "result"),
    [
        (ECE, doubted(error(0.04, 0.03)), "pass"),
        (ECE, doubted(error(0.05, 0.05)), "pass"),
        (ECE, doubted(error(0.08, 0.0501)), "fail"),  # proven
        (ECE, doubted(error(0.08, 0.049)), "too_few"),  # likely, not proven
        (ECE, doubted(error(0.30, 0.20, crops=999)), "too_few"),  # few crops prove nothing
        (ECE, doubted(error(0.01, 0.0, crops=999)), "too_few"),
        (ECE, doubted(error(0.30, 0.20, crops=1000)), "fail"),
        (ECE, doubted(error(None, 0.0, crops=0)), "fail"),  # of all crops no confidence is a number
        (PRECISION, doubted(precision=estimate(0.99, 0.9, 1.0)), "pass"),
        (PRECISION, doubted(precision=estimate(0.97, 0.9, 0.98)), "too_few"),  # under, not proven
        (PRECISION, doubted(precision=estimate(0.95, 0.9, 0.9799)), "fail"),
        (PRECISION, doubted(precision=NOTHING), "too_few"),  # nothing is accepted
        (PRECISION, doubted(precision=None), "fail"),  # the model does not say
        (BRIER, doubted(brier=estimate(0.4, 0.3, 0.5)), "pass"),
        (BRIER, doubted(brier=estimate(0.41, 0.3, 0.5)), "fail"),
        (BRIER, doubted(brier=NOTHING), "fail"),
        (COVERAGE, doubted(coverage=estimate(0.5, 0.4, 0.6)), "pass"),
        (COVERAGE, doubted(coverage=estimate(0.49, 0.4, 0.6)), "fail"),
        (COVERAGE, doubted(coverage=None), "fail"),
        (ECE, None, "fail"),  # evaluated by earlier code
        (Rule(metric="ece", signature="predict_sized", at_most=0.5), doubted(error(0.01, 0.0)), "too_few"),  # of no example
    ],
)
def test_a_rule_of_doubt_holds_or_not(rule: Rule, found: MeasuredDoubt | None, result: str) -> None:
    judged, verdict = asked(rule, found)
    assert judged.result == result
    assert verdict.blessed == (result == "pass" or (result == "too_few" and rule.signature == "serving_default"))


def test_too_few_examples_bless_nothing_whatever_is_accepted() -> None:
    for found in (doubted(precision=NOTHING), doubted(precision=estimate(1.0, 0.9, 1.0))):
        judged, verdict = asked(PRECISION, found, examples=29)
        assert (judged.result, judged.kind, verdict.blessed) == ("too_few", "absolute", False)


def test_what_was_found_is_said_with_its_interval_and_what_it_stands_on() -> None:
    judged, _ = asked(ECE, doubted(error(0.3, 0.2, crops=296)))
    assert judged.text == (
        "ece of serving_default is 0.300 (asked: at most 0.05; between 0.200 and 0.330; 296 examples of 74 groups; too few to tell: 1,000 "
        "are needed, with fewer log loss and Brier score have to decide)"
    )
    assert (judged.kind, judged.examples, judged.groups, judged.interval) == ("proof", 296, 74, (0.2, 0.3 + 0.03))
    judged, _ = asked(PRECISION, doubted(precision=estimate(0.97, 0.9, 0.99, crops=400)))
    assert judged.text == (
        "accepted_precision of serving_default is 0.970 (asked: at least 0.98; between 0.900 and 0.990; 400 accepted examples of 100 "
        "groups; too few to prove that it is under)"
    )
    assert asked(PRECISION, doubted(precision=NOTHING))[0].text == (
        "accepted_precision of serving_default is not measured (asked: at least 0.98; 0 accepted examples of 0 groups; nothing is accepted)"
    )


def test_calibration_that_nothing_judges_is_noted() -> None:
    found = doubted(error(0.3, 0.2, crops=296), brier=estimate(0.3, 0.2, 0.4, crops=296))
    evaluation = {"serving_default": SignatureEvaluation(overall={"examples": 296}, doubt=found)}
    alone = judge(VerdictConfig(rules=(ECE,)), evaluation, SOUND, PLAIN).notes
    assert "too few crops to judge the calibration of serving_default: ask for log_loss or brier too (verdict.rules)" in alone
    both = judge(VerdictConfig(rules=(ECE, BRIER)), evaluation, SOUND, PLAIN)
    assert both.blessed
    assert not any("calibration" in note for note in both.notes)


@pytest.mark.parametrize(("metric", "side"), [("ece", "at_least"), ("accepted_precision", "at_most")])
def test_what_proof_can_refuse_has_one_side(metric: str, side: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"{metric}: goes with"):
        msgspec.convert({"metric": metric, side: 0.5}, Rule)
