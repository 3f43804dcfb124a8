"""What the rules of the blessing find in the doubt part of an evaluation, and what proves that one of them is broken."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from tfx_retail import reliability
from tfx_retail.config import Rule
from tfx_retail.intervals import Estimate, Interval
from tfx_retail.measured_doubt import MeasuredDoubt

PROVEN = ("ece", "accepted_precision")  # these refuse by proof alone


class Finding(NamedTuple):
    """What a rule found; `value` None: not measured."""

    value: float | None
    interval: Interval | None
    crops: int
    groups: int
    result: Literal["pass", "fail", "too_few"]
    said: str = ""  # why there is too little to tell


def find(rule: Rule, doubt: MeasuredDoubt | None) -> Finding | None:
    """Returns what a rule about doubt found; None for a rule about something else. What was not measured fails."""
    judge = _JUDGES.get(rule.metric)
    if judge is None:
        return None
    return judge(rule, doubt) if doubt else Finding(None, None, 0, 0, "fail")


def _ece(rule: Rule, doubt: MeasuredDoubt) -> Finding:
    """Few crops show an error whatever the model: below reliability.ENOUGH_CROPS nothing is told."""
    error, limit = doubt.after.calibration, rule.at_most or 0.0
    found = Finding(error.debiased, error.interval, error.crops, error.groups, "pass")
    if reliability.proven_above(error, limit):
        return found._replace(result="fail")
    if error.debiased is None:
        return found._replace(result="fail", said="no confidence is a number")
    if error.crops < reliability.ENOUGH_CROPS:
        few = f"too few to tell: {reliability.ENOUGH_CROPS:,} are needed, with fewer log loss and Brier score have to decide"
        return found._replace(result="too_few", said=few)
    if error.debiased > limit:
        return found._replace(result="too_few", said="too few to prove that it is over")
    return found


def _accepted_precision(rule: Rule, doubt: MeasuredDoubt) -> Finding:
    if doubt.precision is None:
        return Finding(None, None, 0, 0, "fail")
    found, asked = _of(doubt.precision), rule.at_least or 0.0
    if found.value is None or found.interval is None:
        return found._replace(result="too_few", said="nothing is accepted")
    if found.interval[1] < asked:
        return found._replace(result="fail")
    return found if found.value >= asked else found._replace(result="too_few", said="too few to prove that it is under")


def _brier(rule: Rule, doubt: MeasuredDoubt) -> Finding:
    return _held(rule, _of(doubt.after.brier))


def _coverage(rule: Rule, doubt: MeasuredDoubt) -> Finding:
    return _held(rule, _of(doubt.coverage)) if doubt.coverage else Finding(None, None, 0, 0, "fail")


def _of(found: Estimate) -> Finding:
    return Finding(found.value, found.interval, found.crops, found.groups, "pass")


def _held(rule: Rule, found: Finding) -> Finding:
    value = found.value
    under = rule.at_least is not None and not (value is not None and value >= rule.at_least)
    over = rule.at_most is not None and not (value is not None and value <= rule.at_most)
    return found._replace(result="fail" if under or over else "pass")


_JUDGES: dict[str, Callable[[Rule, MeasuredDoubt], Finding]] = {
    "brier": _brier,
    "ece": _ece,
    "coverage": _coverage,
    "accepted_precision": _accepted_precision,
}
