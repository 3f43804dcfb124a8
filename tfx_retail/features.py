"""The names of everything that an example carries, written once.

An example is one crop. Inputs of the serving signatures bear the same names, so that a model reads examples and requests alike.
"""

from enum import Enum
from typing import NamedTuple

ROLES = ("train", "validation", "calibration", "eval")
SIGNATURES = ("serving_default", "predict_sized")  # those that give answers
LEVELS = ("sku", "look", "family", "category")  # of an answer, from fine to coarse


class Kind(Enum):
    """How a feature is stored in a tf.Example."""

    BYTES = "bytes"
    TEXT = "text"
    INT = "int"
    FLOAT = "float"


class Feature(NamedTuple):
    """One feature: its name in examples and signatures, and how it is stored."""

    name: str
    kind: Kind
    required: bool


IMAGE = Feature("image_bytes", Kind.BYTES, True)  # JPEG or PNG, upright, RGB, 8 bit
SKU = Feature("sku", Kind.TEXT, True)
LOOK = Feature("look", Kind.TEXT, True)
FAMILY = Feature("family", Kind.TEXT, True)
CATEGORY = Feature("category", Kind.TEXT, True)
BRAND = Feature("brand", Kind.TEXT, False)

CROP_ID = Feature("crop_id", Kind.TEXT, True)  # <photo_id>#<number of the box>
PHOTO_ID = Feature("photo_id", Kind.TEXT, True)
GROUP = Feature("group", Kind.TEXT, True)  # the scene: unit of every split, bound and test
STORE = Feature("store", Kind.TEXT, False)
TAKEN_AT = Feature("taken_at", Kind.TEXT, False)  # ISO 8601
FACE = Feature("face", Kind.TEXT, False)
SOURCE = Feature("source", Kind.TEXT, True)  # shelf, packshot or synthetic
ANNOTATOR = Feature("annotator", Kind.TEXT, False)
SOURCE_FILE = Feature("source_file", Kind.TEXT, True)
TRUNCATED = Feature("truncated", Kind.INT, True)  # 0 or 1, as the next two
OCCLUDED = Feature("occluded", Kind.INT, True)
DIFFICULT = Feature("difficult", Kind.INT, True)

WIDTH_PX = Feature("width_px", Kind.INT, True)  # of the tight box, in the upright photo
HEIGHT_PX = Feature("height_px", Kind.INT, True)
SIZE_BYTES = Feature("size_bytes", Kind.INT, True)
BRIGHTNESS = Feature("brightness", Kind.FLOAT, True)  # mean luma in [0, 1]
CONTRAST = Feature("contrast", Kind.FLOAT, True)  # standard deviation of luma, in [0, 0.5]
SHARPNESS = Feature("sharpness", Kind.FLOAT, True)  # variance of the Laplacian of luma in [0, 1]
PERCEPTUAL_HASH = Feature("perceptual_hash", Kind.TEXT, True)  # 64-bit difference hash, 16 hex digits
BOX_AREA_SHARE = Feature("box_area_share", Kind.FLOAT, True)  # of the photo's area, in (0, 1]
MEASURED_HEIGHT_MM = Feature("measured_height_mm", Kind.FLOAT, False)  # absent where unknown
MEASURED_WIDTH_MM = Feature("measured_width_mm", Kind.FLOAT, False)

ALL = (
    IMAGE,
    SKU,
    LOOK,
    FAMILY,
    CATEGORY,
    BRAND,
    CROP_ID,
    PHOTO_ID,
    GROUP,
    STORE,
    TAKEN_AT,
    FACE,
    SOURCE,
    ANNOTATOR,
    SOURCE_FILE,
    TRUNCATED,
    OCCLUDED,
    DIFFICULT,
    WIDTH_PX,
    HEIGHT_PX,
    SIZE_BYTES,
    BRIGHTNESS,
    CONTRAST,
    SHARPNESS,
    PERCEPTUAL_HASH,
    BOX_AREA_SHARE,
    MEASURED_HEIGHT_MM,
    MEASURED_WIDTH_MM,
)
