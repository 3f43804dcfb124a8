"""Image files made upright, RGB, 8 bit, or refused with the reason. Nothing is decoded before its header has been checked."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from msgspec import Struct
from PIL import Image

from tfx_retail.ingest.record import Fault

SMALL_PX = 64  # PNGs up to this side stay PNG: idx images are that small, and JPEG would smear them
TRANSPOSES = {  # EXIF orientation -> what makes the photo upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112  # EXIF's tag
UNKNOWN_RANGE = ("I", "F")  # 32 bits a pixel: which value is white is not written anywhere
_FILTERS = threading.Lock()  # the filters of warnings belong to the whole process


class Picture(Struct, frozen=True):
    """A decoded photo."""

    rgb: Image.Image  # upright, RGB, 8 bit
    stored_size: tuple[int, int]  # (width, height) before it was made upright
    orientation: int  # EXIF's, 1 to 8
    lossless: bool  # a small PNG: to be written as PNG again
    as_stored: bool  # the file's own bytes are an upright RGB 8-bit JPEG (or small PNG)


def decode(data: bytes, max_px: int) -> Picture:
    """Returns the photo in an image file's bytes; transparent parts become white, of 16 bits the upper 8 are kept.

    Raises:
      Fault: the bytes are empty, no image, cut off, more than one picture, or more than `max_px` pixels.
    """
    kind = _kind(data)
    try:
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=(kind,))
            _check_header(image, max_px)
            if kind != "JPEG":  # these can warn while they decode
                image.load()
            orientation = _orientation(image)
            if kind != "JPEG":
                upright = _rgb(image)
        if kind == "JPEG":
            upright = _rgb(image)
    except Fault:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, before a size could be asked for
        raise Fault(f"its header says more pixels than data.max_image_px ({max_px}); not decoded: {error}") from None
    except Exception as error:  # noqa: BLE001 - on broken files Pillow raises whatever its parsers stumble over
        raise Fault(f"cannot be decoded, it is cut off or damaged ({kind}: {error})") from None
    if orientation in TRANSPOSES:
        upright = upright.transpose(TRANSPOSES[orientation])
    small = kind == "PNG" and max(image.size) <= SMALL_PX
    stored = orientation == 1 and image.mode == "RGB" and (_is_whole_jpeg(data) if kind == "JPEG" else small and _is_plain_png(data))
    return Picture(rgb=upright, stored_size=image.size, orientation=orientation, lossless=small, as_stored=stored)


def stored_size(data: bytes) -> tuple[int, int]:
    """Returns (width, height) as the header says, before anything is turned upright.

    Raises:
      Fault: the bytes are no image, or its header cannot be read.
    """
    kind = _kind(data)
    try:
        with _quiet():
            return Image.open(io.BytesIO(data), formats=(kind,)).size
    except Exception as error:  # noqa: BLE001 - on broken files Pillow raises whatever its parsers stumble over
        raise Fault(f"its header cannot be read ({kind}: {error})") from None


def header(data: bytes, max_px: int) -> tuple[tuple[int, int], int]:
    """Returns (width, height) as stored and EXIF's orientation, without decoding.

    Raises:
      Fault: what the header alone tells is no image to be used.
    """
    kind = _kind(data)
    try:
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=(kind,))
            _check_header(image, max_px)
            return image.size, _orientation(image)
    except Fault:
        raise
    except Exception as error:  # noqa: BLE001 - on broken files Pillow raises whatever its parsers stumble over
        raise Fault(f"cannot be decoded, it is cut off or damaged ({kind}: {error})") from None


def _kind(data: bytes) -> str:
    """Returns Pillow's name of the format that the first bytes tell; a suffix may lie."""
    if not data:
        raise Fault("is empty: 0 bytes")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    raise Fault(f"is not an image that is read here: it begins with {data[:12]!r}; expected JPEG, PNG, WebP, GIF, BMP or TIFF")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings (large image, damaged EXIF) to itself: what matters of them is checked here."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_header(image: Image.Image, max_px: int) -> None:
    width, height = image.size
    if width * height > max_px:
        raise Fault(f"its header says {width}x{height} px, more than data.max_image_px ({max_px}); not decoded")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # phones store a preview behind the photo so: the first picture is the photo
        raise Fault(f"holds {frames} pictures (animated or pages), expected one")
    if image.mode in UNKNOWN_RANGE:
        raise Fault(f"has 32 bits a pixel (mode {image.mode}), whose white is not known; expected 8 or 16")


def _orientation(image: Image.Image) -> int:
    """Returns EXIF's orientation; EXIF that cannot be read says nothing, as in every viewer."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - as in `decode`
        return 1
    return value if value in TRANSPOSES else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:  # packshots are cut out: shops show them on white
        cut_out = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(cut_out, mask=cut_out.getchannel("A"))
        return white
    if image.mode == "RGB":
        image.load()
        return image
    return image.convert("RGB")


def _is_whole_jpeg(data: bytes) -> bool:
    """Returns whether an end marker follows the last scan; decoders stricter than Pillow want it."""
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")


def _is_plain_png(data: bytes) -> bool:
    """Returns whether the header says 8 bits a channel, RGB, no chunk makes a colour transparent, and the end is there."""
    return data[24:26] == b"\x08\x02" and b"tRNS" not in data and data[-8:-4] == b"IEND"
