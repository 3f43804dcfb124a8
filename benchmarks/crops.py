"""Square crops of the sample generator's shelves as `photos/category/family/sku/<number>.jpg`: what all contenders read."""

import csv
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from defusedxml import ElementTree
from PIL import Image

from tfx_retail import sample

SKUS = 14


def make(folder: Path, *, count: int, side_px: int, seed: int = 1) -> Path:
    """Returns a folder with `count` JPEGs in `photos/` and `catalog.csv` beside it, drawn if it is not there yet."""
    if not (folder / "catalog.csv").exists():
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory() as scratch:
            shelves = _shelves(Path(scratch), count, seed)
            places = _places(shelves / "catalog.csv")
            products = (pair for pair in _crops(shelves) if pair[0] in places)  # gaps and unknown products are boxed, too
            for number, (sku, crop) in enumerate(itertools.islice(products, count)):
                path = folder / "photos" / places[sku] / f"{number:06}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                crop.resize((side_px, side_px), Image.Resampling.BILINEAR).save(path, quality=90)
            shutil.copy(shelves / "catalog.csv", folder / "catalog.csv")
    return folder


def _shelves(scratch: Path, count: int, seed: int) -> Path:
    """Draws photos with at least `count` boxes on them; how many a photo has is seen on a first few."""
    few = 10
    sample.make(scratch / "few", photos=few, skus=SKUS, seed=seed)
    boxes = sum(1 for _ in _crops(scratch / "few"))
    sample.make(scratch / "all", photos=max(few, round(1.2 * count * few / boxes)), skus=SKUS, seed=seed)
    return scratch / "all"


def _crops(shelves: Path) -> Iterator[tuple[str, Image.Image]]:
    for annotation in sorted(shelves.rglob("*.xml")):
        tree = ElementTree.parse(annotation)
        with Image.open(next(shelves.rglob(str(tree.findtext("filename"))))) as image:
            image.load()
        for thing in tree.iter("object"):
            left, top, right, bottom = (int(str(thing.findtext(f"bndbox/{key}"))) for key in ("xmin", "ymin", "xmax", "ymax"))
            yield str(thing.findtext("name")), image.crop((left, top, right, bottom))


def _places(catalog: Path) -> dict[str, Path]:
    """Returns the folder of each SKU."""
    with catalog.open(encoding="utf-8-sig", newline="") as file:
        return {row["sku"]: Path(row["category"], row["family"], row["sku"]) for row in csv.DictReader(file)}
