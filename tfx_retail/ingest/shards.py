"""The two passes over a shard of photos: the first decodes and keeps bytes and rows, the second deals the bytes to roles.

Every file is written under a temporary name and renamed, so what bears its name is whole; a shard that is done again gives the same bytes.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import tensorflow as tf
from msgspec import Struct

from tfx_retail.ingest import reading
from tfx_retail.ingest.examples import encode, with_group
from tfx_retail.ingest.record import Item, Photo, Record, Rejection
from tfx_retail.ingest.rows import DIGEST_HEX, PhotoRow, Place, ShardRows, Tally
from tfx_retail.ingest.splits import seeded


class Shard(Struct, frozen=True):
    """Some of the items, and where the first pass puts what it finds in them."""

    number: int
    items: list[Item]
    folder: str

    @property
    def spool(self) -> Path:
        """Serialized examples, end to end."""
        return Path(self.folder, f"shard-{self.number:05d}.examples")

    @property
    def places(self) -> Path:
        return Path(self.folder, f"shard-{self.number:05d}.places")

    @property
    def rows(self) -> Path:
        """Written last: a shard that has it has been read."""
        return Path(self.folder, f"shard-{self.number:05d}.rows")


class Fate(Struct, frozen=True):
    """What was decided about one photo."""

    role: str
    group: str


def read_shard(shard: Shard, known: reading.Sources) -> None:
    """Decodes the shard's photos on all cores and writes their examples, places and rows. Few photos are in memory at once."""
    rows = ShardRows([], [], [], Tally(), Tally(), 0)
    places: list[Place] = []
    with _temporary(shard.spool) as path, path.open("wb") as spool:
        for found, examples in _in_parallel(reading.photos(shard.items, known.settings), known):
            _count(found, rows)
            for record, example in zip(found.records, examples, strict=True):
                places.append(Place(record.crop_id, spool.tell(), len(example)))
                spool.write(example)
    _write(shard.places, places)
    _write(shard.rows, rows)


def write_shard(
    shard: Shard, count: int, fates: Mapping[str, Fate], dropped: frozenset[str], folders: Mapping[str, str], seed: int
) -> None:
    """Writes the shard's part of each role, in an order that looks random, and removes what the first pass kept of it.

    Args:
      count: of all shards.
      fates: by photo id.
      dropped: ids of crops that are not used after all.
      folders: of each role.
    """
    places = msgspec.msgpack.decode(shard.places.read_bytes(), type=list[Place])
    places.sort(key=lambda place: seeded(seed, place.crop_id))
    name = f"data_tfrecord-{shard.number:05d}-of-{count:05d}"
    with ExitStack() as stack:
        spool = stack.enter_context(shard.spool.open("rb"))
        writers = {role: stack.enter_context(_record_file(Path(folder, name))) for role, folder in folders.items()}
        for place in places:
            if place.crop_id not in dropped:
                fate = fates[place.crop_id.rpartition("#")[0]]
                writers[fate.role].write(with_group(_read(spool, place), fate.group))
    for path in (shard.spool, shard.places, shard.rows):
        path.unlink(missing_ok=True)


def load_rows(shard: Shard) -> ShardRows | None:
    """Returns what reading the shard found; None where its file is not to be seen here."""
    return msgspec.msgpack.decode(shard.rows.read_bytes(), type=ShardRows) if shard.rows.is_file() else None


def _in_parallel(found: Iterable[Photo | Rejection], known: reading.Sources) -> Iterator[tuple[reading.PhotoResult, list[bytes]]]:
    """Yields results in the order of the photos. Pillow decodes outside Python's lock, so threads are enough."""
    workers = len(os.sched_getaffinity(0))
    waiting: deque[Future[tuple[reading.PhotoResult, list[bytes]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for photo in found:
            waiting.append(pool.submit(_encoded, photo, known))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _encoded(photo: Photo | Rejection, known: reading.Sources) -> tuple[reading.PhotoResult, list[bytes]]:
    found = reading.result(photo, known)
    return found, [encode(record, known.products.by_sku[record.label]) for record in found.records]


def _count(found: reading.PhotoResult, rows: ShardRows) -> None:
    rows.photo_tally.add(found.photo_tally)
    rows.box_tally.add(found.box_tally)
    rows.rejected.extend(found.rejected)
    rows.set_aside.extend(found.set_aside)
    rows.clipped += sum(record.clipped for record in found.records)
    if found.records:
        rows.photos.append(_row(found.records))


def _row(records: list[Record]) -> PhotoRow:
    photo = records[0]
    return PhotoRow(
        photo_id=photo.photo_id,
        source_file=photo.source_file,
        split=photo.split,
        store=photo.store,
        taken_at=photo.taken_at,
        group=photo.group,
        hash=photo.photo_hash,
        colors=photo.photo_colors,
        digest=photo.photo_digest[:DIGEST_HEX],
        crop_ids=tuple(record.crop_id for record in records),
        skus=tuple(record.label for record in records),
        crop_digests=tuple(record.crop_digest[:DIGEST_HEX] for record in records),
        crop_hashes=tuple(record.perceptual_hash for record in records),
    )


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
