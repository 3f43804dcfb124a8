"""How well an unknown score tells products that a model was not taught from those that it was.

Source: Hendrycks and Gimpel, A baseline for detecting misclassified and out-of-distribution examples (arXiv:1610.02136), for AUROC; Liang,
Li and Srikant, ODIN (arXiv:1706.02690), for the share of unknown ones passed where 95 % of the known ones are kept.
"""

from typing import Literal, get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tfx_retail import intervals
from tfx_retail.intervals import Interval

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

Kind = Literal["confidence", "energy", "distance"]  # of unknown scores; `unknown_score` says what they are
KINDS: tuple[Kind, ...] = get_args(Kind)
KEPT = 0.95


class Detection(Struct, frozen=True, kw_only=True):
    """What an unknown score is worth; None where one of the two kinds is not there."""

    auroc: float | None  # chance that an unknown crop scores above a known one, ties for one half; 0.5 is a coin
    auroc_interval: Interval | None
    passed: float | None  # share of unknown crops that are taken for known where 95 % of the known ones are
    passed_interval: Interval | None
    threshold: float | None  # highest unknown score that is let pass then
    known: int  # crops
    unknown: int
    known_groups: int
    unknown_groups: int


def detection(
    known: Floats, unknown: Floats, known_groups: Indices, unknown_groups: Indices, *, draws: int = 200, seed: int = 0
) -> Detection:
    """Returns both figures for unknown scores [K] of known and [U] of unknown products; the higher, the more it speaks for an unknown one.

    Intervals come from groups drawn with replacement; a scene with crops of both kinds is one group.

    Raises:
      ValueError: a score is NaN.
    """
    scores, is_unknown = np.concatenate([known, unknown]), np.repeat([False, True], [len(known), len(unknown)])
    groups = np.unique(np.concatenate([known_groups, unknown_groups]), return_inverse=True)[1].astype(np.int64)
    odd = int(np.isnan(scores).sum())
    if odd:
        raise ValueError(f"unknown products: {odd} of {len(scores)} unknown scores are NaN")
    both = bool(len(known) and len(unknown))
    place = np.unique(scores, return_inverse=True)[1]

    def auroc(weights: Floats) -> float:
        return _auroc(place, is_unknown, weights)

    def passed(weights: Floats) -> float:
        return _passed(place, is_unknown, weights)[0]

    ones = np.ones(len(scores))
    return Detection(
        auroc=auroc(ones) if both else None,
        auroc_interval=intervals.resampled(auroc, groups, draws=draws, seed=seed) if both else None,
        passed=passed(ones) if both else None,
        passed_interval=intervals.resampled(passed, groups, draws=draws, seed=seed) if both else None,
        threshold=float(np.unique(scores)[_passed(place, is_unknown, ones)[1]]) if both else None,
        known=len(known),
        unknown=len(unknown),
        known_groups=len(np.unique(known_groups)),
        unknown_groups=len(np.unique(unknown_groups)),
    )


def _tally(place: Indices, is_unknown: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Returns the weight of known and of unknown crops at each different score, rising."""
    count = int(place.max()) + 1
    return intervals.sums(np.where(is_unknown, 0.0, weights), place, count), intervals.sums(
        np.where(is_unknown, weights, 0.0), place, count
    )


def _auroc(place: Indices, is_unknown: NDArray[np.bool_], weights: Floats) -> float:
    known, unknown = _tally(place, is_unknown, weights)
    pairs = known.sum() * unknown.sum()
    return float((unknown * (np.cumsum(known) - known / 2)).sum() / pairs) if pairs else float("nan")


def _passed(place: Indices, is_unknown: NDArray[np.bool_], weights: Floats) -> tuple[float, int]:
    """Returns the share of unknown crops passed, and the place of the threshold: the lowest score that keeps 95 % of the known crops."""
    known, unknown = _tally(place, is_unknown, weights)
    if not (known.sum() and unknown.sum()):
        return float("nan"), 0
    last = int(np.argmax(np.cumsum(known) >= KEPT * known.sum() * (1 - 1e-12)))
    return float(unknown[: last + 1].sum() / unknown.sum()), last
