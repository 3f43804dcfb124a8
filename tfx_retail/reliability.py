"""How far a confidence can be believed: calibration error, Brier score, log loss, with intervals over groups.

Calibration error is the mean distance between confidence and share of right answers, over 15 bins of as many crops each. Chance alone
makes bins differ, so the plain figure (`plugin`) is too high: about 0.07 for a perfect model and 296 crops. `debiased` takes off what
chance adds if the bins' distances scatter normally, `rms` is unbiased before its root; how alike crops scatter, both know from the groups.

Source: Kumar, Liang and Ma, Verified uncertainty calibration (arXiv:1909.10155), section 5: definition 5.2 for `rms`, and its normal
version for the mean distance; here the variance comes from pairs of different groups, which with one crop a group is what they have.
"""

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from tfx_retail import intervals
from tfx_retail.intervals import Estimate, Interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

BINS = 15
ENOUGH_CROPS = 1000  # below, calibration error says too little: log loss and Brier score decide
_SPLITS = 8  # of the groups in halves: more change an interval's end by little
HIGHEST = 1.0 + 1e-6  # a confidence may be a sum of float32 probabilities
SMALLEST = 1e-7  # a score of 0 for the truth would make the mean infinite; Keras clips there too


class Bin(Struct, frozen=True, kw_only=True):
    """Crops of about the same confidence."""

    confidence: float  # mean
    accuracy: float
    crops: int
    groups: int


class CalibrationError(Struct, frozen=True, kw_only=True):
    """Top-label calibration error; None where there are no crops, or too few groups for an interval."""

    debiased: float | None  # mean distance without what chance adds, as far as that can be told; >= 0
    plugin: float | None  # as it is mostly printed
    chance: float | None  # what `plugin` shows on average if the model is perfect
    rms: float | None  # root of the mean squared distance, debiased; >= 0
    interval: Interval | None  # of the mean distance; if the lower end is over a limit, so is the model's error, but for a chance of 2.5 %
    crops: int
    groups: int
    bins: list[Bin]


class Quality(Struct, frozen=True, kw_only=True):
    """What the probabilities of one signature are worth; means with intervals over groups."""

    calibration: CalibrationError
    brier: Estimate
    log_loss: Estimate


class Losses(NamedTuple):
    """Proper scores of N crops."""

    brier: Floats  # [N], in [0, 2]: squared distance of the scores from the truth, summed over all SKUs
    log_loss: Floats  # [N]


class _Cells(NamedTuple):
    """What groups add to bins: only pairs that have a crop."""

    bin: Indices  # [P]
    group: Indices  # [P]
    sums: Floats  # [P], of right - confidence
    sizes: Floats  # [P], crops


def calibration_error(confidence: Floats, right: Flags, groups: Indices, bins: int = BINS) -> CalibrationError:
    """Returns the error of [N] confidences in [0, 1], for [N] numbers of groups from 0 on.

    Raises:
      ValueError: a confidence is not a number in [0, 1].
    """
    _check(confidence)
    if not len(confidence):
        return CalibrationError(debiased=None, plugin=None, chance=None, rms=None, interval=None, crops=0, groups=0, bins=[])
    places = equal_mass(confidence, bins)
    cells = _cells(places, groups, right - confidence)
    count = int(places.max()) + 1
    sums, sizes = (intervals.sums(values, cells.bin, count) for values in (cells.sums, cells.sizes))
    share, distance = sizes / sizes.sum(), sums / sizes
    squared = _unbiased_squares(cells, sums, sizes)
    noise = np.sqrt(np.maximum(distance**2 - squared, 0.0))
    told = np.bincount(cells.bin) > 1  # one scene cannot tell an error from its own likeness
    debiased = float((share * (2 * np.abs(distance) - _folded(distance, noise)))[told].sum())
    return CalibrationError(
        debiased=max(0.0, debiased),
        plugin=float((share * np.abs(distance)).sum()),
        chance=float((share * _folded(np.zeros(count), noise)).sum()),
        rms=math.sqrt(max(0.0, float((share * squared).sum()))),
        interval=_interval(cells, float((share * np.abs(distance)).sum())),
        crops=len(confidence),
        groups=len(np.unique(groups)),
        bins=_bins(places, confidence, right, cells),
    )


def quality(confidence: Floats, right: Flags, found: Losses, groups: Indices) -> Quality:
    """Returns calibration error, Brier score and log loss of [N] answers."""
    return Quality(
        calibration=calibration_error(confidence, right, groups),
        brier=_mean_loss(found.brier, groups),
        log_loss=_mean_loss(found.log_loss, groups),
    )


def proven_above(error: CalibrationError, limit: float) -> bool:
    """Tells whether a model is to be refused for its calibration error: of enough crops the interval's lower end is over the limit."""
    return error.crops >= ENOUGH_CROPS and error.interval is not None and error.interval[0] > limit


def losses(scores: NDArray[np.float32] | Floats, label: Indices) -> Losses:
    """Returns proper scores of [N, S] joint probabilities against [N] labels; -1, a SKU that the model does not have, got a score of 0."""
    known = label >= 0
    own = np.where(known, scores[np.arange(len(label)), label], 0.0).astype(np.float64)
    squares = np.einsum("ns,ns->n", scores, scores, dtype=np.float64)
    return Losses(squares - 2 * own + 1, -np.log(np.maximum(own, SMALLEST)))


def equal_mass(confidence: Floats, bins: int) -> Indices:
    """Returns [N] bins from 0 on, of as many crops each as ties allow: equal confidences lie in one bin, so there may be fewer bins."""
    falling = np.sort(confidence)
    edges = falling[np.minimum(np.ceil(np.arange(1, bins) / bins * len(falling)).astype(np.int64), len(falling)) - 1]
    return np.unique(np.searchsorted(np.unique(edges), confidence), return_inverse=True)[1].astype(np.int64)


def _mean_loss(values: Floats, groups: Indices) -> Estimate:
    """Returns the mean of losses, which no bound puts below 0."""
    found = intervals.mean(values, groups)
    return replace(found, interval=found.interval and (max(0.0, found.interval[0]), found.interval[1]))


def _check(confidence: Floats) -> None:
    odd = ~((confidence >= 0) & (confidence <= HIGHEST))
    if odd.any():
        raise ValueError(
            f"calibration error: {int(odd.sum())} of {len(odd)} confidences are no numbers in [0, 1], {confidence[odd][0]} the first"
        )


def _cells(places: Indices, groups: Indices, residuals: Floats) -> _Cells:
    width = int(groups.max()) + 1
    cells, place, sizes = np.unique(places * width + groups, return_inverse=True, return_counts=True)
    return _Cells(cells // width, cells % width, intervals.sums(residuals, place), sizes.astype(float))


def _unbiased_squares(cells: _Cells, sums: Floats, sizes: Floats) -> Floats:
    """Returns [B] squared distances without what chance adds: the mean product over pairs of different groups; 0 for a single group."""
    pairs = sizes**2 - np.bincount(cells.bin, weights=cells.sizes**2)
    products = sums**2 - np.bincount(cells.bin, weights=cells.sums**2)
    return np.where(pairs > 0.5, products / np.maximum(pairs, 1.0), 0.0)


def _folded(mean: Floats, deviation: Floats) -> Floats:
    """Returns the mean of |x| for normal x. Source: Leone, Nelson and Nottingham, The folded normal distribution (1961)."""
    ratio = np.abs(mean) / np.maximum(deviation, 1e-300)
    errors = np.array([math.erf(value / math.sqrt(2)) for value in ratio])
    return np.asarray(deviation * math.sqrt(2 / math.pi) * np.exp(-(np.minimum(ratio, 40.0) ** 2) / 2) + np.abs(mean) * errors)


def _interval(cells: _Cells, plugin: float) -> Interval | None:
    """Returns bounds that err to the safe side: a bootstrap of what cannot be negative would come out far too high.

    Lower end: half of the groups says in which direction each bin is off, the other half by how much. That is 0 on average for a perfect
    model and never above its error, as a wrong direction only takes off. Upper end: the plain figure, which on average is never below the
    error. Both with Student's width over groups; None for fewer than four.
    """
    crops = intervals.sums(cells.sizes, cells.group)
    used = np.flatnonzero(crops)
    if len(used) < 4:
        return None
    random = np.random.default_rng(0)
    lows = []
    for _ in range(_SPLITS):
        half = np.zeros(len(crops), bool)
        half[random.permutation(used)[: len(used) // 2]] = True
        lows += [_signed(cells, directions=chosen, crops=np.where(chosen, 0.0, crops)) for chosen in (half, ~half)]
    value, width = np.mean(lows, axis=0)
    width /= math.sqrt(2)  # both halves are measured, so all groups are; simulations show that this is wide enough (decision 11)
    return max(0.0, float(value - width)), min(1.0, plugin + float(_signed(cells, np.ones(len(crops), bool), crops)[1]))


def _signed(cells: _Cells, directions: Flags, crops: Floats) -> tuple[float, float]:
    """Returns by how much groups are off in the directions that others say, and Student's width of that.

    Args:
      directions: [G], groups that say the direction of each bin.
      crops: [G], of the groups that are measured; 0 for the others.
    """
    said = directions[cells.group]
    sign = np.sign(np.bincount(cells.bin, weights=np.where(said, cells.sums, 0.0)))
    sums = np.bincount(cells.group, weights=sign[cells.bin] * cells.sums, minlength=len(crops))[crops > 0]
    sizes = crops[crops > 0]
    value = float(sums.sum() / sizes.sum())
    width = intervals.student(len(sizes) - 1, (1 + intervals.LEVEL) / 2) * intervals.deviation(sums - value * sizes) / float(sizes.sum())
    return value, width


def _bins(places: Indices, confidence: Floats, right: Flags, cells: _Cells) -> list[Bin]:
    crops = np.bincount(places)
    means = np.bincount(places, weights=confidence) / crops
    accuracies = np.bincount(places, weights=right) / crops
    rows = zip(means.tolist(), accuracies.tolist(), crops.tolist(), np.bincount(cells.bin).tolist(), strict=True)
    return [Bin(confidence=mean, accuracy=accuracy, crops=count, groups=groups) for mean, accuracy, count, groups in rows]
