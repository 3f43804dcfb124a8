"""The product catalogue: what is sold, how it is grouped, how large it is. Read right or refused, never misread."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from msgspec import Struct

from tfx_retail import catalog_cells, catalog_checks, table
from tfx_retail.digests import text_digest
from tfx_retail.errors import UserError
from tfx_retail.product import OPTIONAL, REQUIRED, Product, cell_text
from tfx_retail.table import Row, Table

__all__ = ["Catalog", "CatalogError", "Product", "digest", "of", "read", "write"]

_CLASSES_CSV = ("Class Name (str)", "Class ID (int)", "Coarse Class Name (str)", "Iconic Image Path (str)")
_ICONIC_FOLDER = "iconic-images-and-descriptions"


class CatalogError(UserError):
    """The catalogue cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Catalog(Struct, frozen=True):
    """All products in the file's order, and the groups in which they lie, in the order in which they are first named."""

    products: tuple[Product, ...]
    by_sku: dict[str, Product]
    categories: tuple[str, ...]
    families: tuple[str, ...]
    looks: tuple[str, ...]


def of(products: tuple[Product, ...]) -> Catalog:
    """Returns the catalogue of products that are known to agree with each other."""

    def seen(column: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(getattr(product, column) for product in products))

    by_sku = {product.sku: product for product in products}
    return Catalog(products, by_sku, categories=seen("category"), families=seen("family"), looks=seen("look"))


def read(path: Path, format: str = "csv") -> Catalog:  # noqa: A002 - the configuration calls it so
    """Returns the catalogue of a file.

    Args:
      format: `csv`, with the columns of the data contract, or `grocery_store`, that data set's classes.csv.

    Raises:
      CatalogError: with every fault found, each as `<file>: row 7, column gtin: <what is wrong; what to do>`.
    """
    wanted, in_our_columns = _FORMATS[format]
    try:
        found = table.read(path, wanted)
    except table.TableError as error:
        raise CatalogError(error.faults) from None
    products, faults = _products(in_our_columns(found, path))
    if faults:
        raise CatalogError([f"{path}: {fault}" for fault in faults])
    return of(products)


def write(catalog: Catalog, path: Path) -> None:
    """Writes the canonical file: UTF-8, commas, millimetres, every look named; reading it gives the same catalogue."""
    path.write_bytes(_encoded(catalog))


def digest(catalog: Catalog) -> str:
    """Returns 16 hex digits over everything that the catalogue says, however its file is written."""
    return text_digest(_encoded(catalog))


def _products(found: Table) -> tuple[tuple[Product, ...], list[str]]:
    faults = [_missing(column, found.columns) for column in REQUIRED if column not in found.columns]
    faults += catalog_checks.column_faults(found.columns)
    if faults:
        return (), faults  # a missing column would be missing in each row again
    if not found.rows:
        return (), ["has no product; expected a row for each SKU below the header"]
    faults = catalog_cells.decimal_faults(found)
    rows = []
    for row in found.rows:
        product, wrong = catalog_cells.product(row, found)
        faults += wrong
        if product is not None:
            rows.append((row.line, product))
    return tuple(product for _, product in rows), faults + list(catalog_checks.faults(rows))


def _missing(column: str, columns: tuple[str, ...]) -> str:
    return f"row 1: there is no column {column}, only {', '.join(columns)}; expected at least {', '.join(REQUIRED)}"


def _encoded(catalog: Catalog) -> bytes:
    extras = dict.fromkeys(name for product in catalog.products for name in product.extras)
    used = [column for column in OPTIONAL if any(product.values(column) for product in catalog.products)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*REQUIRED, *used, *extras])
    for product in catalog.products:
        known = [cell_text(getattr(product, column)) for column in (*REQUIRED, *used)]
        writer.writerow([*known, *(product.extras.get(name, "") for name in extras)])
    return text.getvalue().encode()


def _as_it_is(found: Table, _: Path) -> Table:
    return found


def _grocery_store(found: Table, path: Path) -> Table:
    """Returns classes.csv in the contract's columns: a fine class is a SKU, a coarse one its family."""
    if missing := [column for column in _CLASSES_CSV if column not in found.columns]:
        present = ", ".join(found.columns)
        raise CatalogError(
            [f"{path}: row 1: there is no column {', '.join(missing)}, only {present}; expected that data set's classes.csv"]
        )
    faults = [f"{path}: {fault}" for row in found.rows if (fault := _iconic_fault(row))]
    if faults:
        raise CatalogError(faults)
    rows = [Row(row.line, dict(zip(_GROCERY_COLUMNS, _grocery_cells(row), strict=True))) for row in found.rows]
    return Table(_GROCERY_COLUMNS, tuple(rows), found.separator)


def _iconic_fault(row: Row) -> str:
    path = row.cells["Iconic Image Path (str)"]
    parts = PurePosixPath(path.lstrip("/")).parts
    sound = len(parts) > 2 and parts[0] == _ICONIC_FOLDER
    return "" if sound else f"row {row.line}, column Iconic Image Path (str): is {path!r}, expected /{_ICONIC_FOLDER}/<category>/..."


def _grocery_cells(row: Row) -> tuple[str, ...]:
    fine, number, coarse, iconic = (row.cells[column] for column in _CLASSES_CSV)
    path = iconic.lstrip("/")
    return fine, fine.replace("-", " "), PurePosixPath(path).parts[1], coarse, number, path


_GROCERY_COLUMNS = ("sku", "name", "category", "family", "class_id", "reference_images")
_FORMATS: Mapping[str, tuple[tuple[str, ...], Callable[[Table, Path], Table]]] = {
    "csv": (catalog_cells.KNOWN_COLUMNS, _as_it_is),
    "grocery_store": (_CLASSES_CSV, _grocery_store),
}
