"""If only the surest answers were given: how many, how many of them wrong, and how sure that is.

Source: Geifman and El-Yaniv, Selective classification for deep neural networks (arXiv:1705.08500); the area under the curve from their
Bias-reduced uncertainty estimation (arXiv:1805.08206).
"""

from collections.abc import Sequence
from typing import NamedTuple

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
    return shares([(flags, groups)])[0]


def shares(slices: Sequence[tuple[Flags, Indices]]) -> list[Estimate]:
    """Returns the share of each slice, all at once, of its flags and groups."""
    totals = [_totals(*one) for one in slices]
    levels = [_SIDE] * len(totals)
    lows, highs = bounds.ends(totals, (levels, levels), 0.0, 1.0)
    return [_estimate(one, ends) for one, *ends in zip(totals, lows.tolist(), highs.tolist(), strict=True)]


def precision(right: Flags, accepted: Flags, groups: Indices) -> Estimate:
    """Returns the share of right answers among the accepted ones, with exact bounds over groups; None where none is accepted."""
    return share(right[accepted], groups[accepted])


def precision_by(places: Indices, count: int, right: Flags, accepted: Flags, groups: Indices) -> list[Estimate]:
    """Returns the precision among accepted answers of each of `count` slices, for [N] numbers of slices; -1 for a crop of none."""
    rows = np.flatnonzero(accepted & (places >= 0))
    order = rows[np.argsort(places[rows], kind="stable")]
    parts = np.split(order, np.searchsorted(places[order], np.arange(1, count)))
    return shares([(right[part], groups[part]) for part in parts[:count]])


def _totals(flags: Flags, groups: Indices) -> Totals:
    numbers = np.unique(groups, return_inverse=True)[1]
    return Totals(np.bincount(numbers).astype(float), np.bincount(numbers, weights=flags).astype(float))


def _estimate(totals: Totals, ends: Sequence[float]) -> Estimate:
    if not len(totals.sizes):
        return Estimate(value=None, interval=None, crops=0, groups=0)
    return Estimate(value=totals.mean, interval=(ends[0], ends[1]), crops=int(totals.sizes.sum()), groups=len(totals.sizes))


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
