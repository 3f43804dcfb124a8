"""A spreadsheet's CSV as named columns and numbered rows: its encoding and separator found, or refused with a cure, never guessed."""

import codecs
import csv
import io
import itertools
import re
import unicodedata
from pathlib import Path

from msgspec import Struct

from tfx_retail.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
_SAVE_AS_UTF_8 = "save it as UTF-8 (a spreadsheet calls it `CSV UTF-8`)"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx, xls

_JOINERS = "\u200c\u200d"  # Persian and Indic scripts, and emoji, are spelled with them

_LAST_COMMON = b"\xd7\xf9"  # GB 2312 sorts its 3,755 characters of daily use before all others
_MOSTLY = 0.8
_CHINESE_MARKS = "·×—…‘’“”°℃"
_LATIN_MARKS = "€£§°±²³µ·¼½¾×®©™‘’“”–—…¿¡«»ºª•\u00a0"
_LAST_LATIN = "\u024f"
_RARE_LATIN = "ÐÞðþÝýŸƒˆ"  # Icelandic and stray letters: what Chinese bytes look like, seldom what a shop writes


class TableError(UserError):
    """A CSV file cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Row(Struct, frozen=True):
    """One row of a table, with the line of the file that it begins on."""

    line: int
    cells: dict[str, str]  # by column; spaces around them are gone, letters composed (NFC)


class Table(Struct, frozen=True):
    """What a CSV file holds."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    separator: str


def read(path: Path, wanted: tuple[str, ...]) -> Table:
    """Returns the table of a CSV file in UTF-8, UTF-16 with a BOM, or (where only one of the two makes sense) cp1252 or GBK.

    Args:
      wanted: names of columns that are looked for. They tell the separator; their case, and spaces or hyphens in them, do not count.

    Raises:
      TableError: with every fault of the file's form.
    """
    records, separator = _records(_text(path), path, wanted)
    if not records:
        raise TableError([f"{path}: the file is empty; expected a first row with {', '.join(wanted)}"])
    columns = [_column(cell, wanted) for cell in _without_empty_end(records[0][1], 0)]
    faults = _header_faults(columns)
    rows = []
    for line, record in records[1:]:
        cells = _without_empty_end(record, len(columns))
        if len(cells) == len(columns):
            rows.append(Row(line, dict(zip(columns, cells, strict=True))))
            faults += [f"row {line}, column {name}: {fault}" for name, cell in rows[-1].cells.items() if (fault := _damage(cell))]
        else:
            cure = f"correct the row; a cell with {separator!r} in it needs quotes around it"
            faults.append(f"row {line}: has {len(cells)} cells, the header {len(columns)}; {cure}")
    if faults:
        raise TableError([f"{path}: {fault}" for fault in faults])
    return Table(tuple(columns), tuple(rows), separator)


def folded(text: str) -> str:
    """Returns a text without what people overlook: case, spaces, full or half width, composed or not."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TableError([f"{path}: no such file"]) from None
    except OSError as error:
        raise TableError([f"{path}: cannot be read: {error.strerror}"]) from None
    try:
        return decode(data)
    except ValueError as error:
        raise TableError([f"{path}: {error}"]) from None


def decode(data: bytes) -> str:
    """Returns the text of a file.

    Raises:
      ValueError: it is no text, or its encoding is in doubt; the message has the cure.
    """
    if data.startswith(_WORKBOOKS):
        raise ValueError(f"is a workbook, not a CSV file; {_SAVE_AS_UTF_8}")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strictly(data, "utf-16") or _refuse(data, "UTF-16, as its first bytes say")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ValueError(f"row {line}: holds a NUL byte: the file is damaged, or UTF-16 without a mark; {_SAVE_AS_UTF_8}")
    text = _strictly(data, "utf-8-sig")
    if text is None:
        return _legacy(data)
    return _refuse(data, "in one encoding for sure: they could be UTF-8 or GBK") if _may_be_gbk(data, text) else text


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _refuse(data: bytes, expected: str) -> str:
    line = next((number for number, line in enumerate(data.splitlines(), 1) if not line.isascii()), 1)
    raise ValueError(f"row {line}: the bytes are not {expected}; {_SAVE_AS_UTF_8}")


def _may_be_gbk(data: bytes, text: str) -> bool:
    """True where a short GBK file is valid UTF-8 by chance: two bytes of a common ideograph may be one rare letter."""
    if data.startswith(codecs.BOM_UTF8) or text.isascii() or max(text) >= "\u0800" or _is_latin(text):
        return False
    chinese = _strictly(data, "gbk")
    return chinese is not None and _common_share(chinese) >= _MOSTLY


def _legacy(data: bytes) -> str:
    """Each of cp1252 and GBK decodes most of the other's files, into other words: only one that makes sense alone is taken."""
    latin, chinese = _strictly(data, "cp1252"), _strictly(data, "gbk")
    as_latin = latin is not None and _is_latin(latin)
    share = -1.0 if chinese is None else _common_share(chinese)
    if latin is not None and as_latin and share < 0.0:
        return latin
    if chinese is not None and not as_latin and share >= _MOSTLY:
        return chinese
    return _refuse(data, "in one encoding for sure: they could be cp1252 or GBK" if as_latin else "UTF-8, cp1252 or GBK")


def _is_latin(text: str) -> bool:
    """True where accents stand one or two at a time in words, as in European text."""
    special = {character for character in text if not character.isascii()}
    if any(character in _RARE_LATIN or not (character in _LATIN_MARKS or "\u00c0" <= character <= _LAST_LATIN) for character in special):
        return False
    if re.search(r"[^\x00-\x7f]{3}", text):
        return False
    return not any(
        (before in _LATIN_MARKS and after.isalpha() and not after.isascii())
        or (before.islower() and after.isupper() and not after.isascii())
        for before, after in itertools.pairwise(text)
    )


def _common_share(text: str) -> float:
    """Returns the share of a text's ideographs that are in daily use, in [0, 1]; -1 where some are not in GB 2312, or it has none."""
    special = [character for character in text if not character.isascii() and character not in _CHINESE_MARKS]
    ideographs = [character for character in special if "\u4e00" <= character <= "\u9fff"]
    others = [character for character in special if not "\u4e00" <= character <= "\u9fff"]
    if not ideographs or any(not ("\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef") for character in others):
        return -1.0
    try:
        codes = [character.encode("gb2312") for character in ideographs]
    except UnicodeEncodeError:
        return -1.0
    return sum(code <= _LAST_COMMON for code in codes) / len(codes)


def _records(text: str, path: Path, wanted: tuple[str, ...]) -> tuple[list[tuple[int, list[str]]], str]:
    """Returns (line, cells) of each row that is not blank, and the separator."""
    first, _, rest = text.partition("\n")
    named = re.fullmatch(r'"?sep=(.)"?\s*', first)  # what Excel writes to tell itself the separator
    separator = named[1] if named else _separator(text, wanted)
    return _parsed(rest if named else text, separator, path, 2 if named else 1), separator


def _separator(text: str, wanted: tuple[str, ...]) -> str:
    """Returns the separator that finds the most of the wanted columns in the first row; the most cells where none is found."""
    header = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""

    def found(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=separator), [])
        return len({_column(cell, wanted) for cell in cells} & set(wanted)), len(cells)

    return max(SEPARATORS, key=found)


def _parsed(text: str, separator: str, path: Path, line: int) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records, offset = [], line - 1
    start = line
    try:
        for cells in reader:
            cleaned = [unicodedata.normalize("NFC", cell.strip()) for cell in cells]
            if any(cleaned):
                records.append((start, cleaned))
            start = reader.line_num + offset + 1
    except csv.Error as error:
        raise TableError([f"{path}: row {start}: {error}; look for a quote that is not closed"]) from None
    return records


def _without_empty_end(cells: list[str], length: int) -> list[str]:
    """Returns the cells less the empty ones at the end that go beyond `length`: spreadsheets write them for columns once used."""
    end = len(cells)
    while end > length and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _column(text: str, wanted: tuple[str, ...]) -> str:
    name = unicodedata.normalize("NFC", text.strip())
    plain = re.sub(r"[\s-]+", "_", name.lower())
    return plain if plain in wanted else name


def _damage(cell: str) -> str:
    """Returns what is wrong with a cell's characters, nothing where they are sound."""
    if cell.isascii() and cell.isprintable():
        return ""
    for character in cell:
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and character not in _JOINERS:
            return f"{cell!r} holds the control character U+{ord(character):04X}; remove it"
    if "\ufffd" in cell:
        return f"{cell!r} has lost a character (U+FFFD); export the file anew and {_SAVE_AS_UTF_8}"
    twice = _undone(cell)
    return f"{cell!r} was encoded twice, it should be {twice!r}; export the file anew and {_SAVE_AS_UTF_8}" if twice else ""


def _undone(cell: str) -> str | None:
    """Returns what a cell was before its UTF-8 was taken for cp1252; None where that did not happen."""
    try:
        return None if cell.isascii() else cell.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return None


def _header_faults(columns: list[str]) -> list[str]:
    faults = [f"row 1, column {place}: has no name; give it one, or remove it" for place, name in enumerate(columns, 1) if not name]
    seen: dict[str, str] = {}
    for name in filter(None, columns):
        if folded(name) in seen:
            faults.append(f"row 1: columns {seen[folded(name)]!r} and {name!r} have one name; rename or remove one")
        seen.setdefault(folded(name), name)
    return faults
