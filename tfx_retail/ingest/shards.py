"""The two passes over a shard of photos: the first decodes and keeps bytes and rows, the second deals the bytes to roles.

Every file is written under a temporary name and renamed, so what bears its name is whole; a shard that is done again gives the same bytes.
What a pass needs to know of a shard's photos lies in a file, too: sent along with the work, 20 million of them would be too much.
"""

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import tensorflow as tf
from msgspec import Struct

from tfx_retail.ingest import reading
from tfx_retail.ingest.examples import with_group
from tfx_retail.ingest.processes import Decoders
from tfx_retail.ingest.record import DataError, Item
from tfx_retail.ingest.rows import Place, ShardRows
from tfx_retail.ingest.splits import seeded

SHARED = "put `root` and `data.path` on a file system that all of them see"  # what to do where workers write elsewhere


class Shard(Struct, frozen=True):
    """Some of the photos: a number, and the folder that holds what is known of them."""

    number: int
    folder: str

    @property
    def items(self) -> Path:
        """What there is to read."""
        return self._file("items")

    @property
    def spool(self) -> Path:
        """Serialized examples, end to end."""
        return self._file("examples")

    @property
    def places(self) -> Path:
        return self._file("places")

    @property
    def rows(self) -> Path:
        """Written last: a shard that has it has been read."""
        return self._file("rows")

    @property
    def fates(self) -> Path:
        return self._file("fates")

    def _file(self, kind: str) -> Path:
        return Path(self.folder, f"shard-{self.number:05d}.{kind}")


class Fate(Struct, frozen=True, array_like=True):
    """What was decided about one photo."""

    role: str
    group: str


def write_items(shard: Shard, items: Sequence[Item]) -> None:
    """Tells the first pass what to read."""
    _write(shard.items, items)


def read_shard(shard: Shard, decoders: Decoders, known: reading.Sources) -> None:
    """Decodes the shard's photos and writes their examples, places and rows. Few photos are in memory at once.

    Raises:
      DataError: this worker does not see the folder.
    """
    rows = ShardRows()
    places: list[Place] = []
    with _temporary(shard.spool) as path, path.open("wb") as spool:
        for crops in decoders.read(reading.photos(_items(shard), known.settings)):
            rows.add(crops.rows)
            for crop_id, example in crops.examples:
                places.append(Place(crop_id, spool.tell(), len(example)))
                spool.write(example)
    _write(shard.places, places)
    _write(shard.rows, rows)


def write_fates(shard: Shard, fates: Mapping[str, Fate], dropped: Container[str]) -> None:
    """Tells the second pass what was decided about a shard that has been read.

    Args:
      shard: its rows are there.
      fates: by photo id.
      dropped: ids of crops that are not used after all.
    """
    crops = ((crop, photo.photo_id) for photo in load_rows(shard).photos for crop in photo.crop_ids)
    _write(shard.fates, {crop: fates[photo_id] for crop, photo_id in crops if crop not in dropped})


def write_shard(shard: Shard, count: int, folders: Mapping[str, str], seed: int) -> None:
    """Writes the shard's part of each role, in an order that looks random, and removes the bytes that were kept of it.

    Args:
      count: of all shards.
      folders: of each role.
    """
    files = {role: Path(folder, f"data_tfrecord-{shard.number:05d}-of-{count:05d}") for role, folder in folders.items()}
    if all(file.is_file() for file in files.values()):
        return  # done before, by a worker that was stopped before it could say so
    fates = msgspec.msgpack.decode(shard.fates.read_bytes(), type=dict[str, Fate])
    places = msgspec.msgpack.decode(shard.places.read_bytes(), type=list[Place])
    places.sort(key=lambda place: seeded(seed, place.crop_id))
    with ExitStack() as stack:
        spool = stack.enter_context(shard.spool.open("rb"))
        writers = {role: stack.enter_context(_record_file(file)) for role, file in files.items()}
        for place in places:
            fate = fates.get(place.crop_id)
            if fate is not None:
                writers[fate.role].write(with_group(_read(spool, place), fate.group))
    shard.spool.unlink()


def load_rows(shard: Shard) -> ShardRows:
    """Returns what reading the shard found."""
    return msgspec.msgpack.decode(shard.rows.read_bytes(), type=ShardRows)


def _items(shard: Shard) -> list[Item]:
    if not shard.items.is_file():
        raise DataError(f"{shard.items}: not there for a worker of beam.args; {SHARED}")
    return msgspec.msgpack.decode(shard.items.read_bytes(), type=list[Item])


def _read(spool: BinaryIO, place: Place) -> bytes:
    spool.seek(place.start)
    example = spool.read(place.length)
    assert len(example) == place.length, f"{spool.name} was cut off"
    return example


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Gives a name to write under; renames it when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _record_file(path: Path) -> Iterator[Any]:
    with _temporary(path) as draft, tf.io.TFRecordWriter(str(draft)) as writer:
        yield writer


def _write(path: Path, value: object) -> None:
    with _temporary(path) as draft:
        draft.write_bytes(msgspec.msgpack.encode(value))
