"""Which output of the model is which SKU, for ever; and which SKU an annotator's label means.

`labels.csv` only ever grows: a SKU keeps its index, a removed one is retired and its index is not given to another.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tfx_retail import table
from tfx_retail.catalog import Catalog
from tfx_retail.errors import UserError
from tfx_retail.product import OPTIONAL, REQUIRED, RESERVED_LABELS
from tfx_retail.table import Row, folded

_COLUMNS = ("index", "sku", "status")


class LabelError(UserError):
    """Label order or label map cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Label(Struct, frozen=True):
    """One output of the model."""

    index: int
    sku: str
    status: Literal["active", "retired"] = "active"


class Target(Struct, frozen=True):
    """What a box shows: a SKU of the catalogue and its face, or a reserved target such as `gap`."""

    sku: str
    face: str = ""

    @property
    def reserved(self) -> bool:
        return self.sku in RESERVED_LABELS


def read(path: Path) -> tuple[Label, ...]:
    """Returns the label order of a `labels.csv`, sorted by index from 0 on.

    Raises:
      LabelError: with every fault: a gap in the numbers, a number or SKU twice, an unknown status, no label at all.
    """
    rows = _rows(path, _COLUMNS)
    faults = [] if rows else ["holds no label; restore it from the pushed version"]
    found = []
    for place, row in enumerate(rows):
        index, sku, status = (row.cells[column] for column in _COLUMNS)
        if index != str(place):
            faults.append(f"row {row.line}, column index: is {index!r}, expected {place}; labels are never renumbered or left out")
        if not sku:
            faults.append(f"row {row.line}, column sku: is empty")
        if status not in ("active", "retired"):
            faults.append(f"row {row.line}, column status: is {status!r}, expected active or retired")
        found.append(Label(place, sku, "retired" if status == "retired" else "active"))
    faults += [f"column sku: {sku!r} is there twice" for sku in _repeated(label.sku for label in found)]
    _stop_on(faults, path)
    return tuple(found)


def write(labels: tuple[Label, ...], path: Path) -> None:
    """Writes a `labels.csv`: UTF-8, one label a row, in the order of their indices."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((label.index, label.sku, label.status) for label in labels)
    path.write_bytes(text.getvalue().encode())


def extend(previous: tuple[Label, ...], catalog: Catalog) -> tuple[Label, ...]:
    """Returns the previous labels with those retired that the catalogue no longer has, and its new SKUs at the end, in its order.

    A SKU that comes back is active again under its old index.

    Raises:
      LabelError: a new SKU is an old one in other spelling: it would lose what was learned under its index.
    """
    respelled = {folded(label.sku): label.sku for label in previous}
    known = {label.sku for label in previous}
    new = [product.sku for product in catalog.products if product.sku not in known]
    faults = [
        f"SKU {sku!r}: the served model has it as {respelled[folded(sku)]!r}, which differs only in case or spaces; spell it so again"
        for sku in new
        if folded(sku) in respelled
    ]
    if faults:
        raise LabelError([f"catalogue: {fault}" for fault in faults])
    kept = [Label(label.index, label.sku, "active" if label.sku in catalog.by_sku else "retired") for label in previous]
    return (*kept, *(Label(len(previous) + place, sku) for place, sku in enumerate(new)))


def read_label_map(path: Path, catalog: Catalog) -> dict[str, Target]:
    """Returns what each label of a `label_map.csv` (columns label, sku and, if wanted, face) means.

    Raises:
      LabelError: with every fault: an unknown SKU, an empty cell, a label twice with different meanings.
    """
    faults: list[str] = []
    found: dict[str, Target] = {}
    for row in _rows(path, ("label", "sku"), optional=("face",)):
        label, target = row.cells["label"], Target(row.cells["sku"], row.cells.get("face", ""))
        if not label:
            faults.append(f"row {row.line}, column label: is empty")
        if target.sku not in catalog.by_sku and not target.reserved:
            faults.append(f"row {row.line}, column sku: {_unknown(target.sku, catalog.by_sku)}")
        if found.setdefault(label, target) != target:
            faults.append(f"row {row.line}, column label: {label!r} is there before with another meaning; keep one of them")
    _stop_on(faults, path)
    return found


def resolver(catalog: Catalog, label_map: Mapping[str, Target], label_column: str = "sku") -> Callable[[str], Target | str]:
    """Returns a function from an annotation's label to its target, or to the reason why it has none. It can be pickled.

    The label map goes before the catalogue's column, and that before the reserved labels.

    Raises:
      LabelError: the catalogue lacks the column, or two SKUs bear one value in it.
    """
    known = {label: Target(label) for label in RESERVED_LABELS} | _by_column(catalog, label_column) | dict(label_map)
    return partial(_resolve, known, {folded(label): label for label in known}, label_column)


def _resolve(known: Mapping[str, Target], spellings: Mapping[str, str], column: str, label: str) -> Target | str:
    if label in known:
        return known[label]
    alike = spellings.get(folded(label))
    if alike is not None:
        return f"label {label!r} differs from {alike!r} only in case or spaces; correct it or add it to the label map"
    return f"label {label!r} is in neither the label map nor the catalogue's column {column}; add it to one of them"


def _by_column(catalog: Catalog, column: str) -> dict[str, Target]:
    extras = dict.fromkeys(name for product in catalog.products for name in product.extras)
    if column not in (*REQUIRED, *OPTIONAL, *extras):
        columns = ", ".join((*REQUIRED, *OPTIONAL, *extras))
        raise LabelError([f"data.label_column: the catalogue has no column {column!r}, only {columns}"])
    pairs = [(value, product.sku) for product in catalog.products for value in product.values(column)]
    faults = [
        f"data.label_column: {value!r} is the {column} of several SKUs; name a column that tells SKUs apart, or use a label map"
        for value in _repeated(value for value, _ in pairs)
    ]
    if not pairs:
        faults.append(f"data.label_column: the catalogue's column {column} is empty")
    if faults:
        raise LabelError(faults)
    return {value: Target(sku) for value, sku in pairs}


def _unknown(sku: str, known: Iterable[str]) -> str:
    if not sku:
        return f"is empty; name a SKU, or one of {', '.join(RESERVED_LABELS)}"
    alike = next((name for name in known if folded(name) == folded(sku)), None)
    if alike is not None:
        return f"{sku!r} differs from the catalogue's {alike!r} only in case or spaces; write it alike"
    return f"{sku!r} is not in the catalogue; name a SKU, or one of {', '.join(RESERVED_LABELS)}"


def _rows(path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> tuple[Row, ...]:
    try:
        found = table.read(path, (*columns, *optional))
    except table.TableError as error:
        raise LabelError(error.faults) from None
    missing = [column for column in columns if column not in found.columns]
    _stop_on([f"row 1: there is no column {column}, only {', '.join(found.columns)}" for column in missing], path)
    return found.rows


def _repeated(values: Iterable[str]) -> list[str]:
    seen: dict[str, int] = {}
    for value in values:
        seen[value] = seen.get(value, 0) + 1
    return [value for value, times in seen.items() if times > 1]


def _stop_on(faults: list[str], path: Path) -> None:
    if faults:
        raise LabelError([f"{path}: {fault}" for fault in faults])
