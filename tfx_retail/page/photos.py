"""Thumbnails of crops as data URIs, few and small, from the examples that the predictions were made of."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tfx_retail import features
from tfx_retail.page import wire

SIDE_PX = 112  # twice what is shown, for dense screens
_QUALITY = 72
_NAMES = frozenset(feature.name.encode() for feature in (features.IMAGE, features.SKU, features.CROP_ID))
_MOST_PX = 40_000_000  # an image of a broken file may claim any size


def of_crops(examples: Path | None, role: str, crops: Iterable[str]) -> dict[str, str]:
    """Returns crop id -> data URI of the wanted crops that are there; a missing or damaged one is left out."""
    wanted = set(crops)
    found: dict[str, str] = {}
    for file in _files(examples, role) if wanted else ():
        for data in _records(file):
            spans = wire.example(data, _NAMES)
            crop = wire.text(data, spans.get(features.CROP_ID.name.encode()))
            if crop in wanted:
                _add(found, crop, data, spans)
    return found


def of_skus(examples: Path | None, skus: Iterable[str]) -> dict[str, str]:
    """Returns SKU -> data URI of its first crop that can be shown, from train and, where it has none, from later roles."""
    missing = set(skus)
    found: dict[str, str] = {}
    for role in features.ROLES:
        for file in _files(examples, role):
            for data in _records(file):
                if not missing:
                    return found
                spans = wire.example(data, _NAMES)
                sku = wire.text(data, spans.get(features.SKU.name.encode()))
                if sku in missing:
                    _add(found, sku, data, spans)
                    missing -= found.keys()
    return found


def thumbnail(image: bytes) -> str:
    """Returns a small JPEG as a data URI; empty where the image cannot be read."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            if opened.width * opened.height > _MOST_PX:
                return ""
            opened.draft("RGB", (SIDE_PX * 2, SIDE_PX * 2))
            small = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    small.thumbnail((SIDE_PX, SIDE_PX))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _add(found: dict[str, str], key: str, data: bytes, spans: dict[bytes, wire.Span]) -> None:
    uri = thumbnail(wire.raw(data, spans.get(features.IMAGE.name.encode())))
    if uri:
        found[key] = uri


def _files(examples: Path | None, role: str) -> list[Path]:
    folder = examples / f"Split-{role}" if examples else None
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder and folder.is_dir() else []


def _records(file: Path) -> Iterable[bytes]:
    """A damaged file gives the photos before the damage: the page misses the rest."""
    try:
        yield from wire.records(file)
    except (ValueError, OSError, EOFError):
        return
