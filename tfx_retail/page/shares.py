"""Shares with their intervals, and slices of the crops with what both models got right there."""

import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import bounds, features
from tfx_retail.bounds import Totals
from tfx_retail.page.predicted import BASELINE, SIGNATURES, Bools, Predicted, coded

ALPHA = 0.05  # how often each end of an interval may be passed, where the configuration does not say
_AGES = ((7, "up to a week"), (30, "up to a month"), (180, "up to half a year"), (math.inf, "older"))


class Share(NamedTuple):
    """A share of N crops between its bounds; all NaN where N is 0."""

    value: float
    low: float
    high: float
    crops: int


class Slice(NamedTuple):
    """Some crops of eval that have something in common."""

    feature: str
    value: str
    shares: dict[str, Share]  # by signature, of right SKUs
    family: float  # share of right families without size
    change: dict[str, float]  # by signature, against the earlier model on the same crops; NaN: no such model
    scenes: int


def share(right: Bools, scenes: NDArray[np.int64], alpha: float = ALPHA) -> Share:
    """Returns the share of right answers between bounds as the verdict has them: scenes are the unit, and nothing is approximate.

    Args:
      right: [N].
      scenes: [N] numbers.
      alpha: how often each bound may be passed.
    """
    return shares([(right, scenes)], alpha)[0]


def shares(answers: Sequence[tuple[Bools, NDArray[np.int64]]], alpha: float = ALPHA) -> list[Share]:
    """Returns the share of each of several sets of right answers and scenes, all at once."""
    totals = [_totals(*one) for one in answers]
    levels = [alpha] * len(totals)
    ends = (found.tolist() for found in bounds.ends(totals, (levels, levels), 0.0, 1.0))
    return [_share(right, low, high) for (right, _), low, high in zip(answers, *ends, strict=True)]


def _totals(right: Bools, scenes: NDArray[np.int64]) -> Totals:
    sizes, sums = np.bincount(scenes).astype(float), np.bincount(scenes, right).astype(float)
    return Totals(sizes[sizes > 0], sums[sizes > 0])


def _share(right: Bools, low: float, high: float) -> Share:
    return Share(float(right.mean()), low, high, len(right)) if len(right) else Share(math.nan, math.nan, math.nan, 0)


def slices(predicted: Predicted, against: Predicted | None = None, alpha: float = ALPHA) -> list[Slice]:
    """Returns every slice of the crops, features in reading order; `against` holds another run's answers to the same crops."""
    cut: list[_Cut] = []
    for feature, (names, places) in _features(predicted):
        if len(names) < 2:  # one value alone is all crops again
            continue
        order = np.argsort(places, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(places, minlength=len(names)))[:-1])
        cut.extend(_Cut(feature, name, rows) for name, rows in zip(names, parts, strict=True) if name)
    return _slices(_marks(predicted, against, alpha), cut)


def overall(predicted: Predicted, against: Predicted | None = None, alpha: float = ALPHA) -> Slice:
    """Returns all crops as one slice."""
    everything = _Cut("all", "all crops of eval", np.arange(len(predicted)))
    return _slices(_marks(predicted, against, alpha), [everything])[0]


class _Cut(NamedTuple):
    """Which crops make a slice."""

    feature: str
    value: str
    rows: NDArray[np.int64]


class _Marks(NamedTuple):
    """What both models got right, counted once for all slices."""

    right: dict[str, Bools]  # by signature, [N] of SKUs
    earlier: dict[str, NDArray[np.float64] | None]
    family: Bools  # [N]
    scenes: NDArray[np.int64]  # [N]
    alpha: float


def _marks(predicted: Predicted, against: Predicted | None, alpha: float) -> _Marks:
    return _Marks(
        {signature: predicted.right(signature)[:, 0] for signature in SIGNATURES},
        {signature: earlier_right(predicted, against, signature) for signature in SIGNATURES},
        predicted.right(SIGNATURES[0])[:, 2],
        predicted.scenes,
        alpha,
    )


def earlier_right(predicted: Predicted, against: Predicted | None, signature: str) -> NDArray[np.float64] | None:
    """Returns [N]: 1 and 0 where the earlier model was right and wrong, NaN where it was not asked; None where there is none."""
    if against is not None:
        return _aligned(predicted, against, signature)
    if BASELINE + signature not in predicted.answers:
        return None
    right = predicted.right(BASELINE + signature)[:, 0].astype(np.float64)
    lacking = np.isin(np.array(predicted.lists.skus, object)[predicted.truth[:, 0]], predicted.lists.baseline_lacks)
    return np.where(lacking, np.nan, right)


def _aligned(predicted: Predicted, against: Predicted, signature: str) -> NDArray[np.float64]:
    rights = dict(zip(against.texts[features.CROP_ID.name].tolist(), against.right(signature)[:, 0].tolist(), strict=True))
    return np.array([float(rights.get(crop, math.nan)) for crop in predicted.texts[features.CROP_ID.name]])


def _slices(marks: _Marks, cut: Sequence[_Cut]) -> list[Slice]:
    plain, sized = (
        shares([(marks.right[signature][rows], marks.scenes[rows]) for _, _, rows in cut], marks.alpha) for signature in SIGNATURES
    )
    return [
        _slice(marks, one, dict(zip(SIGNATURES, both, strict=True))) for one, both in zip(cut, zip(plain, sized, strict=True), strict=True)
    ]


def _slice(marks: _Marks, cut: _Cut, found: dict[str, Share]) -> Slice:
    feature, value, rows = cut
    family = float(marks.family[rows].mean()) if len(rows) else math.nan
    change = {name: _change(marks.right[name][rows], earlier, rows) for name, earlier in marks.earlier.items()}
    return Slice(feature, value, found, family, change, len(np.unique(marks.scenes[rows])))


def _change(right: Bools, earlier: NDArray[np.float64] | None, rows: NDArray[np.int64]) -> float:
    if earlier is None:
        return math.nan
    before = earlier[rows]
    asked = np.isfinite(before)
    return float(right[asked].mean() - before[asked].mean()) if asked.any() else math.nan


def _features(predicted: Predicted) -> Iterator[tuple[str, tuple[list[str], NDArray[np.int64]]]]:
    lists = predicted.lists
    named = zip(("SKU", "look", "family", "category"), (lists.skus, lists.looks, lists.families, lists.categories), strict=True)
    for level, (feature, names) in enumerate(named):
        yield feature, _known(predicted.truth[:, level], names, _shared(predicted) if feature == "look" else None)
    for name in (features.BRAND.name, features.STORE.name, features.FACE.name, features.SOURCE.name):
        yield name, coded(predicted.texts[name])
    days, dates = coded([text[:10] for text in predicted.texts[features.TAKEN_AT.name]])
    yield "day", (days, dates)
    ages = _ages(days)
    yield "age of the photo", coded([ages[date] for date in dates.tolist()])
    for name, values in predicted.flags.items():
        yield name, _yes_or_no(values)
    yield "size measured", _yes_or_no(predicted.sized)


def _known(places: NDArray[np.int32], names: list[str], only: Bools | None) -> tuple[list[str], NDArray[np.int64]]:
    """Returns the names that occur and [N] which one each crop has; a crop that is not among `only` has none, the empty name."""
    numbers = places.astype(np.int64) if only is None else np.where(only, places, len(names))
    different, codes = np.unique(numbers, return_inverse=True)
    return [*map([*names, ""].__getitem__, different.tolist())], codes


def _yes_or_no(values: Bools) -> tuple[list[str], NDArray[np.int64]]:
    return coded(["yes" if value else "no" for value in values.tolist()])


def _shared(predicted: Predicted) -> Bools:
    """Returns [N]: whether the crop's look has crops of several SKUs; a look of one SKU would be that SKU again."""
    pairs = np.unique(predicted.truth[:, :2], axis=0)
    shared = np.bincount(pairs[:, 1], minlength=len(predicted.lists.looks)) > 1
    return np.asarray(shared[predicted.truth[:, 1]], np.bool_)


def _ages(days: list[str]) -> list[str]:
    """Returns how long before the newest day each day is, in words; nothing for what is no day."""
    dates = [_date(day) for day in days]
    newest = max((day for day in dates if day), default=None)
    return [_age((newest - day).days) if newest and day else "" for day in dates]


def _age(days: int) -> str:
    return next(words for most, words in _AGES if days <= most)


def _date(day: str) -> date | None:
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None
