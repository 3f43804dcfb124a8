"""TFRecord files and protobuf messages as bytes: what the page needs of them, without TensorFlow.

Sources: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details and
https://protobuf.dev/programming-guides/encoding/.
"""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]  # where a message lies in its bytes: begin, end
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LENGTH = struct.Struct("<Q")


def records(path: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file, compressed or not, holding one at a time. Checksums are not looked at.

    Raises:
      ValueError: the file ends in the middle of a record.
    """
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        while header := file.read(12):  # length, and its checksum
            length = _LENGTH.unpack_from(header)[0] if len(header) == 12 else 0
            data = file.read(length)
            if len(header) < 12 or len(data) < length or len(file.read(4)) < 4:
                raise ValueError(f"{path}: ends in the middle of a record; it was cut off while it was written or copied")
            yield data


def fields(data: bytes, span: Span | None = None) -> Iterator[tuple[int, int | Span]]:
    """Yields (number, value) of a message: integers as they are, fixed and length-delimited values as spans.

    Raises:
      ValueError: the bytes are no message.
    """
    place, end = span or (0, len(data))
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            number, place = _varint(data, place)
            yield tag >> 3, number
            continue
        length, place = _varint(data, place) if kind == _BYTES else (_width(kind), place)
        yield tag >> 3, (place, place + length)
        place += length


def spans(data: bytes, number: int, span: Span | None = None) -> Iterator[Span]:
    """Yields where the fields of one number lie."""
    for found, value in fields(data, span):
        if found == number and isinstance(value, tuple):
            yield value


def example(data: bytes, wanted: frozenset[bytes]) -> dict[bytes, Span]:
    """Returns where the wanted features of a serialized tf.Example lie; the others are stepped over unread.

    Of a name that comes twice the later one counts: joined messages are merged.
    """
    found: dict[bytes, Span] = {}
    for start, end in spans(data, 1):
        place = start
        while place < end:  # the map's entries: tag 0x0A, length, then key (field 1) and value (field 2)
            length, begin = _varint(data, place + 1)
            place = begin + length
            if data[begin] == 0x0A and data[begin + 1] < 0x80:  # as every writer does: the key first
                name = data[begin + 2 : begin + 2 + data[begin + 1]]
                if name in wanted:
                    found[name] = next(spans(data, 2, (begin, begin + length)), (begin, begin))
    return found


def text(data: bytes, span: Span | None) -> str:
    """Returns the first value of a bytes feature as text; empty where there is none."""
    return raw(data, span).decode("utf-8", "replace")


def raw(data: bytes, span: Span | None) -> bytes:
    """Returns the first value of a bytes feature; empty where there is none."""
    for values in spans(data, 1, span) if span else ():
        for begin, end in spans(data, 1, values):
            return data[begin:end]
    return b""


def floats(data: bytes, span: Span | None) -> NDArray[np.float32]:
    """Returns the values of a float feature, [n]; packed ones are not copied."""
    for values in spans(data, 2, span) if span else ():
        parts = [np.frombuffer(data, "<f4", (end - begin) // 4, begin) for begin, end in spans(data, 1, values)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return np.zeros(0, np.float32)


def integers(data: bytes, span: Span | None) -> list[int]:
    """Returns the values of an integer feature."""
    result: list[int] = []
    for values in spans(data, 3, span) if span else ():
        for number, value in fields(data, values):
            if number == 1:
                result.extend(_packed(data, value) if isinstance(value, tuple) else [value])
    return [value - (1 << 64) if value >> 63 else value for value in result]


def double(data: bytes, span: Span) -> float:
    """Returns a fixed 64-bit value as a number."""
    return float(struct.unpack_from("<d", data, span[0])[0])


def _packed(data: bytes, span: Span) -> Iterator[int]:
    place, end = span
    while place < end:
        value, place = _varint(data, place)
        yield value


def _width(kind: int) -> int:
    if kind not in (_FIXED64, _FIXED32):
        raise ValueError(f"wire type {kind} is none that a message of today holds; the bytes are damaged or no message")
    return 8 if kind == _FIXED64 else 4


def _varint(data: bytes, place: int) -> tuple[int, int]:
    byte = data[place]
    if byte < 0x80:
        return byte, place + 1
    result, shift = byte & 0x7F, 7
    while byte >= 0x80:
        place += 1
        byte = data[place]
        result |= (byte & 0x7F) << shift
        shift += 7
    return result, place + 1
