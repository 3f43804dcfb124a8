"""The doubt part of an evaluation: what one signature's confidences are worth, and what came of the answers that it accepted.

All of it is made from a few numbers a crop; no score vector is looked at.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tfx_retail import features, reliability, risk
from tfx_retail.intervals import Estimate
from tfx_retail.reliability import Losses, Quality
from tfx_retail.risk import Area
from tfx_retail.slices import NOWHERE, Column

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

SLICES = (features.CATEGORY.name, features.FAMILY.name, features.BRAND.name, features.STORE.name)
TAIL = ((0, "0"), (4, "1 to 4"), (15, "5 to 15"), (None, "16 and more"))  # most training crops of a SKU, and what that is called
STEPS = 20  # columns of the histogram of confidences
_POINTS = 120  # of a curve: more than a page's pixels show
_SKU, _FAMILY = 0, 2  # places in features.LEVELS


class Shown(NamedTuple):
    """What N crops show."""

    truth: Indices  # [N, 4] of LEVELS
    groups: Indices  # [N], numbers of scenes from 0 on
    slices: dict[str, Column]  # of SLICES
    training_crops: Indices | None = None  # [N], of the SKU; None: nobody wrote it down


class Sureness(NamedTuple):
    """Confidences in the decided SKUs of N crops, and proper scores of all SKUs' scores."""

    confidence: Floats  # [N]
    losses: Losses | None  # None: nobody wrote them down


class Accepted(NamedTuple):
    """Which answers to N crops are accepted, of what was decided."""

    sku: Flags  # [N]
    family: Flags  # [N]
    score: Floats  # [N], the one that decides on the SKU


class Answered(NamedTuple):
    """What one signature says of N crops."""

    decided: Indices  # [N, 4] of LEVELS
    after: Sureness
    before: Sureness | None = None  # the same answers before temperatures and priors; None: the model does not say
    accepted: Accepted | None = None  # None: the model does not say


class Curve(Struct, frozen=True, kw_only=True):
    """Risk against coverage, thinned to what a picture shows."""

    coverage: list[float]
    risk: list[float]


class Histogram(Struct, frozen=True, kw_only=True):
    """Crops by confidence, in STEPS steps from 0 to 1."""

    right: list[int]
    wrong: list[int]


class SliceDoubt(Struct, frozen=True, kw_only=True):
    """Accepted answers to the crops of one slice."""

    feature: str
    value: str
    crops: int
    coverage: float  # share of them that is accepted
    precision: Estimate  # share of right ones among the accepted


class Tail(Struct, frozen=True, kw_only=True):
    """Crops of SKUs of which about as many were in training."""

    training_crops: str  # in words
    skus: int
    accuracy: Estimate
    coverage: Estimate | None  # None: the model does not say what it accepts; the same below
    precision: Estimate | None


class MeasuredDoubt(Struct, frozen=True, kw_only=True):
    """How far one signature can be trusted; None where the files do not say."""

    crops: int
    after: Quality  # as served
    before: Quality | None  # before temperatures and priors
    curve: Curve
    area: Area  # under the curve
    histogram: Histogram
    coverage: Estimate | None  # share of crops whose SKU is accepted
    precision: Estimate | None  # share of right ones among them
    family_coverage: Estimate | None
    family_precision: Estimate | None
    slices: list[SliceDoubt]
    tail: list[Tail]
    missing: list[str]  # what is not measured, and why


def measure(shown: Shown, answered: Answered) -> MeasuredDoubt:
    """Returns what doubt is worth; a crop whose confidence or loss is not a number is left out of its quality, and named in `missing`."""
    right = (answered.decided == shown.truth)[:, [_SKU, _FAMILY]]
    score = answered.accepted.score if answered.accepted else answered.after.confidence
    sure = np.nan_to_num(score, nan=0.0)
    accepted = answered.accepted
    return MeasuredDoubt(
        crops=len(right),
        after=_quality(answered.after, right[:, 0], shown.groups),
        before=_quality(answered.before, right[:, 0], shown.groups) if answered.before else None,
        curve=_curve(sure, right[:, 0]),
        area=risk.area(sure, right[:, 0], shown.groups),
        histogram=_histogram(answered.after.confidence, right[:, 0]),
        coverage=risk.share(accepted.sku, shown.groups) if accepted else None,
        precision=risk.precision(right[:, 0], accepted.sku, shown.groups) if accepted else None,
        family_coverage=risk.share(accepted.family, shown.groups) if accepted else None,
        family_precision=risk.precision(right[:, 1], accepted.family, shown.groups) if accepted else None,
        slices=[one for name, column in shown.slices.items() for one in _slices(name, column, right[:, 0], accepted, shown.groups)],
        tail=_tail(shown, right[:, 0], accepted),
        missing=list(_missing(shown, answered)),
    )


def same(one: Answered, other: Answered) -> bool:
    """Tells whether two signatures say the same of all crops: then they are worth the same, and need not be measured twice."""
    pairs = zip(_flat(one), _flat(other), strict=True)
    return all(
        mine is theirs is None or (mine is not None and theirs is not None and np.array_equal(mine, theirs)) for mine, theirs in pairs
    )


def _flat(answered: Answered) -> list[NDArray[np.generic] | None]:
    sides = [side or Sureness(np.zeros(0), None) for side in (answered.after, answered.before)]
    found = [array for side in sides for array in (side.confidence, *(side.losses or (None, None)))]
    return [answered.decided, *found, *(answered.accepted or (None, None, None))]


def _quality(sure: Sureness, right: Flags, groups: Indices) -> Quality:
    kept = _numbers(sure)
    if sure.losses is None:
        nothing = Estimate(value=None, interval=None, crops=0, groups=0)
        error = reliability.calibration_error(sure.confidence[kept], right[kept], groups[kept])
        return Quality(calibration=error, brier=nothing, log_loss=nothing)
    losses = Losses(sure.losses.brier[kept], sure.losses.log_loss[kept])
    return reliability.quality(sure.confidence[kept], right[kept], losses, groups[kept])


def _numbers(sure: Sureness) -> Flags:
    """Returns [N]: whether all that is said of a crop are numbers, and the confidence one in [0, 1]."""
    numbers = (sure.confidence >= 0.0) & (sure.confidence <= reliability.HIGHEST)
    for values in sure.losses or ():
        numbers &= np.isfinite(values)
    return np.asarray(numbers, np.bool_)


def _curve(score: Floats, right: Flags) -> Curve:
    found = risk.curve(score, right)
    points = np.unique(np.linspace(0, len(found.risk) - 1, min(_POINTS, len(found.risk))).round().astype(np.int64))
    return Curve(coverage=found.coverage[points].tolist(), risk=found.risk[points].tolist())


def _histogram(confidence: Floats, right: Flags) -> Histogram:
    counts = [
        np.histogram(confidence[rows & np.isfinite(confidence)], bins=STEPS, range=(0.0, 1.0))[0].tolist() for rows in (right, ~right)
    ]
    return Histogram(right=counts[0], wrong=counts[1])


def _slices(feature: str, column: Column, right: Flags, accepted: Accepted | None, groups: Indices) -> Iterator[SliceDoubt]:
    """Yields the slices that a feature makes; one value alone is all crops again."""
    count = len(column.values)
    if accepted is None or count < 2:
        return
    crops = np.bincount(column.codes[column.codes != NOWHERE], minlength=count).tolist()
    precision = risk.precision_by(column.codes, count, right, accepted.sku, groups)
    for value, size, found in zip(column.values, crops, precision, strict=True):
        yield SliceDoubt(feature=feature, value=value, crops=size, coverage=found.crops / max(size, 1), precision=found)


def _tail(shown: Shown, right: Flags, accepted: Accepted | None) -> list[Tail]:
    if shown.training_crops is None:
        return []
    found, least = [], 0
    for most, words in TAIL:
        rows = (shown.training_crops >= least) & (True if most is None else shown.training_crops <= most)
        groups, taken = shown.groups[rows], accepted.sku[rows] if accepted else None
        found.append(
            Tail(
                training_crops=words,
                skus=len(np.unique(shown.truth[rows, _SKU])),
                accuracy=risk.share(right[rows], groups),
                coverage=None if taken is None else risk.share(taken, groups),
                precision=None if taken is None else risk.precision(right[rows], taken, groups),
            )
        )
        least = (most or 0) + 1
    return found


def _missing(shown: Shown, answered: Answered) -> Iterator[str]:
    if answered.accepted is None:
        yield "what is accepted: the model was exported by an earlier version of this package and does not say; run again"
    if answered.before is None:
        yield "quality before calibration: the model was exported by an earlier version of this package and does not say; run again"
    if answered.after.losses is None:
        yield "Brier score and log loss: the prediction files were written by an earlier version of this package; run again"
    if shown.training_crops is None:
        yield "slices by training crops: the prediction files were written by an earlier version of this package; run again"
    odd = int((~_numbers(answered.after)).sum())
    if odd:
        yield f"{odd:,} of {len(shown.truth):,} crops: a confidence or a loss of theirs is no number; their quality is not measured"
