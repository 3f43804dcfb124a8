"""If only the surest answers were given: how many, how many of them wrong, and how sure that is.

Source: Geifman and El-Yaniv, Selective classification for deep neural networks (arXiv:1705.08500); the area under the curve from their
Bias-reduced uncertainty estimation (arXiv:1805.08206).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tfx_retail import bounds, intervals
from tfx_retail.bounds import Totals
from tfx_retail.intervals import Estimate, Interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

_SIDE = (1 - intervals.LEVEL) / 2  # of an interval that is left out on each side


class Curve(NamedTuple):
    """Risk against coverage, a point for each score that occurs: answers that are equally sure are given together."""

    threshold: Floats  # [P], falling
    coverage: Floats  # [P], share of crops answered, rising
    risk: Floats  # [P], share of wrong ones among them


class Area(Struct, frozen=True, kw_only=True):
    """Area under the curve, the mean risk over all coverages; the less the better, and never above the share of wrong answers by much."""

    value: float | None
    interval: Interval | None
    best: float | None  # of a score that puts every right answer before every wrong one
    crops: int
    groups: int


def curve(score: Floats, right: Flags) -> Curve:
    """Returns the curve of [N] scores; empty without crops.

    Raises:
      ValueError: a score is NaN.
    """
    _check(score)
    order = np.argsort(-score, kind="stable")
    falling, wrong = score[order], np.cumsum(~right[order])
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(score) else np.zeros(0, np.int64)
    return Curve(falling[ends], (ends + 1) / max(len(score), 1), wrong[ends] / (ends + 1))


def area(score: Floats, right: Flags, groups: Indices, *, draws: int = 200, seed: int = 0) -> Area:
    """Returns the area under the curve, its interval from groups drawn with replacement; None without crops.

    Raises:
      ValueError: a score is NaN.
    """
    _check(score)
    if not len(score):
        return Area(value=None, interval=None, best=None, crops=0, groups=0)
    order = np.argsort(-score, kind="stable")
    block = np.cumsum(np.diff(score[order], prepend=np.inf) != 0) - 1  # equal scores: which comes first is chance
    wrong = (~right[order]).astype(float)

    def of(weights: Floats) -> float:
        return _area(block, wrong, weights)

    return Area(
        value=of(np.ones(len(score))),
        interval=intervals.resampled(of, groups[order], draws=draws, seed=seed),
        best=_area(np.arange(len(score)), np.sort(wrong), np.ones(len(score))),
        crops=len(score),
        groups=len(np.unique(groups)),
    )


def share(flags: Flags, groups: Indices) -> Estimate:
    """Returns the share of [N] flags that are set, with exact bounds over groups (`bounds`); None without crops."""
    numbers = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(numbers).astype(float)
    totals = Totals(sizes, np.bincount(numbers, weights=flags).astype(float))
    if not len(sizes):
        return Estimate(value=None, interval=None, crops=0, groups=0)
    found = bounds.lower(totals, _SIDE, 0.0), bounds.upper(totals, _SIDE, 1.0)
    return Estimate(value=totals.mean, interval=found, crops=int(sizes.sum()), groups=len(sizes))


def precision(right: Flags, accepted: Flags, groups: Indices) -> Estimate:
    """Returns the share of right answers among the accepted ones, with exact bounds over groups; None where none is accepted."""
    return share(right[accepted], groups[accepted])


def precision_by(values: Sequence[str] | NDArray[Any], right: Flags, accepted: Flags, groups: Indices) -> dict[str, Estimate]:
    """Returns the precision among accepted answers of each slice, for the [N] values of the feature that makes the slices."""
    names, place = np.unique(np.asarray(values), return_inverse=True)
    order = np.argsort(place, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(place, minlength=len(names)))[:-1])
    return {str(name): precision(right[rows], accepted[rows], groups[rows]) for name, rows in zip(names.tolist(), parts, strict=True)}


def _check(score: Floats) -> None:
    odd = int(np.isnan(score).sum())
    if odd:
        raise ValueError(f"risk: {odd} of {len(score)} scores are NaN; give an answer that must not be given the score 0")


def _area(block: Indices, wrong: Floats, weights: Floats) -> float:
    """Returns the mean over crops of the share of wrong answers up to each; within equal scores the wrong ones are spread evenly."""
    total = weights.sum()
    if not total:
        return float("nan")
    errors = np.bincount(block, weights=wrong * weights)
    sizes = np.bincount(block, weights=weights)
    spread = (errors / np.where(sizes > 0, sizes, 1.0))[block] * weights
    given = np.cumsum(weights)
    return float((weights * np.cumsum(spread) / np.where(given > 0, given, 1.0)).sum() / total)
