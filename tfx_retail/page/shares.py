"""Shares with their intervals, and slices of the crops with what both models got right there."""

import math
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.page.predicted import BASELINE, SIGNATURES, Bools, Predicted

_Z = 1.959964  # 95 %
_AGES = ((7, "up to a week"), (30, "up to a month"), (180, "up to half a year"), (math.inf, "older"))


class Share(NamedTuple):
    """A share of N crops with its 95 % interval; all NaN where N is 0."""

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


def share(right: Bools, groups: NDArray[Any]) -> Share:
    """Returns the share of right answers with Wilson's interval, for as many independent crops as the scenes are worth.

    Crops of one scene resemble each other; Kish's design effect says by how much, estimated from the spread between scenes.
    Sources: https://doi.org/10.1080/01621459.1927.10502953, https://en.wikipedia.org/wiki/Design_effect.
    """
    count = len(right)
    if not count:
        return Share(math.nan, math.nan, math.nan, 0)
    value = float(right.mean())
    low, high = wilson(value, count / _design_effect(right, groups))
    return Share(value, low, high, count)


def wilson(value: float, count: float) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share out of `count`; it has a width at 0 and 1 too."""
    square = _Z * _Z / count
    middle = (value + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(value * (1 - value) / count + square / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def slices(predicted: Predicted, against: Predicted | None = None) -> list[Slice]:
    """Returns every slice of the crops, features in reading order; `against` holds another run's answers to the same crops."""
    marks, found = _marks(predicted, against), list[Slice]()
    for feature, values in _features(predicted):
        different, places = np.unique(values.astype(str), return_inverse=True)
        if len(different) < 2:  # one value alone is all crops again
            continue
        order = np.argsort(places, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(places))[:-1])
        found.extend(_slice(marks, feature, str(value), rows) for value, rows in zip(different, parts, strict=True) if value)
    return found


def overall(predicted: Predicted, against: Predicted | None = None) -> Slice:
    """Returns all crops as one slice."""
    return _slice(_marks(predicted, against), "all", "all crops of eval", np.arange(len(predicted)))


class _Marks(NamedTuple):
    """What both models got right, counted once for all slices."""

    right: dict[str, Bools]  # by signature, [N] of SKUs
    earlier: dict[str, NDArray[np.float64] | None]
    family: Bools  # [N]
    scenes: NDArray[np.int64]  # [N] numbers of the scenes


def _marks(predicted: Predicted, against: Predicted | None) -> _Marks:
    return _Marks(
        {signature: predicted.right(signature)[:, 0] for signature in SIGNATURES},
        {signature: earlier_right(predicted, against, signature) for signature in SIGNATURES},
        predicted.right(SIGNATURES[0])[:, 2],
        np.unique(predicted.groups.astype(str), return_inverse=True)[1].astype(np.int64),
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


def _slice(marks: _Marks, feature: str, value: str, rows: NDArray[np.int64]) -> Slice:
    scenes, shares, change = marks.scenes[rows], {}, {}
    for signature, right in marks.right.items():
        earlier = marks.earlier[signature]
        shares[signature] = share(right[rows], scenes)
        change[signature] = math.nan if earlier is None else _change(right[rows], earlier[rows])
    family = float(marks.family[rows].mean()) if len(rows) else math.nan
    return Slice(feature, value, shares, family, change, len(np.unique(scenes)))


def _change(right: Bools, earlier: NDArray[np.float64]) -> float:
    asked = np.isfinite(earlier)
    return float(right[asked].mean() - earlier[asked].mean()) if asked.any() else math.nan


def _design_effect(right: Bools, groups: NDArray[Any]) -> float:
    """Variance of the share with scenes as the unit over that with crops as the unit; at least 1, and 1 where it cannot be told."""
    value, (names, places) = right.mean(), np.unique(groups, return_inverse=True)
    if len(names) < 2 or value in (0.0, 1.0):
        return 1.0
    errors = np.bincount(places, right - value)
    between = len(names) / (len(names) - 1) * float((errors**2).sum()) / len(right) ** 2
    return max(1.0, min(between / (value * (1 - value) / len(right)), len(right) / len(names)))


def _features(predicted: Predicted) -> Iterator[tuple[str, NDArray[Any]]]:
    lists = predicted.lists
    for level, (feature, names) in enumerate(
        (("SKU", lists.skus), ("look", lists.looks), ("family", lists.families), ("category", lists.categories))
    ):
        found = np.array(names, object)[predicted.truth[:, level]]
        yield feature, np.where(_shared(predicted), found, "") if feature == "look" else found
    for name in (features.BRAND.name, features.STORE.name, features.FACE.name, features.SOURCE.name):
        yield name, predicted.texts[name]
    days = np.array([text[:10] for text in predicted.texts[features.TAKEN_AT.name]], object)
    yield "day", days
    yield "age of the photo", _ages(days)
    for name, values in predicted.flags.items():
        yield name, np.where(values, "yes", "no").astype(object)
    yield "size measured", np.where(predicted.sized, "yes", "no").astype(object)


def _shared(predicted: Predicted) -> Bools:
    """Returns [N]: whether the crop's look has crops of several SKUs; a look of one SKU would be that SKU again."""
    pairs = np.unique(predicted.truth[:, :2], axis=0)
    shared = np.bincount(pairs[:, 1], minlength=len(predicted.lists.looks)) > 1
    return np.asarray(shared[predicted.truth[:, 1]], np.bool_)


def _ages(days: NDArray[Any]) -> NDArray[Any]:
    """Returns how long before the newest photo each was taken, in words."""
    dates = [_date(day) for day in days]
    newest = max((day for day in dates if day), default=None)
    return np.array([_age((newest - day).days) if newest and day else "" for day in dates], object)


def _age(days: int) -> str:
    return next(words for most, words in _AGES if days <= most)


def _date(day: str) -> date | None:
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None
