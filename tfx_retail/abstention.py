"""From which score on an answer is accepted, so that a promised share of the accepted ones is right.

A threshold is tested against the claim that it does not keep the promise: by an exact binomial test of groups, each of which is one trial
(`trials`: precision with every scene counting once), and by Student's test of all accepted crops over groups (precision with every crop
counting once, should large scenes be harder than small ones); both have to refute the claim. Thresholds are tried one after the other, the
strictest first, each at the same level, until one fails; the last that held is taken. Which thresholds there are and where to start is read
off other groups, those that the temperatures are fitted on. So the chance to end at a threshold that breaks the promise is at most `delta`,
whatever the scores are worth.

Source: Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test (arXiv:2110.01052): fixed sequences, their order learnt on a split.
"""

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from tfx_retail import binomial, bounds, intervals, trials
from tfx_retail.bounds import Totals
from tfx_retail.config import AbstainConfig
from tfx_retail.trials import Evidence, Flags, Floats, Trials

_SIDE_LEVEL = 0.1  # share of delta that each of the two bounds on how unknown products are mixed in takes
_ROOM = 0.5  # the first threshold is the strictest that is expected to be proven at this share of the level
_MOST_GROUPS = 100_000  # more are not worth being asked for
_TARGETS = np.round(np.arange(0.995, 0.495, -0.005), 3)  # tried to tell which one can be reached


class Abstention(Struct, frozen=True, kw_only=True):
    """What `accepted` promises and what that rests on; counts are of the groups that the threshold was tested on."""

    target: float  # precision that is promised among accepted answers
    delta: float  # how likely it may be that the promise is not kept
    threshold: float | None  # accepted from this score on; None: nothing qualifies, so nothing is accepted
    bound: float | None  # precision that the groups prove at the threshold, at level delta, unknown products mixed in
    precision: float | None  # share of right answers among the accepted crops
    coverage: float  # share of crops accepted
    groups: int
    crops: int
    accepted: int  # crops
    trials: int  # groups that have an accepted crop
    wrong: int  # of them, those of which a wrong one was drawn
    unknown_rate: float
    unknown_accepted: float | None  # share of unknown products that is taken to be accepted; None where none are mixed in
    trials_needed: int  # without an error, at least
    groups_needed: int | None  # in the whole calibration role, at the error rates that were seen; None: no number would do
    reachable: float | None  # the highest target that these groups would have proven, in steps of 0.005; None: not even one half

    @property
    def text(self) -> str:
        """What a person reads of it."""
        return _refusal(self) if self.threshold is None else _promise(self)


class _Sequence(NamedTuple):
    """T thresholds, the strictest first, with what was expected of each and what came of it."""

    thresholds: Floats  # [T], falling
    foreseen: Floats  # [T], precision of the mix with unknown products that is expected to be proven, with some room
    proven: Floats  # [T], precision of the mix that is proven
    counted: Trials
    passed: Floats  # [T], share of unknown products that is taken to be accepted
    needed: Floats  # [T], precision that known products are expected to need for each unit of the target
    level: float


def choose(evidence: Evidence, tuning: Flags, config: AbstainConfig, *, seed: int, unknown: Evidence | None = None) -> Abstention:
    """Returns the threshold that accepts most crops and keeps the promise, or none.

    Args:
      tuning: [N], crops of the groups that the temperatures were fitted on (`trials.tuning_part`): they say where to start.
      unknown: answers to products that their model was not taught, to know how many are accepted; without them all are taken to be.

    Raises:
      ValueError: a score is not a number, or the arrays differ in length.
    """
    _check(evidence, tuning)
    guide, judge = trials.numbered(evidence, tuning), trials.numbered(evidence, ~tuning)
    sequence = _prepare(guide, judge, config, unknown, seed)
    chosen = _last_held(sequence, config.precision)
    return _result(chosen, sequence, judge, config, _groups_needed(guide, judge, sequence, config.precision))


def _check(evidence: Evidence, tuning: Flags) -> None:
    lengths = {len(evidence.score), len(evidence.right), len(evidence.groups), len(tuning)}
    if len(lengths) > 1:
        raise ValueError(f"abstention: score, right, groups and tuning have {sorted(lengths)} rows, expected one number")
    odd = int(np.isnan(evidence.score).sum())
    if odd:
        raise ValueError(f"abstention: {odd} of {len(evidence.score)} scores are NaN; give crops that cannot be accepted the score 0")


def _prepare(guide: Evidence, judge: Evidence, config: AbstainConfig, unknown: Evidence | None, seed: int) -> _Sequence:
    levels = trials.thresholds(guide.score)
    level = config.delta * (1.0 - 2.0 * _SIDE_LEVEL) if config.unknown_rate else config.delta
    expected = trials.expect(guide, levels, doubt=0.5).times(trials.count_groups(judge))
    counted = trials.draw(judge, levels, seed)
    needed, _ = _mix(guide, levels, config.unknown_rate, unknown, 0.5)
    demand, passed = _mix(judge, levels, config.unknown_rate, unknown, config.delta * _SIDE_LEVEL)
    of_all_crops = np.array([_of_all_crops(judge, threshold, level) for threshold in levels])
    return _Sequence(
        thresholds=levels,
        foreseen=_of_trials(expected, level * _ROOM) / needed,
        proven=np.minimum(_of_trials(counted, level), of_all_crops) / demand,
        counted=counted,
        passed=passed,
        needed=needed,
        level=level,
    )


def _of_trials(found: Trials, level: float) -> Floats:
    """Returns [T] the precision that trials prove at the level."""
    return 1.0 - binomial.uppers(found.wrong, found.trials, level)


def _mix(evidence: Evidence, levels: Floats, rate: float, unknown: Evidence | None, level: float) -> tuple[Floats, Floats]:
    """Returns [T] the precision that known products need for each unit of the target, and the share of unknown ones accepted.

    Of known products a share c is accepted with precision p, of unknown ones q; these are a share u of all. The mix has a precision of
    (1 - u) c p / ((1 - u) c + u q). c is bounded from below and q from above, each at the level.
    """
    demand, passed = np.ones(len(levels)), np.zeros(len(levels))
    for place, threshold in enumerate(levels if rate else ()):
        passed[place] = 1.0 if unknown is None else bounds.upper(_accepted(unknown, threshold), level, 1.0)
        coverage = bounds.lower(_accepted(evidence, threshold), level, 0.0)
        demand[place] = 1.0 + rate / (1.0 - rate) * passed[place] / coverage if coverage else math.inf
    return demand, passed


def _accepted(evidence: Evidence, threshold: float) -> Totals:
    groups = intervals.number(evidence.groups)
    return Totals(intervals.sums(np.ones(len(groups)), groups), intervals.sums(evidence.score >= threshold, groups))


def _of_all_crops(evidence: Evidence, threshold: float, level: float) -> float:
    """Returns the precision that all accepted crops prove at the level; minus infinity for fewer than two groups."""
    accepted = evidence.score >= threshold
    groups = evidence.groups[accepted]
    return intervals.above(intervals.sums(evidence.right[accepted], groups), intervals.sums(np.ones(len(groups)), groups), level)


def _last_held(sequence: _Sequence, target: float) -> int | None:
    """Returns the place of the last threshold that keeps the promise, tried one after the other; None if the first does not."""
    if not len(sequence.thresholds):
        return None
    start = _start(sequence.foreseen, target)
    failed = np.flatnonzero(sequence.proven[start:] < target)
    end = start + int(failed[0]) if len(failed) else len(sequence.proven)
    return end - 1 if end > start else None


def _start(foreseen: Floats, target: float) -> int:
    """Returns the place of the strictest threshold that is expected to be proven, or else of the most promising one.

    With few groups many thresholds promise the same. The strictest of these may leave some other group without an accepted crop, the
    last one may take in errors; so it is the middle one.
    """
    sure = foreseen >= target
    if sure.any():
        return int(np.argmax(sure))
    best = np.flatnonzero(foreseen >= foreseen.max() - 1e-12)
    return int(best[len(best) // 2])


def _groups_needed(guide: Evidence, judge: Evidence, sequence: _Sequence, target: float) -> int | None:
    """Returns how many groups the calibration role needs in all for the threshold that needs fewest, at the error rates of all groups.

    A hint: where it stands on few groups, it is as unsure as they are.
    """
    shifted = judge._replace(groups=judge.groups + trials.count_groups(guide))
    everyone = Evidence(*(np.concatenate(pair) for pair in zip(guide, shifted, strict=True)))
    one = trials.expect(everyone, sequence.thresholds, doubt=0.0)
    fewest: int | None = None
    for case in zip(one.trials, one.wrong, target * sequence.needed, strict=True):
        fewest = _testing_groups(*case, sequence.level, fewest or _MOST_GROUPS) or fewest
    testing = trials.count_groups(judge) / max(trials.count_groups(everyone), 1)
    return math.ceil(fewest / testing - 1e-9) if fewest and testing else None


def _testing_groups(count: float, wrong: float, needed: float, level: float, most: int) -> int | None:
    """Returns how many groups prove the precision needed, for trials and errors of one group; None: more than `most`."""
    if needed >= 1.0 or wrong >= (1.0 - needed) * count:
        return None
    groups = binomial.trials_without_event(1.0 - needed, level) / count
    while binomial.at_most(int(wrong * groups), int(count * groups), 1.0 - needed) > level:
        groups *= 1.1
        if groups > most:
            return None
    return math.ceil(groups - 1e-9)


def _result(chosen: int | None, sequence: _Sequence, judge: Evidence, config: AbstainConfig, needed: int | None) -> Abstention:
    found = chosen is not None
    place = chosen or 0
    accepted = judge.score >= sequence.thresholds[place] if found else np.zeros(len(judge.score), bool)
    reached = (float(target) for target in _TARGETS if _last_held(sequence, target) is not None)
    return Abstention(
        target=config.precision,
        delta=config.delta,
        threshold=float(sequence.thresholds[place]) if found else None,
        bound=float(sequence.proven[place]) if found else None,
        precision=float(judge.right[accepted].mean()) if accepted.any() else None,
        coverage=float(accepted.mean()) if len(accepted) else 0.0,
        groups=trials.count_groups(judge),
        crops=len(accepted),
        accepted=int(accepted.sum()),
        trials=int(sequence.counted.trials[place]) if found else 0,
        wrong=int(sequence.counted.wrong[place]) if found else 0,
        unknown_rate=config.unknown_rate,
        unknown_accepted=float(sequence.passed[place]) if found and config.unknown_rate else None,
        trials_needed=binomial.trials_without_event(1.0 - config.precision, sequence.level),
        groups_needed=needed,
        reachable=next(reached, None),
    )


def _promise(found: Abstention) -> str:
    mix = f", {found.unknown_rate:.1%} of unknown products mixed in" if found.unknown_rate else ""
    return (
        f"accepted from a score of {found.threshold:.4g} on: at least {found.target:.1%} right, but for a probability of {found.delta:.2g}"
        f"{mix}; {found.accepted} of {found.crops} crops are accepted; one was drawn from each of {found.trials} scenes, {found.wrong} of "
        f"these were wrong, which proves {found.bound:.2%}"
    )


def _refusal(found: Abstention) -> str:
    asked = "at the error rates that were seen no number of scenes would do"
    if found.groups_needed and found.groups_needed <= found.groups:
        asked = "at the error rates that were seen these could have been enough: it was near, and more scenes make it likely"
    elif found.groups_needed:
        asked = f"about {found.groups_needed} scenes in the calibration role would do"
    elif found.groups < 2:
        asked = "these are too few to tell how many would do"
    cure = f"; these can prove {found.reachable:.1%} (abstain.precision)" if found.reachable else ""
    return (
        f"nothing is accepted: {found.target:.1%} needs at least {found.trials_needed} scenes with an accepted answer and no error, beside "
        f"those that temperatures are fitted on; here are {found.groups}, and {asked}{cure}"
    )
