"""What no single row shows: duplicates, groups that contradict each other, names that differ in case only, the wrong unit."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from tfx_retail.catalog_cells import CM_COLUMNS
from tfx_retail.product import RESERVED_LABELS, SIDES, Product
from tfx_retail.table import folded

TYPICAL_LONGEST_MM = 40.0  # half of all packs are longer, in any assortment; in centimetres hardly one is
ODD_RATIO = 6.0  # a centimetre taken for a millimetre is 10 times too small, a small pack of a family not 6

Numbered = tuple[int, Product]  # the file's line and what it says


def column_faults(columns: Sequence[str]) -> Iterator[str]:
    """Yields what is wrong with the columns' units."""
    for cm, mm in CM_COLUMNS.items():
        side = mm.removesuffix("_mm")
        if cm in columns and mm in columns:
            yield f"row 1: has both {cm} and {mm}; keep one of them"
        for column in columns:
            if column.lower() in (side, f"{side}_m", f"{side}_in", f"{side}_inch"):
                yield f"row 1, column {column}: lengths are in {mm} or {cm}; rename the column, and convert its numbers if need be"


def faults(rows: Sequence[Numbered]) -> Iterator[str]:
    """Yields what is wrong between rows."""
    yield from _reserved(rows)
    yield from _duplicate_skus(rows)
    yield from _duplicate_gtins(rows)
    for column in ("sku", "family", "category", "look", "brand"):
        yield from _near_names(rows, column)
    yield from _split_groups(rows, "look", "family")
    yield from _split_groups(rows, "family", "category")
    yield from _wrong_unit(rows)


def _reserved(rows: Sequence[Numbered]) -> Iterator[str]:
    for line, product in rows:
        if folded(product.sku) in RESERVED_LABELS:
            yield f"row {line}, column sku: {product.sku!r} is a reserved label ({', '.join(RESERVED_LABELS)}); give it another name"


def _duplicate_skus(rows: Sequence[Numbered]) -> Iterator[str]:
    by_sku = _grouped(rows, lambda product: (product.sku,))
    names = [product.name for _, product in rows]
    hint = "; names have no duplicates: are the columns sku and name swapped?" if len(rows) > 1 and len(set(names)) == len(names) else ""
    for sku, found in by_sku.items():
        if len(found) > 1:
            yield f"rows {_lines(found)}, column sku: {sku!r} is there {len(found)} times; keep one row for each SKU{hint}"


def _duplicate_gtins(rows: Sequence[Numbered]) -> Iterator[str]:
    by_gtin = _grouped(rows, lambda product: [gtin.zfill(14) for gtin in product.gtin])
    for gtin, found in by_gtin.items():
        if len({product.sku for _, product in found}) > 1:
            skus = ", ".join(repr(product.sku) for _, product in found)
            yield f"rows {_lines(found)}, column gtin: {gtin.lstrip('0')} belongs to {skus}; a GTIN is one product's"


def _near_names(rows: Sequence[Numbered], column: str) -> Iterator[str]:
    """Yields names of one column that a person takes for one and a computer for two."""
    spellings: dict[str, dict[str, int]] = defaultdict(dict)
    for line, product in rows:
        text = getattr(product, column)
        if column == "look" and text == product.sku:
            continue  # its own; the SKU has been looked at
        spellings[folded(text)].setdefault(text, line)
    for found in spellings.values():
        if len(found) > 1:
            places = ", ".join(f"{text!r} (row {line})" for text, line in found.items())
            yield f"column {column}: {places} differ only in case or spaces; write them alike"


def _split_groups(rows: Sequence[Numbered], inner: str, outer: str) -> Iterator[str]:
    """Yields groups that lie in two larger ones; where the columns are swapped, nearly all do."""
    above = _first_lines(rows, inner, outer)
    swapped = all(len(found) == 1 for found in _first_lines(rows, outer, inner).values())
    hint = f"; are the columns {inner} and {outer} swapped?" if swapped else f"; a {inner} lies in one {outer}"
    for name, found in above.items():
        if len(found) > 1:
            places = ", ".join(f"{text!r} (row {line})" for text, line in found.items())
            yield f"column {inner}: {name!r} is in {outer} {places}{hint}"


def _first_lines(rows: Sequence[Numbered], inner: str, outer: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line, product in rows:
        found[getattr(product, inner)].setdefault(getattr(product, outer), line)
    return found


def _wrong_unit(rows: Sequence[Numbered]) -> Iterator[str]:
    longest = {line: side for line, product in rows if (side := _longest_mm(product)) is not None}
    if len(longest) > 1 and median(longest.values()) < TYPICAL_LONGEST_MM:
        typical = f"half of the packs are under {median(longest.values()):g} mm on their longest side"
        yield f"columns {', '.join(SIDES)}: {typical}, so these are centimetres; name the columns width_cm and so on"
        return
    for found in _grouped(rows, lambda product: (product.family,)).values():
        sizes = [longest[line] for line, _ in found if line in longest]
        for line, product in found:
            if line in longest and len(sizes) > 2 and longest[line] * ODD_RATIO < median(sizes):
                size = f"the longest side is {longest[line]:g} mm, in its family {product.family!r} {median(sizes):g} is usual"
                yield f"row {line}: {size}; write millimetres"


def _longest_mm(product: Product) -> float | None:
    sides = [value for side in SIDES if (value := getattr(product, side)) is not None]
    return max(sides, default=None)


def _grouped(rows: Sequence[Numbered], keys: Callable[[Product], Iterable[str]]) -> dict[str, list[Numbered]]:
    found: dict[str, list[Numbered]] = defaultdict(list)
    for line, product in rows:
        for key in keys(product):
            found[key].append((line, product))
    return found


def _lines(found: Sequence[Numbered]) -> str:
    return ", ".join(str(line) for line, _ in found)
