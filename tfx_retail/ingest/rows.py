"""What is kept of photos and crops after their pixels are gone: small rows, from which scenes, splits and leakage are found.

One process holds those of all photos, so what many crops need is kept in few bytes: texts and tuples would take five times as many.
"""

from collections.abc import Iterable
from sys import intern

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from tfx_retail.config import Role
from tfx_retail.ingest.record import Rejection, crop_id

WORD = 8  # bytes of a digest and of a hash


class PhotoRow(Struct, frozen=True, array_like=True):
    """One photo that gave at least one crop."""

    photo_id: str
    source_file: str
    split: Role | None
    store: str
    taken_at: str  # ISO 8601 or empty
    group: str  # a scene that the data itself names, or empty
    hash: int  # 64-bit difference hash
    colors: bytes  # 64 shares of 255
    digest: bytes  # of its pixels, a word
    numbers: tuple[int, ...]  # of each crop's box among the photo's, from 1 on
    skus: tuple[str, ...]  # of each crop, as the next
    crop_digests: bytes  # a word each
    crop_hashes: bytes  # a word each
    of_catalog: bool = False  # a reference image, which is only learnt from

    @property
    def crop_ids(self) -> tuple[str, ...]:
        """The id of each crop."""
        return tuple(crop_id(self.photo_id, number) for number in self.numbers)

    def only(self, kept: Iterable[int]) -> "PhotoRow":
        """Returns the row with some of its crops, by their places."""
        places = tuple(kept)
        words = {name: b"".join(_word(getattr(self, name), place) for place in places) for name in ("crop_digests", "crop_hashes")}
        of_each = {name: tuple(getattr(self, name)[place] for place in places) for name in ("numbers", "skus")}
        return msgspec.structs.replace(self, **of_each, **words)


def digest_word(digest: str) -> bytes:
    """Returns the first 64 bits of a SHA-256 in hex digits, which a million images share by chance with a probability of 3e-8."""
    return bytes.fromhex(digest[: 2 * WORD])


def hash_words(hashes: Iterable[int]) -> bytes:
    """Returns 64-bit numbers end to end."""
    return b"".join(number.to_bytes(WORD, "little") for number in hashes)


def words(parts: Iterable[bytes]) -> NDArray[np.uint64]:
    """Returns the words of all parts as one array: equal words are equal numbers."""
    return np.frombuffer(b"".join(parts), "<u8")


def _word(end_to_end: bytes, place: int) -> bytes:
    return end_to_end[place * WORD : (place + 1) * WORD]


class SetAside(Struct, frozen=True, array_like=True):
    """A box that is no product of the catalogue by intention: a gap, another brand."""

    path: str
    label: str
    target: str


class Tally(Struct, array_like=True):
    """Things of one kind, counted on their way: what came in went out, was rejected, or was set aside."""

    seen: int = 0
    out: int = 0
    rejected: int = 0
    set_aside: int = 0

    def add(self, other: "Tally") -> None:
        self.seen += other.seen
        self.out += other.out
        self.rejected += other.rejected
        self.set_aside += other.set_aside

    def check(self, what: str) -> None:
        """Raises: AssertionError: something vanished, which is a fault of this program."""
        left = self.seen - self.out - self.rejected - self.set_aside
        assert not left, f"{what}: {self.seen} in, {self.out} out, {self.rejected} rejected, {self.set_aside} set aside: {left} vanished"


class ShardRows(Struct, array_like=True):
    """What reading some photos found."""

    photos: list[PhotoRow] = []
    rejected: list[Rejection] = []
    set_aside: list[SetAside] = []
    photo_tally: Tally = field(default_factory=Tally)
    box_tally: Tally = field(default_factory=Tally)
    clipped: int = 0

    def add(self, other: "ShardRows") -> None:
        self.photos.extend(map(_named_once, other.photos))
        self.rejected.extend(other.rejected)
        self.set_aside.extend(other.set_aside)
        self.photo_tally.add(other.photo_tally)
        self.box_tally.add(other.box_tally)
        self.clipped += other.clipped


def _named_once(photo: PhotoRow) -> PhotoRow:
    """Returns the photo with SKUs that all photos share: each shard's file brings texts of its own."""
    return msgspec.structs.replace(photo, skus=tuple(map(intern, photo.skus)), store=intern(photo.store))


class Place(Struct, frozen=True, array_like=True):
    """Where the bytes of a crop lie in its shard's file of the first pass."""

    crop_id: str
    start: int
    length: int
