"""The values that pass from readers to examples: what a photo holds, what a crop is, what was refused and why."""

from collections.abc import Iterator
from typing import Literal, Protocol

from msgspec import Struct

from tfx_retail.config import DataConfig, Role
from tfx_retail.errors import UserError

Source = Literal["shelf", "packshot", "synthetic"]


class DataError(UserError):
    """The data cannot be used. The message says where, what was found, what is allowed and what to do."""


class Fault(Exception):
    """One photo or one box cannot be used; the text is the reason. Caught where its Rejection is made."""


class Box(Struct, frozen=True):
    """A rectangle in pixels of the upright photo: 0-based, half-open."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        return max(self.width, 0) * max(self.height, 0)

    def intersection_over_union(self, other: "Box") -> float:
        """Returns the overlap of two boxes, in [0, 1]."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(width, 0) * max(height, 0)
        total = self.area + other.area - shared
        return shared / total if total else 0.0


class Item(Struct, frozen=True):
    """Something that a reader reads at once: small, to be sent to workers and digested."""

    path: str  # relative to the data's root; the file that is read first
    files: tuple[str, ...] = ()  # further files whose change changes the result, relative to the root
    payload: str = ""  # what else the reader needs, in its own words
    split: Role | None = None  # the role that a list gives it
    packshot_of: str = ""  # the SKU whose reference image this is; empty for the data's own photos


class Annotation(Struct, frozen=True, omit_defaults=True):
    """One labelled product on a photo; `box` None is the whole photo."""

    label: str
    box: Box | None = None
    face: str = ""
    truncated: bool = False
    occluded: bool = False
    difficult: bool = False
    part: str = ""  # where in the photo's source file, say `object 3`


class Rejection(Struct, frozen=True):
    """A file, box or row that is not used, and why."""

    path: str  # relative to the root; `a.xml: object 3` for a part of a file
    reason: str
    kind: Literal["photo", "box"] = "photo"


class Photo(Struct, frozen=True, omit_defaults=True):
    """One photo as its file has it, with what is annotated on it. Nothing has been decoded."""

    photo_id: str  # unique in the data set and stable: the path of the image below the root, or <file>#<number>
    image: bytes
    annotations: tuple[Annotation, ...]
    source_file: str  # what a person opens to see where this comes from, relative to the root
    declared_size: tuple[int, int] | None = None  # (width, height) as the annotation file says
    mm_per_px: float | None = None
    store: str = ""
    taken_at: str = ""  # ISO 8601
    group: str = ""  # a scene that the data itself names
    source: Source = "shelf"
    annotator: str = ""
    split: Role | None = None
    of_catalog: bool = False  # a reference image: its label is a SKU, and it is only learnt from
    faults: tuple[Rejection, ...] = ()  # annotations of this photo that the reader refused


class Record(Struct, frozen=True):
    """One crop, ready to become an example. Sizes are of the tight box; `image` may show context around it."""

    photo_id: str
    number: int  # of its box among the photo's, from 1 on
    image: bytes  # JPEG or PNG, upright, RGB, 8 bit
    label: str
    box: Box
    photo_size: tuple[int, int]  # (width, height) of the upright photo
    photo_hash: int  # 64-bit difference hash of the whole photo
    photo_digest: str  # SHA-256 of the photo's pixels: equal for exact duplicates
    crop_digest: str  # SHA-256 of the crop's pixels
    photo_colors: bytes  # colour histogram of the whole photo, 64 values as uint8 shares of 255
    clipped: bool  # the annotated box left the photo by one pixel and was cut to it
    perceptual_hash: int  # 64-bit difference hash of the crop
    brightness: float
    contrast: float
    sharpness: float
    measured_height_mm: float | None
    measured_width_mm: float | None
    store: str
    taken_at: str
    group: str
    face: str
    truncated: bool
    occluded: bool
    difficult: bool
    source: Source
    annotator: str
    source_file: str
    split: Role | None

    @property
    def crop_id(self) -> str:
        """What the crop is called."""
        return crop_id(self.photo_id, self.number)


def crop_id(photo_id: str, number: int) -> str:
    """Returns what a crop is called: its photo, and the number of its box there."""
    return f"{photo_id}#{number}"


class Reader(Protocol):
    """What a module of this folder offers for its format."""

    def find(self, root: str, settings: DataConfig) -> Iterator[Item | Rejection]:
        """Yields what there is to read, in a stable order, without opening images."""

    def read(self, root: str, item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:
        """Yields the photos of one item; a fault of one photo is a Rejection and does not stop the others."""
