"""How far a confidence can be trusted: reliability, risk against coverage, and how sure right and wrong answers were."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail.page.predicted import Bools

Numbers = NDArray[np.float64]
BINS = 10
_POINTS = 120  # of a curve: more than a page's pixels show


class Reliability(NamedTuple):
    """Bins of confidence that hold a crop."""

    confidence: Numbers  # [B] mean in the bin
    accuracy: Numbers  # [B] share of right answers
    crops: NDArray[np.int64]  # [B]
    error: float  # expected calibration error: mean distance of the two, weighted by count; NaN without crops


class RiskCoverage(NamedTuple):
    """If only the surest answers were given: how many, and how many of them wrong."""

    coverage: Numbers  # [P] share of crops answered, rising
    risk: Numbers  # [P] share of wrong ones among them
    at: tuple[float, float, float]  # threshold, coverage and risk there


def reliability(confidence: NDArray[np.float32], right: Bools) -> Reliability:
    """Returns bins of equal width; a confidence that is not a number is left out. Source: https://arxiv.org/abs/1706.04599."""
    known = np.isfinite(confidence)
    values, hits = confidence[known].astype(np.float64), right[known].astype(np.float64)
    places = np.clip((values * BINS).astype(np.int64), 0, BINS - 1)
    count = np.bincount(places, minlength=BINS)
    full = count > 0
    mean = np.bincount(places, values, BINS)[full] / count[full]
    accuracy = np.bincount(places, hits, BINS)[full] / count[full]
    error = float((np.abs(mean - accuracy) * count[full]).sum() / count.sum()) if count.sum() else float("nan")
    return Reliability(mean, accuracy, count[full], error)


def risk_coverage(confidence: NDArray[np.float32], right: Bools, threshold: float) -> RiskCoverage:
    """Returns the curve, surest first, and the point where `accepted` turns false. Source: https://arxiv.org/abs/1705.08500."""
    values = np.nan_to_num(confidence.astype(np.float64), nan=-1.0)
    count = len(values)
    if not count:
        return RiskCoverage(np.zeros(0), np.zeros(0), (threshold, float("nan"), float("nan")))
    order = np.argsort(-values, kind="stable")
    wrong = np.cumsum(~right[order])
    last = np.append(values[order][1:] != values[order][:-1], True)  # answers that are equally sure are given together
    ends = np.flatnonzero(last)
    if len(ends) > _POINTS:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, _POINTS).round().astype(int))]
    given = int((values >= threshold).sum())
    risk = float(wrong[given - 1] / given) if given else float("nan")
    return RiskCoverage((ends + 1) / count, wrong[ends] / (ends + 1), (threshold, given / count, risk))


def histogram(confidence: NDArray[np.float32], rows: Bools) -> NDArray[np.int64]:
    """Returns [20] counts of the confidences of some rows, in steps of 0.05."""
    values = confidence[rows & np.isfinite(confidence)]
    return np.histogram(values, bins=20, range=(0.0, 1.0))[0].astype(np.int64)
