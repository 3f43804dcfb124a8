"""Drawings as SVG, their colours left to the page's style: they follow light, dark and print."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 22.0, 14.0, 38.0


class Series(NamedTuple):
    """A line: its name, its style in the sheet (`a` to `d`), its points, the size of a dot at each, and what that says."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    dots: Sequence[float] = ()
    words: Sequence[str] = ()


class Axis(NamedTuple):
    """What an axis shows, from where to where; `percent` for shares."""

    name: str
    low: float
    high: float
    percent: bool = False


class Frame(NamedTuple):
    """A drawing's size and axes."""

    x: Axis
    y: Axis
    width: float = 360.0
    height: float = 240.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Returns where a point lies in the drawing."""
        across = (x - self.x.low) / ((self.x.high - self.x.low) or 1)
        up = (y - self.y.low) / ((self.y.high - self.y.low) or 1)
        return _LEFT + across * (self.width - _LEFT - _RIGHT), self.height - _BOTTOM - up * (self.height - _TOP - _BOTTOM)


def lines(
    frame: Frame, series: Sequence[Series], label: str, marks: Sequence[tuple[float, float, str]] = (), *, diagonal: bool = False
) -> Markup:
    """Returns lines over axes; `marks` are chosen points with their words."""
    drawn = [_axes(frame)]
    if diagonal:
        drawn.append(_path([frame.at(0, 0), frame.at(1, 1)], "ideal"))
    for item in series:
        places = [frame.at(x, y) for x, y in item.points if math.isfinite(x) and math.isfinite(y)]
        drawn.append(_path(places, f"line {item.style}"))
        said = item.words or [""] * len(places)
        drawn.extend(_dot(place, radius, f"dot {item.style}", text) for place, radius, text in zip(places, item.dots, said, strict=False))
    drawn.extend(_mark(frame, *mark) for mark in marks if all(map(math.isfinite, mark[:2])))
    return _svg(frame.width, frame.height, label, drawn)


def columns(frame: Frame, stacks: Sequence[tuple[str, Sequence[float]]], label: str) -> Markup:
    """Returns columns of equal width over the x axis, of several series on top of each other: (style, heights) from below."""
    drawn, count = [_axes(frame)], max((len(heights) for _, heights in stacks), default=0)
    base = [0.0] * count
    for style, heights in stacks:
        for place, height in enumerate(heights):
            if height > 0:
                drawn.append(_column(frame, place, count, base[place], height, style))
            base[place] += height
    return _svg(frame.width, frame.height, label, drawn, css="broad" if frame.width > 500 else "")


def outline(parts: Sequence[tuple[str, Sequence[tuple[float, float, float]]]], low: float, high: float, label: str) -> Markup:
    """Returns small histograms on top of each other as outlines, each scaled to its own highest bucket: (style, buckets)."""
    width, height = 220.0, 64.0
    drawn = [Markup('<line class="axis" x1="0" x2="{}" y1="{}" y2="{}"/>').format(width, height - 1, height - 1)]
    for style, buckets in parts:
        heights = [(begin, end, count / ((end - begin) or 1)) for begin, end, count in buckets]
        top = max((value for *_, value in heights), default=0) or 1
        places = [(0.0, height - 1)] if heights else []
        for begin, end, value in heights:
            y = height - 1 - value / top * (height - 8)
            places += [((at - low) / ((high - low) or 1) * width, y) for at in (begin, end)]
        places += [(places[-1][0], height - 1)] if places else []
        drawn.append(_path(places, f"outline {style}"))
    return _svg(width, height, label, drawn)


def timeline(rows: Sequence[tuple[str, str, float, float, str]], total: float) -> Markup:
    """Returns nodes as bars one below the other: (name, state, begin, seconds, words), in seconds of the run."""
    width, step, left, right = 1000.0, 24.0, 132.0, 84.0
    scale = (width - left - right) / (total or 1)
    drawn = []
    for place, (name, state, begin, seconds, said) in enumerate(rows):
        y, x = place * step + 4, left + begin * scale
        bar = max(seconds * scale, 3.0)
        drawn.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, width - right, y + 8, y + 8))
        drawn.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(left - 10, y + 12.5, name))
        drawn.append(
            Markup('<rect class="node {}" x="{:.1f}" y="{}" width="{:.1f}" height="16" rx="3"><title>{}</title></rect>').format(
                state.replace(" ", "-"), x, y, bar, f"{name}: {said}"
            )
        )
        drawn.append(Markup('<text class="soft" x="{:.1f}" y="{}">{}</text>').format(x + bar + 7, y + 12.5, said))
    return _svg(width, len(rows) * step + 6, "Run times of the nodes, one bar each", drawn, css="wide")


def dots(
    value: float | None, low: float | None, high: float | None, threshold: float | None, baseline: float | None, span: tuple[float, float]
) -> Markup:
    """Returns one value on a line with its interval, what was asked for as a tick, and the earlier value as a hollow dot."""
    width, height = 220.0, 26.0

    def x(number: float) -> float:
        return 6 + (min(max(number, span[0]), span[1]) - span[0]) / ((span[1] - span[0]) or 1) * (width - 12)

    drawn = [Markup('<line class="axis" x1="6" x2="{}" y1="13" y2="13"/>').format(width - 6)]
    if low is not None and high is not None:
        drawn.append(Markup('<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="13" y2="13"/>').format(x(low), x(high)))
    if threshold is not None:
        drawn.append(Markup('<line class="tick" x1="{0:.1f}" x2="{0:.1f}" y1="3" y2="23"/>').format(x(threshold)))
    if baseline is not None:
        drawn.append(Markup('<circle class="hollow" cx="{:.1f}" cy="13" r="5"/>').format(x(baseline)))
    if value is not None:
        drawn.append(Markup('<circle class="value" cx="{:.1f}" cy="13" r="5.5"/>').format(x(value)))
    return _svg(width, height, "value, interval and threshold", drawn, css="dots")


def ceiling(values: Iterable[float]) -> float:
    """Returns a round number that is no smaller than any value."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    if top <= 0:
        return 1.0
    step = 10.0 ** math.floor(math.log10(top))
    return next(factor * step for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if factor * step >= top * 0.9999)


def _axes(frame: Frame) -> Markup:
    drawn = []
    for place in range(5):
        x, y = (axis.low + (axis.high - axis.low) * place / 4 for axis in (frame.x, frame.y))
        left, right = frame.at(frame.x.low, y), frame.at(frame.x.high, y)
        drawn.append(
            Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(left[0], right[0], left[1], left[1])
        )
        drawn.append(
            Markup('<text class="soft" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
                left[0] - 7, left[1] + 4, _tick(y, frame.y)
            )
        )
        below = frame.at(x, frame.y.low)
        drawn.append(
            Markup('<text class="soft" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
                below[0], below[1] + 16, _tick(x, frame.x)
            )
        )
    drawn.append(
        Markup('<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            (_LEFT + frame.width - _RIGHT) / 2, frame.height - 5, frame.x.name
        )
    )
    return Markup("").join(drawn)


def _tick(value: float, axis: Axis) -> str:
    if axis.percent:
        shown = 100 * value
        return f"{shown:.0f} %" if abs(shown - round(shown)) < 0.05 else f"{shown:.1f} %"
    spread = abs(axis.high - axis.low)
    if spread >= 10:
        return f"{value:,.0f}"
    return _small(value) if spread < 0.1 else f"{value:.2f}"


def _small(value: float) -> str:
    """Returns a number in at most six characters: there is no room for more beside an axis."""
    plain = f"{value:.3g}"
    return plain if len(plain) <= 6 else f"{value:.1e}".replace("e-0", "e-")


def _column(frame: Frame, place: int, count: int, base: float, height: float, style: str) -> Markup:
    step = (frame.x.high - frame.x.low) / count
    left, top = frame.at(frame.x.low + place * step, base + height)
    right, bottom = frame.at(frame.x.low + (place + 1) * step, base)
    return Markup('<rect class="fill {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        style, left + 0.5, top, right - left - 1, bottom - top
    )


def _path(places: Sequence[tuple[float, float]], css: str) -> Markup:
    if not places:
        return Markup("")
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Markup('<polyline class="{}" points="{}"/>').format(css, steps)


def _dot(place: tuple[float, float], radius: float, css: str, said: str) -> Markup:
    title = Markup("<title>{}</title>").format(said) if said else ""
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}">{}</circle>').format(css, *place, radius, title)


def _mark(frame: Frame, x: float, y: float, said: str) -> Markup:
    across, down = frame.at(x, y)
    anchor = "end" if across > frame.width * 0.6 else "start"
    shift = -10 if anchor == "end" else 10
    dot = Markup('<circle class="chosen" cx="{:.1f}" cy="{:.1f}" r="5.5"/>').format(across, down)
    return dot + Markup('<text class="said" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        across + shift, max(down - 9, 12), anchor, said
    )


def _svg(width: float, height: float, label: str, drawn: Iterable[Markup], css: str = "") -> Markup:
    inner = Markup("").join(drawn)
    return Markup('<svg class="{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">{}</svg>').format(
        css, width, height, escape(label), inner
    )
