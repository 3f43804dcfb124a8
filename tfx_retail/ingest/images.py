"""From a photo's file to its crops, their numbers and hashes: the one place where pixels are touched, each photo decoded once."""

import io
from collections.abc import Iterator

from msgspec import Struct
from PIL import Image

from tfx_retail.config import DataConfig
from tfx_retail.ingest import boxes
from tfx_retail.ingest.decode import Picture, decode, header
from tfx_retail.ingest.fingerprints import colors, hash_distance, numbers, photo_hash, pixel_digest
from tfx_retail.ingest.record import Annotation, Box, Fault, Photo, Record, Rejection

__all__ = ["hash_distance", "photo_hash", "records", "refused"]

_FIRST_TURNED = 5  # EXIF orientations from here on swap width and height
JPEG_QUALITY = 92  # with 4:4:4 colour: small print keeps its edges at about a third of the size of 100


class _Scene(Struct, frozen=True):
    """A photo with what all its crops share."""

    photo: Photo
    picture: Picture
    gray: Image.Image
    size: tuple[int, int]
    hash: int
    digest: str
    colors: bytes


class _Frame(Struct, frozen=True):
    """What the boxes of a photo are measured against."""

    size: tuple[int, int]  # (width, height) upright
    stored_size: tuple[int, int]
    orientation: int  # EXIF's


class _Fitted(Struct, frozen=True):
    """An annotation whose box can be used."""

    number: int
    annotation: Annotation
    box: Box  # tight, inside the photo
    clipped: bool


def records(photo: Photo, settings: DataConfig) -> Iterator[Record | Rejection]:
    """Yields one Record or one `box` Rejection for each annotation, or a single `photo` Rejection.

    `photo.faults` are the reader's and are not repeated here. A photo without annotations is not decoded and yields nothing.
    """
    if not photo.annotations:
        return
    try:
        scene = _scene(photo, settings)
    except Fault as fault:
        yield Rejection(photo.photo_id, str(fault))
        return
    frame = _Frame(scene.size, scene.picture.stored_size, scene.picture.orientation)
    for fitted in _fitted(photo, frame, settings):
        yield fitted if isinstance(fitted, Rejection) else _record(scene, fitted, settings.crop_context)


def refused(photo: Photo, settings: DataConfig) -> Iterator[Rejection]:
    """Yields the rejections of `records` that the photo's header and its boxes alone tell; nothing is decoded."""
    if not photo.annotations:
        return
    try:
        stored, orientation = header(photo.image, settings.max_image_px)
        frame = _Frame(stored[::-1] if orientation >= _FIRST_TURNED else stored, stored, orientation)
        _check_size(photo, frame, settings.min_box_px)
    except Fault as fault:
        yield Rejection(photo.photo_id, str(fault))
        return
    yield from (fitted for fitted in _fitted(photo, frame, settings) if isinstance(fitted, Rejection))


def _fitted(photo: Photo, frame: _Frame, settings: DataConfig) -> Iterator[_Fitted | Rejection]:
    kept: list[tuple[str, Box]] = []
    for number, annotation in enumerate(photo.annotations, 1):
        try:
            box, clipped = _tight(photo, frame, annotation, settings)
            _refuse_twice(annotation.label, box, kept, settings.duplicate_iou)
        except Fault as fault:
            where = f"{photo.source_file}: {annotation.part or f'box {number}'}"
            yield Rejection(where, str(fault), "box")
        else:
            kept.append((annotation.label, box))
            yield _Fitted(number, annotation, box, clipped)


def _scene(photo: Photo, settings: DataConfig) -> _Scene:
    picture = decode(photo.image, settings.max_image_px)
    rgb = picture.rgb
    _check_size(photo, _Frame(rgb.size, picture.stored_size, picture.orientation), settings.min_box_px)
    gray = rgb.convert("L")
    return _Scene(photo, picture, gray, rgb.size, photo_hash(gray), pixel_digest(rgb), colors(rgb))


def _check_size(photo: Photo, frame: _Frame, min_px: int) -> None:
    found, declared = f"{frame.size[0]}x{frame.size[1]}", photo.declared_size
    if min(frame.size) < min_px:
        raise Fault(f"is {found} px; its shorter side is under data.min_box_px ({min_px})")
    if declared is not None and declared not in (frame.size, frame.stored_size):
        raise Fault(f"is {found} px upright, but its annotation says {declared[0]}x{declared[1]}: the boxes are another image's")


def _tight(photo: Photo, frame: _Frame, annotation: Annotation, settings: DataConfig) -> tuple[Box, bool]:
    """Returns the box inside the upright photo, and whether it was cut to it.

    Tools differ in whether they turn a photo as its EXIF says before boxes are drawn: the declared size tells which frame the
    boxes are in. Where both frames have one size (no turn, or a half turn), the boxes are taken as drawn upright.
    """
    if annotation.box is None:
        return Box(0, 0, *frame.size), False
    box = annotation.box
    if photo.declared_size == frame.stored_size != frame.size:
        box = boxes.turn(box, frame.orientation, frame.stored_size)
    return boxes.fit(box, frame.size, settings.min_box_px)


def _refuse_twice(label: str, box: Box, kept: list[tuple[str, Box]], limit: float) -> None:
    overlap = max((box.intersection_over_union(other) for other_label, other in kept if other_label == label), default=0.0)
    if overlap > limit:
        raise Fault(f"one product boxed twice: the IoU with another box of {label!r} is {overlap:.2f}, over data.duplicate_iou ({limit:g})")


def _record(scene: _Scene, fitted: _Fitted, context: float) -> Record:
    photo, annotation, box = scene.photo, fitted.annotation, fitted.box
    shown = boxes.with_context(box, context, scene.size)
    whole = (shown.width, shown.height) == scene.size
    edges = (shown.left, shown.top, shown.right, shown.bottom)
    crop = scene.picture.rgb if whole else scene.picture.rgb.crop(edges)
    gray = scene.gray if whole else scene.gray.crop(edges)
    measured = numbers(gray)
    scale = None if annotation.truncated else photo.mm_per_px  # what is cut off cannot be measured
    return Record(
        photo_id=photo.photo_id,
        number=fitted.number,
        image=photo.image if whole and scene.picture.as_stored else _encode(crop, lossless=scene.picture.lossless),
        label=annotation.label,
        box=box,
        photo_size=scene.size,
        photo_hash=scene.hash,
        photo_digest=scene.digest,
        crop_digest=scene.digest if whole else pixel_digest(crop),
        photo_colors=scene.colors,
        clipped=fitted.clipped,
        perceptual_hash=scene.hash if whole else photo_hash(gray),
        brightness=measured.brightness,
        contrast=measured.contrast,
        sharpness=measured.sharpness,
        measured_height_mm=None if scale is None else box.height * scale,
        measured_width_mm=None if scale is None else box.width * scale,
        store=photo.store,
        taken_at=photo.taken_at,
        group=photo.group,
        face=annotation.face,
        truncated=annotation.truncated,
        occluded=annotation.occluded,
        difficult=annotation.difficult,
        source=photo.source,
        annotator=photo.annotator,
        source_file=photo.source_file,
        split=photo.split,
    )


def _encode(image: Image.Image, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
