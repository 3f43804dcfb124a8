"""Values as a page shows them: texts of numbers, and tables that a reader can sort, search and page through."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from markupsafe import Markup
from msgspec import Struct

from tfx_retail.intervals import Estimate, Interval
from tfx_retail.page.shares import Share

NONE = "–"
PAGE = 25  # rows that a table shows at once
Kind = Literal["text", "number", "share", "change"]


_SPOKEN = {
    "serving_default": "without size",
    "predict_sized": "with size",
    "macro_f1": "macro F1",
    "top_k_accuracy": "top-k accuracy",
    "brier": "Brier score",
    "ece": "calibration error",
    "coverage": "share accepted",
    "accepted_precision": "precision among accepted",
}


class Cell(NamedTuple):
    """What a cell shows, and what it is sorted by; with a low and a high end it has a small picture of the interval."""

    text: str
    sort: float | str | None = None
    low: float | None = None
    high: float | None = None


class Column(NamedTuple):
    """One column of a table."""

    name: str
    kind: Kind = "text"
    hint: str = ""


class Table(Struct, frozen=True, kw_only=True):
    """Rows of cells in the order in which they are first shown."""

    name: str  # fit for an id
    caption: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    filter: int | None = None  # the column whose values are offered as a choice

    @property
    def choices(self) -> list[str]:
        """Returns the values of the filter's column, in the order of the rows."""
        return [] if self.filter is None else list(dict.fromkeys(row[self.filter].text for row in self.rows))

    @property
    def first(self) -> list[tuple[Cell, ...]]:
        """Returns the rows that stand in the page before its script runs, and where it does not."""
        return self.rows[:PAGE]

    @property
    def data(self) -> dict[str, Any]:
        """Returns what the script needs."""
        return {
            "kinds": [column.kind for column in self.columns],
            "page": PAGE,
            "filter": self.filter,
            "rows": [list(map(_packed, row)) for row in self.rows],
        }


class Photo(NamedTuple):
    """A thumbnail with its words; `uri` empty: there is none."""

    uri: str
    alt: str


class Figure(NamedTuple):
    """A drawing and what it says."""

    title: str
    svg: Markup
    note: str = ""
    legend: tuple[tuple[str, str], ...] = ()  # style, name


def words(text: str) -> Cell:
    """Returns a cell of text."""
    return Cell(text or NONE, text)


def whole(count: float | None) -> Cell:
    """Returns a cell of a count."""
    return Cell(NONE) if count is None else Cell(f"{count:,.0f}", float(count))


def real(value: float | None, digits: int = 3) -> Cell:
    """Returns a cell of a number."""
    return Cell(NONE) if nothing(value) else Cell(f"{value:,.{digits}f}", value)


def share(value: Share | float | None) -> Cell:
    """Returns a cell of a share, with its interval where it has one."""
    if isinstance(value, Share):
        return Cell(
            percent(value.value), None if nothing(value.value) else value.value, *(None if nothing(end) else end for end in value[1:3])
        )
    return Cell(percent(value), None if nothing(value) else value)


def estimate(found: Estimate | None) -> Cell:
    """Returns a cell of a share that was measured, with its interval where it has one."""
    return Cell(NONE) if found is None else bounded(found.value, found.interval)


def bounded(value: float | None, interval: Interval | None) -> Cell:
    """Returns a cell of a share between its bounds."""
    return share(value)._replace(low=interval[0], high=interval[1]) if interval and value is not None else share(value)


def change(value: float | None) -> Cell:
    """Returns a cell of a difference of shares in percentage points; a loss is a minus."""
    return Cell(NONE) if value is None or math.isnan(value) else Cell(points(value), value)


def percent(value: float | None, digits: int = 1) -> str:
    """Returns a share in percent."""
    return NONE if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """Returns a difference of shares with its sign; what rounds to nothing has none."""
    rounded = round(100 * value, 1)
    return "±0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Returns a time that a person can read at a glance."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def nothing(value: float | None) -> bool:
    """Tells whether there is no number to show."""
    return value is None or not math.isfinite(value)


def spoken(metric: str) -> str:
    """Returns a metric's or a feature's name in words."""
    return _SPOKEN.get(metric, metric.replace("_", " ").replace("sku", "SKU"))


def slice_name(feature: str, value: str) -> tuple[str, str]:
    """Returns how a person calls a slice of the verdict: what it is a slice of, and which one."""
    special = {"all": "all crops", "size_pairs": "SKUs that only size tells apart", "top_facings": f"the {value} SKUs with most crops"}
    return ("all", special[feature]) if feature in special else (spoken(feature), value)


def table(name: str, caption: str, columns: Sequence[Column], rows: Sequence[tuple[Cell, ...]], filter_by: int | None = None) -> Table:
    """Returns a table."""
    return Table(name=name, caption=caption, columns=tuple(columns), rows=list(rows), filter=filter_by)


def _packed(cell: Cell) -> list[Any]:
    values = [cell.text, cell.sort, *(None if end is None else round(end, 4) for end in (cell.low, cell.high))]
    while len(values) > 1 and values[-1] is None:
        values.pop()
    return values
