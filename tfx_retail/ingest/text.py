"""What annotators and spreadsheets write, read right or refused: encodings, labels, numbers, flags, times."""

import codecs
import math
import unicodedata

from tfx_retail import platforms
from tfx_retail.ingest.paths import read_bytes
from tfx_retail.ingest.record import DataError, Fault

FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


def read_text(root: str, path: str, key: str) -> str:
    """Returns a text file below the root, in UTF-8 (with a BOM or without) or UTF-16 with a BOM.

    cp1252 and GBK are refused rather than guessed: each decodes most of the other's files, into other words.

    Raises:
      DataError: the file is not there or is in another encoding; `key` names its place in the configuration.
    """
    try:
        data = read_bytes(root, path)
    except Fault as fault:
        raise DataError(f"{root}: {fault}; correct {key} in the configuration") from None
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"line {line} is not {error.encoding} (byte 0x{data[error.start]:02x})"
        raise DataError(f"{root}/{path}: {found}; save the file as UTF-8 (a spreadsheet calls it `CSV UTF-8`)") from None


def label(text: str) -> str:
    """Returns a label as it is compared: without spaces around it, composed (NFC), as catalogues have it.

    macOS gives folder names decomposed: the same letters in other bytes.

    Raises:
      Fault: nothing is left.
    """
    cleaned = unicodedata.normalize("NFC", text.strip())
    if not cleaned:
        raise Fault("the label is empty")
    return cleaned


def number(text: str, name: str) -> float:
    """Returns a finite number.

    Raises:
      Fault: the text is none. A decimal comma is refused: `1,234` may be either number.
    """
    try:
        value = float(text)
    except ValueError:
        hint = "; write a decimal point" if "," in text else ""
        raise Fault(f"{name} is {text.strip()!r}, expected a number{hint}") from None
    if not math.isfinite(value):
        raise Fault(f"{name} is {text.strip()!r}, expected a finite number")
    return value


def scale(text: str, name: str) -> float | None:
    """Returns millimetres per pixel, None where the text is empty.

    Raises:
      Fault: the text is no number above 0.
    """
    if not text.strip():
        return None
    value = number(text, name)
    if value <= 0:
        raise Fault(f"{name} is {text.strip()!r}, expected a number above 0, or nothing where it is not known")
    return value


def flag(text: str, name: str) -> bool:
    """Returns the truth of 0, 1, true, false, yes, no; nothing is false.

    Raises:
      Fault: the text is none of these.
    """
    value = FLAGS.get(text.strip().lower())
    if value is None:
        raise Fault(f"{name} is {text.strip()!r}, expected 0 or 1")
    return value


def moment(text: str, name: str) -> str:
    """Returns a date, or date and time, in ISO 8601; an empty text stays empty.

    Raises:
      Fault: the text is neither. `03/04/2024` is refused: it is two days.
    """
    cleaned = text.strip()
    if not cleaned:
        return ""
    try:
        platforms.moment(cleaned)
    except ValueError:
        raise Fault(f"{name} is {cleaned!r}, expected ISO 8601, say 2024-05-17 or 2024-05-17T09:30:00") from None
    return cleaned
