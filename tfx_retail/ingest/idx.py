"""idx files (MNIST, Fashion-MNIST): one file of images, one of labels, plain or gzipped.

Source: http://yann.lecun.com/exdb/mnist/, "the IDX file format".
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tfx_retail.config import DataConfig
from tfx_retail.ingest.paths import read_bytes, require_folder
from tfx_retail.ingest.record import Annotation, DataError, Fault, Item, Photo, Rejection

BLOCK = 2_000  # images an item: enough to be worth sending, few enough to hold
UBYTE = 8  # the only type that images and labels of this kind have
Pixels = npt.NDArray[np.uint8]


def find(root: str, settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields one item for each block of images, after all files have been checked.

    Raises:
      DataError: a file is not there, is no idx file, is cut off, or images and labels differ in number.
    """
    require_folder(root)
    items = []
    for role, (images, labels) in settings.idx_files.items():
        count = len(_pair(root, images, labels)[0])
        for start in range(0, count, BLOCK):
            payload = f"{start}:{min(start + BLOCK, count)}"
            items.append(Item(path=images, files=(labels,), payload=payload, split=role))
    yield from items


def read(root: str, item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:  # noqa: ARG001 - the reader's contract
    """Yields the block's images as PNG, RGB, without loss.

    Raises:
      DataError: as `find`: the files have changed since.
    """
    images, labels = _pair(root, item.path, item.files[0])
    start, stop = map(int, item.payload.split(":"))
    for number in range(start, stop):
        yield Photo(
            photo_id=f"{item.path}#{number}",
            image=_png(images[number]),
            annotations=(Annotation(str(labels[number])),),
            source_file=item.path,
            split=item.split,
        )


def _pair(root: str, images: str, labels: str) -> tuple[Pixels, Pixels]:
    pixels, classes = _array(root, images, "images"), _array(root, labels, "labels")
    if pixels.ndim not in (3, 4) or pixels.shape[3:] not in ((), (3,)):
        raise DataError(f"{root}/{images}: found the shape {pixels.shape}, expected (n, height, width) or (n, height, width, 3)")
    if classes.ndim != 1:
        raise DataError(f"{root}/{labels}: found the shape {classes.shape}, expected (n,); are the two of data.idx_files swapped?")
    if len(pixels) != len(classes):
        raise DataError(f"{root}/{images}: {len(pixels)} images, but {labels} has {len(classes)} labels; they do not belong together")
    if not len(pixels):
        raise DataError(f"{root}/{images}: holds no image; correct data.idx_files")
    return pixels, classes


def _array(root: str, path: str, what: str) -> Pixels:
    where = f"{root}/{path}"
    try:
        state = os.stat(os.path.join(root, path))
        data = _content(root, path, state.st_size, state.st_mtime_ns)
    except (Fault, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where}: the {what} cannot be read: {error}; correct data.idx_files or fetch the file again") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != UBYTE:
        raise DataError(f"{where}: begins with {data[:4].hex(' ')}, expected 00 00 08: an idx file of bytes")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, 4 + 4 * data[3], 4))
    start = 4 + 4 * data[3]
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(data) != expected:
        raise DataError(f"{where}: its header says {shape}, so {expected} bytes, found {len(data)}: cut off or damaged; fetch it again")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


@lru_cache(maxsize=2)  # an item is a block of the file that the item before it was from; size and time tell a file written anew
def _content(root: str, path: str, size: int, mtime_ns: int) -> bytes:  # noqa: ARG001 - parts of the key
    data = read_bytes(root, path)
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
