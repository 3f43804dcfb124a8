"""One row of a catalogue file as a product: numbers, units, GTINs and dates read right or refused, each with its cure."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from tfx_retail.product import OPTIONAL, REQUIRED, SIDES, Product
from tfx_retail.table import Row, Table

GTIN_LENGTHS = (8, 12, 13, 14)
SMALLEST_MM, LARGEST_MM = 10.0, 3000.0  # of the longest side: below is no pack, above no shelf
CM_COLUMNS = {side.replace("_mm", "_cm"): side for side in SIDES}
KNOWN_COLUMNS = (*REQUIRED, *OPTIONAL, *CM_COLUMNS)
YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_NUMBER = re.compile(r"[0-9]+([.,][0-9]+)?")
_SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
_SPREADSHEET_ERRORS = ("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!")


def product(row: Row, table: Table) -> tuple[Product | None, list[str]]:
    """Returns the product of a row, None where it has faults; and these, as `row 7, column gtin: what is wrong`."""
    faults: list[str] = []

    def cell(column: str, read: Callable[[str, str], Any]) -> Any:
        try:
            return read(row.cells.get(column, ""), table.separator)
        except ValueError as error:
            faults.append(f"row {row.line}, column {column}: {error}")
            return None

    values: dict[str, Any] = {column: cell(column, _required) for column in REQUIRED}
    values |= {column: cell(column, read) for column, read in _READERS.items() if column in table.columns}
    values |= {CM_COLUMNS[column]: _tenfold(cell(column, _amount)) for column in CM_COLUMNS if column in table.columns}
    values["extras"] = {column: cell(column, _text) for column in table.columns if column not in KNOWN_COLUMNS}
    if faults:
        return None, faults
    values["look"] = values.get("look") or values["sku"]
    found = Product(**values)
    faults = [f"row {row.line}, {fault}" for fault in _contradictions(found)]
    return (None, faults) if faults else (found, [])


def decimal_faults(table: Table) -> list[str]:
    """Returns a fault where a file writes some decimals with a comma and some with a point: one of them separates thousands, then."""
    numeric = [column for column in table.columns if column in (*SIDES, *CM_COLUMNS, "net_content")]
    first: dict[str, int] = {}
    for row in table.rows:
        for column in numeric:
            found = _NUMBER.fullmatch(row.cells[column])
            if found and found[1]:
                first.setdefault(found[1][0], row.line)
    if table.separator == "," or len(first) < 2:  # with commas between cells, each decimal comma is a fault of its own
        return []
    return [f"rows {first[',']} and {first['.']}: decimals have a comma in one and a point in the other; write them alike"]


def _text(text: str, _: str) -> str:
    if text.upper() in _SPREADSHEET_ERRORS:
        raise ValueError(f"is {text!r}, a spreadsheet's error; correct its formula and export again")
    return text


def _required(text: str, separator: str) -> str:
    if not text:
        raise ValueError("is empty; fill it in, or remove the row")
    return _text(text, separator)


def _number(text: str, separator: str) -> float | None:
    """A decimal comma can only be told from a list's comma where the file is not separated by commas."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"is {text!r}, expected a number such as 12.5, without unit, sign or thousands separator")
    if "," in text and separator == ",":
        raise ValueError(f"is {text!r} in a file separated by commas; write {text.replace(',', '.')}")
    if separator != "," and re.fullmatch(r"[1-9][0-9]{0,2}[.,][0-9]{3}", text):
        raise ValueError(f"is {text!r}, which may be {re.sub('[.,]', '', text)} or {text.replace(',', '.')}0; write one of these")
    return float(text.replace(",", "."))


def _amount(text: str, separator: str) -> float | None:
    value = _number(text, separator)
    if value == 0:
        raise ValueError("is 0, expected a number above 0, or nothing where it is not known")
    return value


def _tenfold(length_cm: float | None) -> float | None:
    return None if length_cm is None else round(length_cm * 10, 6)  # 12.3 * 10 is not 123 in binary


def _count(text: str, _: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise ValueError(f"is {text!r}, expected a whole number from 1 on")
    return int(text)


def _yes_no(text: str, _: str) -> bool | None:
    if not text:
        return None
    if text.lower() not in YES_NO:
        raise ValueError(f"is {text!r}, expected yes or no")
    return YES_NO[text.lower()]


def _date(text: str, _: str) -> str:
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"is {text!r}, expected a date as 2024-05-17") from None


def _list(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in _text(text, separator).split("|")) if part)


def _gtins(text: str, _: str) -> tuple[str, ...]:
    found = [_gtin(part) for part in re.split(r"[\s|]+", text) if part]
    return tuple(dict.fromkeys(found))


def _gtin(text: str) -> str:
    if _SCIENTIFIC.fullmatch(text):
        raise ValueError(f"is {text!r}: a spreadsheet has cut off the GTIN's digits; format the column as text, enter them anew")
    if text.endswith((".0", ",0")):
        raise ValueError(f"is {text!r}: a spreadsheet took the GTIN for a number; format the column as text and export again")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"is {text!r}, expected a GTIN of digits only; separate several by | or a space")
    if len(text) not in GTIN_LENGTHS:
        raise ValueError(f"is {text!r} of {len(text)} digits, a GTIN has 8, 12, 13 or 14{_lost_zeros(text)}")
    if text[-1] != check_digit(text[:-1]):
        raise ValueError(f"is {text!r}, whose check digit would be {check_digit(text[:-1])}; correct the number")
    return text


def _lost_zeros(text: str) -> str:
    longer = [length for length in GTIN_LENGTHS if length > len(text)]
    if longer and text[-1] == check_digit(text[:-1]):  # zeros in front do not change it
        return f"; its leading zeros are lost, write {text.zfill(longer[0])} and format the column as text"
    return "; correct the number"


def check_digit(digits: str) -> str:
    """Returns the last digit of a GTIN whose other digits these are.

    Source: GS1 General Specifications, section 7.9, "Standard check digit calculations for GS1 data structures".
    """
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def is_gtin(text: str) -> bool:
    """True where a text is a GTIN, its check digit included."""
    return text.isascii() and text.isdigit() and len(text) in GTIN_LENGTHS and text[-1] == check_digit(text[:-1])


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "brand": _text,
    "look": _text,
    "width_mm": _amount,
    "height_mm": _amount,
    "depth_mm": _amount,
    "net_content": _amount,
    "unit": _text,
    "units_per_pack": _count,
    "gtin": _gtins,
    "own": _yes_no,
    "status": _text,
    "valid_from": _date,
    "valid_to": _date,
    "reference_images": _list,
}


def _contradictions(found: Product) -> list[str]:
    """Returns what is wrong with a row though each of its cells can be read."""
    faults = []
    sides = {side: value for side in SIDES if (value := getattr(found, side)) is not None}
    longest = max(sides, key=lambda side: sides[side], default="")
    if longest and sides[longest] < SMALLEST_MM:
        faults.append(
            f"column {longest}: the longest side is {sides[longest]:g} mm, less than any pack; centimetres belong in width_cm and so on"
        )
    if longest and sides[longest] > LARGEST_MM:
        faults.append(f"column {longest}: is {sides[longest]:g} mm, more than any shelf ({LARGEST_MM:g}); write millimetres")
    if found.net_content is not None and not found.unit:
        faults.append(f"column unit: is empty beside net_content {found.net_content:g}; write ml, g or the like")
    if found.valid_from and found.valid_to and found.valid_from > found.valid_to:
        faults.append(f"column valid_to: {found.valid_to} is before valid_from {found.valid_from}; correct one of them")
    return faults + _strange_texts(found)


def _strange_texts(found: Product) -> list[str]:
    """Returns the cells that look like another column's: what swapped columns and shifted rows leave."""
    swapped = "; are columns swapped, or is the row shifted?"
    faults = [
        f"column {column}: is {text!r}, a GTIN{swapped}"
        for column, text in (("name", found.name), ("category", found.category), ("family", found.family), ("brand", found.brand))
        if is_gtin(text)
    ]
    if is_gtin(found.sku) and found.gtin and found.sku not in found.gtin:
        faults.append(f"column sku: is {found.sku!r}, a GTIN other than the row's {' '.join(found.gtin)}{swapped}")
    for column, text in (("category", found.category), ("family", found.family)):
        if _NUMBER.fullmatch(text) and not is_gtin(text):
            faults.append(f"column {column}: is the number {text}, expected a name{swapped}")
    if re.fullmatch(r"[0-9]+[.,][0-9]+", found.name):
        faults.append(f"column name: is the number {found.name}, expected a name{swapped}")
    return faults
