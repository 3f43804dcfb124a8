"""The sample's files: photos with labelImg's XML, catalogue, planogram, and the facts of each photo."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from tfx_retail import catalog
from tfx_retail.sample.assortment import Item
from tfx_retail.sample.photos import HEIGHT, WIDTH, Mark, Shot
from tfx_retail.sample.shelves import Scene, Slot

IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"
PHOTO_COLUMNS = ("photo", "store", "taken_at", "group", "mm_per_px")
PLANOGRAM_COLUMNS = ("store", "fixture", "shelf", "slot", "sku", "facings", "x_mm", "width_mm")


class PhotoFacts(NamedTuple):
    """One row of photos.csv, and how many boxes the photo has."""

    photo: str
    store: str
    taken_at: str
    group: str
    mm_per_px: str  # empty where it is not known
    boxes: int


def write_photo(folder: Path, scene: Scene, step: int, shot: Shot) -> PhotoFacts:
    """Writes one photo and its annotation; returns its facts."""
    name = f"scene_{scene.number:05d}_{step}"
    (folder / IMAGES / f"{name}.jpg").write_bytes(shot.jpeg)
    (folder / ANNOTATIONS / f"{name}.xml").write_text(_annotation(f"{name}.jpg", shot.marks), encoding="utf-8")
    scale = "" if shot.mm_per_px is None else str(shot.mm_per_px)
    group = f"scene_{scene.number:05d}"
    return PhotoFacts(f"{IMAGES}/{name}.jpg", scene.store, scene.taken_at.isoformat(), group, scale, len(shot.marks))


def write_tables(folder: Path, items: tuple[Item, ...], slots: tuple[Slot, ...], photos: Iterable[PhotoFacts]) -> None:
    """Writes catalog.csv, planogram.csv and photos.csv."""
    catalog.write(catalog.of(tuple(item.product for item in items)), folder / "catalog.csv")
    _write_csv(folder / "planogram.csv", PLANOGRAM_COLUMNS, (_planogram_row(slot) for slot in slots))
    _write_csv(folder / "photos.csv", PHOTO_COLUMNS, (facts[: len(PHOTO_COLUMNS)] for facts in photos))


def _planogram_row(slot: Slot) -> tuple[object, ...]:
    return slot.store, slot.fixture, slot.shelf, slot.slot, slot.item.product.sku, slot.facings, slot.x_mm, slot.width_mm


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _annotation(filename: str, marks: tuple[Mark, ...]) -> str:
    """Returns Pascal VOC as labelImg 1.8 writes it: tabs, 0-based edges; its absolute path is left relative."""
    objects = "".join(_object(mark) for mark in marks)
    head = f"<folder>{IMAGES}</folder>\n\t<filename>{filename}</filename>\n\t<path>{IMAGES}/{filename}</path>"
    source = "<source>\n\t\t<database>Unknown</database>\n\t</source>"
    size = f"<size>\n\t\t<width>{WIDTH}</width>\n\t\t<height>{HEIGHT}</height>\n\t\t<depth>3</depth>\n\t</size>"
    return f"<annotation>\n\t{head}\n\t{source}\n\t{size}\n\t<segmented>0</segmented>\n{objects}</annotation>\n"


def _object(mark: Mark) -> str:
    edges = (("xmin", mark.left), ("ymin", mark.top), ("xmax", mark.right), ("ymax", mark.bottom))
    box = "".join(f"\t\t\t<{tag}>{edge}</{tag}>\n" for tag, edge in edges)
    flags = f"<pose>Unspecified</pose>\n\t\t<truncated>{int(mark.truncated)}</truncated>\n\t\t<difficult>0</difficult>"
    return f"\t<object>\n\t\t<name>{escape(mark.label)}</name>\n\t\t{flags}\n\t\t<bndbox>\n{box}\t\t</bndbox>\n\t</object>\n"
