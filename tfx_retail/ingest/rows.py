"""What is kept of photos and crops after their pixels are gone: small rows, from which scenes, splits and leakage are found."""

from msgspec import Struct, field

from tfx_retail.config import Role
from tfx_retail.ingest.record import Rejection

DIGEST_HEX = 16  # of SHA-256: 64 bits, which a million images share by chance with a probability of 3e-8


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
    digest: str
    crop_ids: tuple[str, ...]
    skus: tuple[str, ...]  # of each crop, as the next
    crop_digests: tuple[str, ...]
    crop_hashes: tuple[int, ...]
    of_catalog: bool = False  # a reference image, which is only learnt from


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
        self.photos.extend(other.photos)
        self.rejected.extend(other.rejected)
        self.set_aside.extend(other.set_aside)
        self.photo_tally.add(other.photo_tally)
        self.box_tally.add(other.box_tally)
        self.clipped += other.clipped


class Place(Struct, frozen=True, array_like=True):
    """Where the bytes of a crop lie in its shard's file of the first pass."""

    crop_id: str
    start: int
    length: int
