"""The numbers of the head: what the new model is worth, and what changed since the earlier one on the same crops."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.intervals import Estimate
from tfx_retail.measured_doubt import MeasuredDoubt
from tfx_retail.page import shares
from tfx_retail.page.collect import Collected
from tfx_retail.page.predicted import BASELINE, LEVELS, SIGNATURES, Answer, Predicted
from tfx_retail.page.values import NONE, nothing, percent, points, spoken

_METRICS = ("sku_accuracy", "look_accuracy", "family_accuracy", "top_k_accuracy", "macro_f1", "log_loss")
_DOUBT = {"coverage": "accepted", "accepted_precision": "right if accepted", "ece": "calibration error"}  # short enough for a tile
_NOTHING = Estimate(value=None, interval=None, crops=0, groups=0)
_VISIBLE = 0.0005  # a smaller change is written as none
_SMALLEST = 1e-7  # a score of 0 for the truth would make the mean infinite; the Evaluator clips there too


class Tile(Struct, frozen=True, kw_only=True):
    """One number, without and with size."""

    name: str
    plain: str
    sized: str  # empty: no crop has a measured side
    interval: str
    change: str
    better: bool | None  # None: no change to tell


def build(given: Collected) -> list[Tile]:
    """Returns the tiles; none where nothing was evaluated."""
    plain, sized = ((given.evaluation.get(name) or {}).get("overall") or {} for name in SIGNATURES)
    if not plain and not sized:
        return []
    changes = changed(given.eval, given.against) if given.eval is not None else {}
    measured = given.eval is None or bool(given.eval.sized.any())
    return [
        Tile(
            name=spoken(metric),
            plain=written(metric, plain.get(metric)),
            sized=written(metric, sized.get(metric)) if measured else "",
            interval=_interval(given, metric),
            change=difference(metric, changes[metric]) if metric in changes else "",
            better=None if abs(changes.get(metric, 0.0)) < _VISIBLE else (changes[metric] > 0) != (metric == "log_loss"),
        )
        for metric in _METRICS
    ] + [_doubt(given, metric, measured=measured) for metric in _DOUBT if given.doubts]


def doubt_of(found: MeasuredDoubt, metric: str) -> Estimate:
    """Returns `ece`, `coverage` or `accepted_precision`, as rules of the verdict are called."""
    error = found.after.calibration
    if metric == "ece":
        return Estimate(value=error.debiased, interval=error.interval, crops=error.crops, groups=error.groups)
    return (found.coverage if metric == "coverage" else found.precision) or _NOTHING


def _doubt(given: Collected, metric: str, *, measured: bool) -> Tile:
    plain, sized = (doubt_of(given.doubts[name], metric) for name in SIGNATURES)
    low, high = (written(metric, end) for end in plain.interval or (None, None))
    return Tile(
        name=_DOUBT[metric],
        plain=written(metric, plain.value),
        sized=written(metric, sized.value) if measured else "",
        interval=f"{low.removesuffix(' %')} – {high}" if plain.interval else "",
        change="",
        better=None,
    )


def changed(made: Predicted, against: Predicted | None) -> dict[str, float]:
    """Returns metric -> its change without size against the earlier model, on the crops that both were asked about; empty if none."""
    pairs = dict(_pair(made, against))
    if not pairs or not len(pairs["truth"]):
        return {}
    now, then = (_measured(pairs[name], pairs["truth"]) for name in ("now", "then"))
    return {metric: now[metric] - then[metric] for metric in _METRICS if not nothing(now[metric] - then[metric])}


def written(metric: str, value: float | None) -> str:
    """Returns a metric's value as a text."""
    if nothing(value) or value is None:
        return NONE
    return percent(value) if is_share(metric) else f"{value:.3f}"


def is_share(metric: str) -> bool:
    """Tells whether a metric is a share, so that more of it is better and percent are how it is written."""
    return metric.endswith("accuracy") or metric in ("coverage", "accepted_precision")


def difference(metric: str, delta: float) -> str:
    """Returns a change with its sign, in points for a share."""
    return points(delta) if metric.endswith("accuracy") else "±0.000" if round(delta, 3) == 0 else f"{delta:+.3f}".replace("-", "−")


def _interval(given: Collected, metric: str) -> str:
    made, level = given.eval, metric.removesuffix("_accuracy")
    if made is None or level not in LEVELS or not len(made):
        return ""
    found = shares.share(made.right(SIGNATURES[0])[:, LEVELS.index(level)], made.scenes, alpha(given.config))
    return f"{100 * found.low:.1f} – {percent(found.high)}"


def alpha(config: Mapping[str, Any]) -> float:
    """Returns how often each end of an interval may be passed."""
    return float((config.get("verdict") or {}).get("alpha") or shares.ALPHA)


def _pair(made: Predicted, against: Predicted | None) -> Iterator[tuple[str, Any]]:
    """Yields the truth and both models' answers to the crops that both were asked about."""
    plain = SIGNATURES[0]
    if against is not None:
        rows, others = _common(made, against)
        earlier = _rows(against.answers[plain], others)
        renamed = _renamed(against.lists.skus, made.lists.skus)
        earlier = earlier._replace(decided=np.column_stack([renamed[earlier.decided[:, 0]], earlier.decided[:, 1:]]))
        right = against.right(plain)[others]
    elif BASELINE + plain in made.answers:
        rows = np.flatnonzero(~np.isin(np.array(made.lists.skus, object)[made.truth[:, 0]], made.lists.baseline_lacks))
        earlier, right = _rows(made.answers[BASELINE + plain], rows), made.right(BASELINE + plain)[rows]
    else:
        return
    yield "truth", made.truth[rows]
    yield "now", (_rows(made.answers[plain], rows), made.right(plain)[rows])
    yield "then", (earlier, right)


def _common(made: Predicted, against: Predicted) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    place = {crop: row for row, crop in enumerate(against.texts[features.CROP_ID.name].tolist())}
    found = [(row, place[crop]) for row, crop in enumerate(made.texts[features.CROP_ID.name].tolist()) if crop in place]
    rows, others = np.array(found, np.int64).reshape(-1, 2).T
    return rows, others


def _renamed(before: list[str], now: list[str]) -> NDArray[np.int32]:
    """Returns [S + 1]: the earlier model's SKUs in the new lists, -1 where they are not; the last is for -1 itself."""
    place = {sku: number for number, sku in enumerate(now)}
    return np.array([*(place.get(sku, -1) for sku in before), -1], np.int32)


def _rows(answer: Answer, rows: NDArray[np.int64]) -> Answer:
    return Answer(answer.decided[rows], answer.confidence[rows], answer.truth_score[rows], answer.in_top[rows], answer.accepted[rows])


def _measured(given: tuple[Answer, NDArray[np.bool_]], truth: NDArray[np.int32]) -> dict[str, float]:
    answer, right = given
    found = {f"{level}_accuracy": float(right[:, place].mean()) for place, level in enumerate(LEVELS)}
    scores = np.maximum(answer.truth_score.astype(np.float64), _SMALLEST)  # what is not a number stays so
    found |= {"top_k_accuracy": float(answer.in_top.mean()), "log_loss": float(-np.log(scores).mean())}
    return found | {"macro_f1": _macro_f1(truth[:, 0], answer.decided[:, 0])}


def _macro_f1(truth: NDArray[np.int32], answered: NDArray[np.int32]) -> float:
    """Returns the mean F1 of the SKUs that have crops."""
    size = int(max(truth.max(), answered.max())) + 1
    examples, times = np.bincount(truth, minlength=size), np.bincount(answered[answered >= 0], minlength=size)
    hits = np.bincount(truth[truth == answered], minlength=size)
    shown = examples > 0
    return float((2 * hits[shown] / (examples[shown] + times[shown])).mean()) if shown.any() else math.nan
