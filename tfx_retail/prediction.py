"""`tfx-retail predict`: images on disk to answers of a pushed version, for people or as JSON lines."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from tfx_retail import signatures
from tfx_retail.config import DataConfig
from tfx_retail.errors import UserError
from tfx_retail.ingest import images, voc
from tfx_retail.ingest.record import Annotation, Photo, Record, Rejection

_NAMED = 5  # SKUs in a line


class Crop(msgspec.Struct, frozen=True):
    """One thing to name: where it lies, its encoded image, and its size where known."""

    name: str
    image: bytes
    height_mm: float = math.nan
    width_mm: float = math.nan


def main(
    folder: Path, paths: tuple[Path, ...], boxes: Path | None, height_mm: float | None, width_mm: float | None, *, as_json: bool
) -> int:
    """Prints an answer for each image or box; returns 1 where an image was bad, else 0.

    Raises:
      UserError: the folder holds no model, or an image is not there.
    """
    if not (folder / "saved_model.pb").is_file():
        raise UserError(f"{folder}: no saved_model.pb; expected one version's folder, say output/serving/sample/1")
    settings = _settings(folder)
    crops, bad = _crops(paths, boxes, height_mm, width_mm, settings)
    answers = _answers(folder, crops) if crops else []
    rows = [*answers, *({"image": name, "reason": "bad_image", "detail": detail, "accepted": False} for name, detail in bad)]
    if as_json:
        _print_json(rows)
    else:
        _print_table(rows)
    for line in unseen(folder):
        click.echo(line, err=True)  # beside the answers: who reads these by a program is not disturbed
    return 1 if bad or any(row["reason"] == "bad_image" for row in rows) else 0


def unseen(folder: Path) -> Iterator[str]:
    """Yields a line about the SKUs that this version cannot answer because nobody has photographed them; none where there are none."""
    facts = _facts(folder)
    skus = [sku for sku in facts["never_answered"] if not facts["examples"].get(sku)]
    if skus:
        more = f" and {len(skus) - _NAMED:,} more" if len(skus) > _NAMED else ""
        yield f"never answered, as no photo of them was in train: {', '.join(skus[:_NAMED])}{more}"


def _facts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "assets.extra" / "model.json").read_text(encoding="utf-8")))


def _settings(folder: Path) -> DataConfig:
    facts = _facts(folder)
    return DataConfig(path=str(folder), format="voc", crop_context=facts["crop_context"], min_box_px=1)


def _crops(
    paths: tuple[Path, ...], boxes: Path | None, height_mm: float | None, width_mm: float | None, settings: DataConfig
) -> tuple[list[Crop], list[tuple[str, str]]]:
    crops: list[Crop] = []
    bad: list[tuple[str, str]] = []
    for path in paths:
        for result in images.records(_photo(path, boxes, settings), settings):
            if isinstance(result, Rejection):
                bad.append((str(path), result.reason))
            else:
                crops.append(_crop(path, result, height_mm, width_mm, whole=boxes is None))
    return crops, bad


def _photo(path: Path, boxes: Path | None, settings: DataConfig) -> Photo:
    if not path.is_file():
        raise UserError(f"{path}: no such image")
    annotations: tuple[Annotation, ...] = (Annotation(label="?"),)
    if boxes is not None:
        annotations = voc.annotations(boxes, settings.voc_origin)
        if not annotations:
            raise UserError(f"{boxes}: no box in it")
    return Photo(photo_id=str(path), image=path.read_bytes(), annotations=annotations, source_file=str(path))


def _crop(path: Path, record: Record, height_mm: float | None, width_mm: float | None, *, whole: bool) -> Crop:
    box = record.box
    name = str(path) if whole else f"{path} [{box.left},{box.top},{box.right},{box.bottom}]"
    return Crop(name, record.image, math.nan if height_mm is None else height_mm, math.nan if width_mm is None else width_mm)


def _answers(folder: Path, crops: list[Crop]) -> list[dict[str, Any]]:
    model = signatures.load(folder)
    heights = np.array([crop.height_mm for crop in crops], np.float32)
    widths = np.array([crop.width_mm for crop in crops], np.float32)
    sized = bool(np.isfinite(heights).any() or np.isfinite(widths).any())
    answer = signatures.predict(
        model, [crop.image for crop in crops], height_mm=heights, width_mm=widths, signature="predict_sized" if sized else "serving_default"
    )
    return [{"image": crop.name, **{key: _plain(values[row]) for key, values in answer.items()}} for row, crop in enumerate(crops)]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value


def _print_json(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        click.echo(json.dumps(row, ensure_ascii=False))


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [("image", "SKU", "confidence", "accepted", "family", "", "reason"), *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["reason"] == "bad_image":
        return row["image"], "-", "-", "no", "-", "-", f"bad_image: {row.get('detail', 'cannot be decoded')}"
    accepted = "yes" if row["accepted"] else "no"
    return row["image"], row["sku"], f"{row['confidence']:.3f}", accepted, row["family"], f"{row['family_confidence']:.3f}", row["reason"]
