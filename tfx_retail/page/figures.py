"""Drawings of doubt: reliability, risk against coverage, and how sure right and wrong answers were."""

from collections.abc import Sequence
from typing import NamedTuple

from tfx_retail.measured_doubt import MeasuredDoubt
from tfx_retail.page import charts
from tfx_retail.page.charts import Axis, Frame, Series
from tfx_retail.page.values import NONE, Figure, percent
from tfx_retail.reliability import CalibrationError

STYLES = ("a", "b", "c", "d")
_BETWEEN = "On the dashed line a confidence of 80 % is right 80 % of the time; below it the model is too sure."
_SURENESS = "Wrong answers on the right side are caught by no threshold; right ones on the left are those that one would throw away."


class Named(NamedTuple):
    """What one line stands for."""

    name: str
    doubt: MeasuredDoubt


def reliability(title: str, given: Sequence[tuple[str, CalibrationError]]) -> Figure:
    """Returns confidence against share of right answers, a line for each named measurement."""
    series = []
    for (name, error), style in zip(given, STYLES, strict=False):
        points = [(one.confidence, one.accuracy) for one in error.bins]
        words = [
            f"{name}: {one.crops:,} crops of {one.groups:,} scenes, {percent(one.confidence)} sure, {percent(one.accuracy)} right"
            for one in error.bins
        ]
        series.append(Series(name, style, points, [4.0] * len(points), words))
    frame = Frame(Axis("confidence", 0, 1, percent=True), Axis("right", 0, 1, percent=True))
    drawing = charts.lines(frame, series, "Confidence against share of right answers", diagonal=True)
    said = "; ".join(f"{name}: {_binned(error)}" for name, error in given)
    return Figure(title, drawing, f"{_BETWEEN} {_sentence(said)}.", keys(series))


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:]


def _binned(error: CalibrationError) -> str:
    counts = [one.crops for one in error.bins]
    if not counts:
        return "no crop"
    many = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    return f"{len(counts)} dots of {many} crops each"


def risk(given: Sequence[Named]) -> Figure:
    """Returns the share of crops answered against that of wrong answers, with the chosen points."""
    marks: list[tuple[float, float, str]] = []
    series, said = [], []
    for (name, doubt), style in zip(given, STYLES, strict=False):
        series.append(Series(name, style, list(zip(doubt.curve.coverage, doubt.curve.risk, strict=True))))
        marks += [(*point, "" if marks else "accepted") for point in _chosen(doubt)]
        said.append(_sentence(f"{name}: {_taken(doubt)}; area {_area(doubt)}"))
    top = charts.ceiling([y for item in series for _, y in item.points] + [0.02])
    frame = Frame(Axis("share of crops answered, surest first", 0, 1, percent=True), Axis("wrong", 0, top, percent=True))
    note = f"How many answers would be wrong if only the surest were given. The ring is what the model accepts. {'. '.join(said)}."
    drawing = charts.lines(frame, series, "Share of crops answered against share of wrong answers", marks)
    return Figure("Risk and coverage", drawing, note, keys(series))


def _chosen(doubt: MeasuredDoubt) -> list[tuple[float, float]]:
    coverage, precision = (found.value if found else None for found in (doubt.coverage, doubt.precision))
    return [] if coverage is None or precision is None else [(coverage, 1.0 - precision)]


def _taken(doubt: MeasuredDoubt) -> str:
    if doubt.coverage is None:
        return "it does not say what it accepts"
    wrong = None if doubt.precision is None or doubt.precision.value is None else 1.0 - doubt.precision.value
    return "nothing is accepted" if wrong is None else f"{percent(doubt.coverage.value)} accepted, {percent(wrong)} of them wrong"


def _area(doubt: MeasuredDoubt) -> str:
    """The area under the curve is the mean risk over all coverages."""
    if doubt.area.value is None or doubt.area.best is None:
        return NONE
    low, high = doubt.area.interval or (None, None)
    between = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{doubt.area.value:.3f}{between}, {doubt.area.best:.3f} at best"


def sureness(name: str, doubt: MeasuredDoubt) -> Figure:
    """Returns how sure right and wrong answers were."""
    right, wrong = doubt.histogram.right, doubt.histogram.wrong
    top = charts.ceiling([float(a + b) for a, b in zip(right, wrong, strict=True)])
    frame = Frame(Axis(f"confidence {name}", 0, 1, percent=True), Axis("crops", 0, top))
    drawing = charts.columns(frame, [("wrong", wrong), ("right", right)], "Confidence of right and of wrong answers")
    return Figure("Sure and right, sure and wrong", drawing, _SURENESS, (("right", "right"), ("wrong", "wrong")))


def keys(series: Sequence[Series]) -> tuple[tuple[str, str], ...]:
    """Returns a legend."""
    return tuple((item.style, item.name) for item in series)
