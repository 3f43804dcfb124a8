"""Sections 2 to 5: the numbers by slice, who is taken for whom, how far a confidence can be trusted, and what size adds."""

import io
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup
from msgspec import Struct
from PIL import Image

from tfx_retail.page import charts, confusion, doubt, photos, shares
from tfx_retail.page.charts import Axis, Frame, Series
from tfx_retail.page.collect import Collected
from tfx_retail.page.confusion import Matrix, Pair
from tfx_retail.page.predicted import SIGNATURES, Predicted
from tfx_retail.page.values import NONE, Cell, Column, Figure, Photo, Table, change, percent, share, spoken, table, whole, words

_NUMBERED = 26  # SKUs up to which the matrix shows its counts and names
_PIXELS = 1000  # side of the picture of a larger one
_PLAIN, _SIZED = SIGNATURES
_SURENESS = "Wrong answers on the right side are caught by no threshold; right ones on the left are those that one would throw away."


class PairCard(Struct, frozen=True, kw_only=True):
    """A confused pair with its photos."""

    true: str
    answered: str
    count: int
    share: str
    across: bool
    mistakes: list[Photo]
    of_true: Photo
    of_answered: Photo


class Doubt(Struct, frozen=True, kw_only=True):
    """Section 4."""

    figures: list[Figure]
    unknown: str


class Answers(Struct, frozen=True, kw_only=True):
    """Sections 2 to 5; `slices` None: nothing was predicted."""

    slices: Table | None
    not_gated: int
    matrices: list[tuple[str, Markup]]  # signature in words, picture
    pairs: list[PairCard]
    doubt: Doubt | None
    size: Table | None
    size_note: str


def build(given: Collected) -> Answers:
    """Returns the sections; without predictions they are empty."""
    made = given.eval
    if made is None or not len(made):
        return Answers(slices=None, not_gated=0, matrices=[], pairs=[], doubt=None, size=None, size_note="")
    size = _size_table(given, made)
    return Answers(
        slices=_slice_table(given, made),
        not_gated=len(given.verdict.get("slices") or []),
        matrices=[(spoken(name), _picture(confusion.matrix(made, name))) for name in _asked(made)],
        pairs=_pair_cards(given, made),
        doubt=_doubt(given, made),
        size=size,
        size_note=f"{int(made.sized.sum()):,} of the {len(made):,} crops have a measured side; to the others the answer with size is the one without.",
    )


def _asked(made: Predicted) -> tuple[str, ...]:
    return SIGNATURES if made.sized.any() else (_PLAIN,)


def _slice_table(given: Collected, made: Predicted) -> Table:
    found = [shares.overall(made, given.against), *shares.slices(made, given.against)]
    compared = any(np.isfinite(item.change[_PLAIN]) for item in found)
    columns = [Column("slice of"), Column("value"), Column("crops", "number"), Column("scenes", "number", "crops of one scene resemble each other")]
    columns += [Column("SKU without size", "share"), Column("SKU with size", "share"), Column("family", "share")]
    columns += [Column("change without size", "change", "points, on the same crops"), Column("change with size", "change")] if compared else []
    body = sorted(found[1:], key=lambda item: _urgency(item, compared=compared))
    rows = [_slice_row(item, compared=compared) for item in (found[0], *body)]
    return table("slices", "Shares of right answers on eval by slice", columns, rows, filter_by=0)


def _urgency(item: shares.Slice, *, compared: bool) -> tuple[float, float]:
    """Biggest losses first; with nothing to compare, the lowest upper ends, so that two unlucky crops do not lead the list."""
    plain = item.shares[_PLAIN]
    lost = np.nan_to_num(item.change[_PLAIN], nan=9.0) if compared else 0.0
    return float(lost), plain.high


def _slice_row(item: shares.Slice, *, compared: bool) -> tuple[Cell, ...]:
    cells = [words(spoken(item.feature)), words(item.value), whole(item.shares[_PLAIN].count), whole(item.scenes)]
    cells += [share(item.shares[_PLAIN]), share(item.shares[_SIZED]), share(item.family)]
    return (*cells, *((change(item.change[_PLAIN]), change(item.change[_SIZED])) if compared else ()))


def _picture(found: Matrix) -> Markup:
    if not found.skus:
        return Markup("")
    return _numbered(found) if len(found.skus) <= _NUMBERED else _painted(found)


def _numbered(found: Matrix) -> Markup:
    """A small matrix with its counts, shaded by their share of the row."""
    step, left, top, size = 30, 232, 12, len(found.skus)
    drawn = []
    for row, sku in enumerate(found.skus):
        total = int(found.counts[row].sum()) or 1
        drawn.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(left - 10, top + row * step + 19, f"{_short(sku)}  {row + 1}"))
        number = Markup('<text class="soft" x="{}" y="{}" text-anchor="middle">{}</text>').format(left + row * step + 15, top + size * step + 18, row + 1)
        drawn.append(number)
        for column in np.flatnonzero(found.counts[row]):
            drawn.append(_square(found, row, int(column), total, left + int(column) * step, top + row * step, step))
    drawn.append(_borders(found, left, top, step))
    label = f"Confusion matrix of {size} SKUs: rows are true, columns answered, in the same order"
    return Markup('<svg class="matrix" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(left + size * step + 8, top + size * step + 28, label, Markup("").join(drawn))


def _square(found: Matrix, row: int, column: int, total: int, x: int, y: int, step: int) -> Markup:
    count = int(found.counts[row, column])
    part, kind = count / total, "right" if row == column else "wrong"
    title = f"{found.skus[row]} answered as {found.skus[column]}: {count:,} of {total:,}"
    cell = Markup('<rect class="cell {}" x="{}" y="{}" width="{}" height="{}" rx="3" fill-opacity="{:.2f}"><title>{}</title></rect>').format(kind, x + 1, y + 1, step - 2, step - 2, 0.14 + 0.86 * part, title)
    return cell + Markup('<text class="count {}" x="{}" y="{}" text-anchor="middle">{}</text>').format("strong" if part > 0.45 else "", x + step / 2, y + 19, count)


def _borders(found: Matrix, left: int, top: int, step: int) -> Markup:
    """Lines between families."""
    size = len(found.skus) * step
    drawn = [Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(left, top, size, size)]
    for place in range(1, len(found.families)):
        if found.families[place] != found.families[place - 1]:
            at = place * step
            drawn.append(Markup('<line class="family" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, left + size, top + at, top + at))
            drawn.append(Markup('<line class="family" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left + at, left + at, top, top + size))
    return Markup("").join(drawn)


def _short(sku: str) -> str:
    return sku if len(sku) <= 32 else sku[:15] + "…" + sku[-15:]


def _painted(found: Matrix) -> Markup:
    """A picture for thousands of SKUs: blue where right, orange where wrong, as strong as the share; a pixel shows the worst of what it covers."""
    size = len(found.skus)
    part = found.counts / np.maximum(found.counts.sum(axis=1, keepdims=True), 1)
    factor = -(-size // _PIXELS)
    side = -(-size // factor)
    blocks = np.zeros((2, side * factor, side * factor), np.float32)
    right = np.eye(size, dtype=bool)
    blocks[0, :size, :size], blocks[1, :size, :size] = np.where(right, part, 0), np.where(right, 0, part)
    shown = blocks.reshape(2, side, factor, side, factor).max(axis=(2, 4))
    levels = np.where(shown[1] > 0, 8 + np.ceil(shown[1] * 7), np.ceil(shown[0] * 7)).astype(np.uint8)
    image = Image.fromarray(levels, "P").resize((side * (enlarged := max(1, 720 // side)), side * enlarged), Image.Resampling.NEAREST)
    image.putpalette([*[0, 114, 178] * 8, *[224, 102, 20] * 8])
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, transparency=bytes([0, *range(60, 256, 30)][:8] + [110 + 20 * level for level in range(8)]))
    label = f"Confusion matrix of {size:,} SKUs ordered by category, family and SKU; rows are true, columns answered"
    uri = "data:image/png;base64," + b64encode(file.getvalue()).decode("ascii")
    return Markup('<img class="matrix-image" alt="{}" src="{}">').format(label, uri)


def _pair_cards(given: Collected, made: Predicted) -> list[PairCard]:
    found = confusion.pairs(made, _PLAIN)
    crops = made.texts["crop_id"]
    shown = photos.of_crops(given.examples, "eval", {str(crops[row]) for pair in found for row in pair.rows})
    skus = made.lists.skus
    known = photos.of_skus(given.examples, {skus[sku] for pair in found for sku in (pair.true, pair.answered)})
    return [_pair_card(pair, made, shown, known) for pair in found]


def _pair_card(pair: Pair, made: Predicted, shown: dict[str, str], known: dict[str, str]) -> PairCard:
    true, answered = made.lists.skus[pair.true], made.lists.skus[pair.answered]
    crops = [str(made.texts["crop_id"][row]) for row in pair.rows]
    return PairCard(
        true=true,
        answered=answered,
        count=pair.count,
        share=percent(pair.share, 0),
        across=pair.across,
        mistakes=[Photo(shown.get(crop, ""), f"{true}, taken for {answered}") for crop in crops],
        of_true=Photo(known.get(true, ""), f"an example of {true}"),
        of_answered=Photo(known.get(answered, ""), f"an example of {answered}"),
    )


def _doubt(given: Collected, made: Predicted) -> Doubt:
    return Doubt(
        figures=[_reliability(made), _risk(given, made), *_sureness(made)],
        unknown="Unknown products: not measured. The eval role holds no crop of a product outside the catalogue, so nobody knows yet how "
        "such a crop is answered.",
    )


def _reliability(made: Predicted) -> Figure:
    series, errors = [], []
    for name, style in zip(_asked(made), ("a", "b"), strict=False):
        found = doubt.reliability(made.answers[name].confidence, made.right(name)[:, 0])
        dots = [3 + 9 * float(count / max(found.count.max(), 1)) ** 0.5 for count in found.count]
        series.append(Series(spoken(name), style, list(zip(found.confidence.tolist(), found.accuracy.tolist(), strict=True)), dots))
        errors.append(f"{spoken(name)} {found.error:.3f}")
    frame = Frame(Axis("confidence", 0, 1, percent=True), Axis("right", 0, 1, percent=True))
    note = f"On the dashed line a confidence of 80 % is right 80 % of the time; below it the model is too sure. Larger dots hold more crops. Mean distance (ECE): {', '.join(errors)}."
    return Figure("Reliability", charts.lines(frame, series, "Confidence against share of right answers", diagonal=True), note, _keys(series))


def _risk(given: Collected, made: Predicted) -> Figure:
    threshold = float((given.config.get("serving") or {}).get("accept_above", 0.5))
    series, marks, said = [], [], []
    for name, style in zip(_asked(made), ("a", "b"), strict=False):
        found = doubt.risk_coverage(made.answers[name].confidence, made.right(name)[:, 0], threshold)
        series.append(Series(spoken(name), style, list(zip(found.coverage.tolist(), found.risk.tolist(), strict=True))))
        marks.append((found.at[1], found.at[2], "accepted" if name == _PLAIN else ""))
        said.append(f"{spoken(name)} {percent(found.at[1])} accepted, {percent(found.at[2])} of them wrong")
    top = charts.ceiling([y for item in series for _, y in item.points] + [0.02])
    frame = Frame(Axis("share of crops answered, surest first", 0, 1, percent=True), Axis("wrong", 0, top, percent=True))
    note = f"How many answers would be wrong if only the surest were given. The ring is the threshold of {threshold:g}: {'; '.join(said)}."
    return Figure("Risk and coverage", charts.lines(frame, series, "Share of crops answered against share of wrong answers", marks), note, _keys(series))


def _sureness(made: Predicted) -> Iterator[Figure]:
    right = made.right(_PLAIN)[:, 0]
    counts = [doubt.histogram(made.answers[_PLAIN].confidence, rows) for rows in (~right, right)]
    top = charts.ceiling([float((counts[0] + counts[1]).max())])
    frame = Frame(Axis("confidence without size", 0, 1, percent=True), Axis("crops", 0, top))
    drawing = charts.columns(frame, [("wrong", counts[0].tolist()), ("right", counts[1].tolist())], "Confidence of right and of wrong answers")
    yield Figure("Sure and right, sure and wrong", drawing, _SURENESS, (("right", "right"), ("wrong", "wrong")))


def _keys(series: list[Series]) -> tuple[tuple[str, str], ...]:
    return tuple((item.style, item.name) for item in series)


def _size_table(given: Collected, made: Predicted) -> Table | None:
    rows = [row for look in range(len(made.lists.looks)) for row in _same_look(given, made, look)]
    columns = [Column("look"), Column("SKUs that only size tells apart"), Column("catalogue, mm"), Column("crops", "number"), Column("measured", "number")]
    columns += [Column("without size", "share"), Column("with size", "share"), Column("size adds", "change", "points")]
    return table("sizes", "SKUs of one look, without and with a measured size", columns, rows) if rows else None


def _same_look(given: Collected, made: Predicted, look: int) -> Iterator[tuple[Cell, ...]]:
    name, rows = made.lists.looks[look], made.truth[:, 1] == look
    products = given.catalog.products if given.catalog else ()
    skus = [product.sku for product in products if product.look == name]
    if len(skus) < 2 or not rows.any():
        return
    plain, sized = (shares.share(made.right(signature)[rows, 0], made.groups[rows]) for signature in SIGNATURES)
    sides = [f"{_mm(given, sku)}" for sku in skus]
    counts = (whole(plain.count), Cell(percent(float(made.sized[rows].mean()), 0), float(made.sized[rows].mean())))
    yield words(name), words(", ".join(skus)), words(" / ".join(sides)), *counts, share(plain), share(sized), change(sized.value - plain.value)


def _mm(given: Collected, sku: str) -> str:
    product: Any = given.catalog.by_sku.get(sku) if given.catalog else None
    if product is None or product.height_mm is None:
        return NONE
    return f"{product.height_mm:g} × {product.width_mm:g}" if product.width_mm else f"{product.height_mm:g}"
