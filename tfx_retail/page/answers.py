"""Sections 2 to 5: the numbers by slice, who is taken for whom, how far a confidence can be trusted, and what size adds."""

from typing import Any

import numpy as np
from markupsafe import Markup
from msgspec import Struct

from tfx_retail import features
from tfx_retail.page import confusion, doubt, pictures, shares, tiles
from tfx_retail.page.collect import Collected
from tfx_retail.page.confusion import Pair
from tfx_retail.page.doubt import Doubt
from tfx_retail.page.picked import Picked
from tfx_retail.page.predicted import SIGNATURES, Predicted
from tfx_retail.page.values import (
    NONE,
    Cell,
    Column,
    Photo,
    Table,
    change,
    percent,
    points,
    share,
    slice_name,
    spoken,
    table,
    whole,
    words,
)

_PLAIN, _SIZED = SIGNATURES


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


class Answers(Struct, frozen=True, kw_only=True):
    """Sections 2 to 5; `slices` None: nothing was predicted."""

    slices: Table | None
    compared: Table | None  # what the verdict compared, gating or not
    matrices: list[tuple[str, Markup]]  # signature in words, picture
    pairs: list[PairCard]
    tail: Table | None  # by number of training crops
    doubt: Doubt | None
    size: Table | None
    size_note: str


def build(given: Collected, picked: Picked | None) -> Answers:
    """Returns the sections; without predictions they are empty."""
    made = given.eval
    if made is None or picked is None:
        compared, tail, section = _compared(given), doubt.tail(given.doubts), doubt.build(given)
        return Answers(slices=None, compared=compared, matrices=[], pairs=[], tail=tail, doubt=section, size=None, size_note="")
    size = _size_table(given, made)
    return Answers(
        slices=_slice_table(given, made),
        compared=_compared(given),
        matrices=[(spoken(name), pictures.matrix(confusion.matrix(made, name))) for name in _asked(made)],
        pairs=[_pair_card(pair, made, picked) for pair in picked.pairs],
        tail=doubt.tail(given.doubts),
        doubt=doubt.build(given),
        size=size,
        size_note=f"{int(made.sized.sum()):,} of the {len(made):,} crops have a measured side; "
        "to the others the answer with size is the one without.",
    )


def _compared(given: Collected) -> Table | None:
    gating = [rule for rule in given.verdict.get("rules") or [] if rule.get("slice")]
    rows = [_compared_row(rule, "yes") for rule in sorted(gating, key=_loss)]
    rows += [_compared_row(rule, "no") for rule in sorted(given.verdict.get("slices") or [], key=_loss)]
    columns = [Column("slice of"), Column("value"), Column("change", "change"), Column("from … to", "number", "bounds of the change")]
    columns += [Column("result"), Column("gates"), Column("against version"), Column("crops", "number"), Column("scenes", "number")]
    columns += [Column("smallest loss to be proven", "number", "a smaller one would not have been seen on so many scenes")]
    return table("compared", "Slices that the verdict compared with earlier versions", columns, rows, filter_by=4) if rows else None


def _loss(rule: dict[str, Any]) -> float:
    return -float(rule.get("loss") or 0.0)


def _compared_row(rule: dict[str, Any], gates: str) -> tuple[Cell, ...]:
    loss, smallest, (low, high) = rule.get("loss"), rule.get("smallest_loss"), rule.get("interval") or (None, None)
    between = NONE if low is None or high is None else f"{points(-high)} … {points(-low)}"
    version = f"{rule.get('version') or ''}{', pinned' if rule.get('against') == 'reference' else ''}"
    cells = [*map(words, slice_name(str(rule.get("feature") or ""), str(rule.get("slice") or "")))]
    cells += [change(None if loss is None else -loss), Cell(between, None if high is None else -high)]
    cells += [words(str(rule.get("result", "")).replace("_", " ")), words(gates), words(version)]
    cells += [whole(rule.get("examples")), whole(rule.get("groups"))]
    return (*cells, Cell(NONE) if smallest is None else Cell(f"{100 * smallest:.1f}", smallest))


def _asked(made: Predicted) -> tuple[str, ...]:
    return SIGNATURES if made.sized.any() else (_PLAIN,)


def _slice_table(given: Collected, made: Predicted) -> Table:
    alpha = tiles.alpha(given.config)
    found = [shares.overall(made, given.against, alpha), *shares.slices(made, given.against, alpha)]
    compared = any(np.isfinite(item.change[_PLAIN]) for item in found)
    columns, asked = [Column("slice of"), Column("value")], _asked(made)
    for signature in asked:
        columns.append(Column(f"SKU {spoken(signature)}", "share"))
        columns += [Column(f"change {spoken(signature)}", "change", "points, on the same crops")] if compared else []
    columns += [Column("family", "share"), Column("crops", "number"), Column("scenes", "number", "crops of one scene resemble each other")]
    body = sorted(found[1:], key=lambda item: _urgency(item, compared=compared))
    rows = [_slice_row(item, asked, compared=compared) for item in (found[0], *body)]
    return table("slices", "Shares of right answers on eval by slice", columns, rows, filter_by=0)


def _urgency(item: shares.Slice, *, compared: bool) -> tuple[float, float, float]:
    """Biggest losses first; with nothing to compare, the lowest upper ends, so that two unlucky crops do not lead the list."""
    plain = item.shares[_PLAIN]
    lost = np.nan_to_num(item.change[_PLAIN], nan=9.0) if compared else 0.0
    return float(lost), plain.high, plain.value


def _slice_row(item: shares.Slice, asked: tuple[str, ...], *, compared: bool) -> tuple[Cell, ...]:
    cells = [words(spoken(item.feature)), words(item.value)]
    for signature in asked:
        cells += [share(item.shares[signature]), *([change(item.change[signature])] if compared else [])]
    return (*cells, share(item.family), whole(item.shares[_PLAIN].crops), whole(item.scenes))


def _pair_card(pair: Pair, made: Predicted, picked: Picked) -> PairCard:
    true, answered = made.lists.skus[pair.true], made.lists.skus[pair.answered]
    crops = [str(made.texts[features.CROP_ID.name][row]) for row in pair.rows]
    return PairCard(
        true=true,
        answered=answered,
        count=pair.crops,
        share=percent(pair.share, 0),
        across=pair.across,
        mistakes=[Photo(picked.of_crops.get(crop, ""), f"{true}, taken for {answered}") for crop in crops],
        of_true=Photo(picked.of_skus.get(true, ""), f"an example of {true}"),
        of_answered=Photo(picked.of_skus.get(answered, ""), f"an example of {answered}"),
    )


def _size_table(given: Collected, made: Predicted) -> Table | None:
    skus: dict[str, list[str]] = {}
    for product in given.catalog.products if given.catalog else ():
        skus.setdefault(product.look, []).append(product.sku)
    places = {look: place for place, look in enumerate(made.lists.looks)}
    scenes, sized, alpha = made.scenes, made.sized, tiles.alpha(given.config)
    right = [made.right(signature)[:, 0] for signature in SIGNATURES]
    rows = []
    for look, alike in skus.items():
        shown = np.flatnonzero(made.truth[:, 1] == places.get(look, -1)) if len(alike) > 1 else np.zeros(0, np.int64)
        if len(shown):
            found = [shares.share(flags[shown], scenes[shown], alpha) for flags in right]
            rows.append(_look_row(look, alike, [_mm(given, sku) for sku in alike], float(sized[shown].mean()), found))
    columns = [Column("look"), Column("SKUs that only size tells apart"), Column("without size", "share"), Column("with size", "share")]
    columns += [Column("size adds", "change", "points"), Column("catalogue, mm"), Column("crops", "number"), Column("measured", "number")]
    return table("sizes", "SKUs of one look, without and with a measured size", columns, rows) if rows else None


def _look_row(look: str, skus: list[str], sides: list[str], measured: float, found: list[shares.Share]) -> tuple[Cell, ...]:
    plain, sized = found
    told = (share(plain), share(sized), change(sized.value - plain.value))
    return (words(look), words(", ".join(skus)), *told, words(" / ".join(sides)), whole(plain.crops), Cell(percent(measured, 0), measured))


def _mm(given: Collected, sku: str) -> str:
    product: Any = given.catalog.by_sku.get(sku) if given.catalog else None
    if product is None or product.height_mm is None:
        return NONE
    return f"{product.height_mm:g} × {product.width_mm:g}" if product.width_mm else f"{product.height_mm:g}"
