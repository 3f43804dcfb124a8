"""Nested image folders: `category/family/sku/*.jpg`; a photo's label is the folder it lies in."""

import posixpath
from collections.abc import Iterator

from tfx_retail.config import DataConfig
from tfx_retail.ingest import lists
from tfx_retail.ingest.paths import IMAGE_SUFFIXES, read_bytes, require_folder, walk
from tfx_retail.ingest.record import Annotation, DataError, Fault, Item, Photo, Rejection
from tfx_retail.ingest.text import label

LEVELS = 3  # category, family, SKU


def find(root: str, settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields one item for each image.

    Raises:
      DataError: the root is no folder or holds no image.
    """
    require_folder(root)
    found: list[tuple[str, Item]] = []
    nothing = True
    for path in walk(root, IMAGE_SUFFIXES):
        nothing = False
        if isinstance(path, Rejection):
            yield path
            continue
        try:
            levels(path)
        except Fault as fault:
            yield Rejection(path, str(fault))
        else:
            found.append((path, Item(path=path)))
    if nothing:
        raise DataError(f"{root}: found no image, expected category/family/sku/*.jpg; correct data.path or data.format")
    yield from lists.assign(root, found, settings)


def read(root: str, item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:  # noqa: ARG001 - the reader's contract
    """Yields the photo, its label on the whole of it."""
    try:
        sku = levels(item.path)[-1]
        image = read_bytes(root, item.path)
    except Fault as fault:
        yield Rejection(item.path, str(fault))
        return
    yield Photo(photo_id=item.path, image=image, annotations=(Annotation(sku),), source_file=item.path, split=item.split)


def levels(path: str) -> tuple[str, str, str]:
    """Returns (category, family, SKU) of an image's path; a missing level repeats the one below.

    One folder is all three. Of two, the first is the category, the second the SKU and its own family.

    Raises:
      Fault: the image lies in no folder or too deep.
    """
    folders = [label(name) for name in posixpath.dirname(path).split("/") if name]
    if not folders:
        raise Fault("lies in no folder, so has no label; expected category/family/sku/image")
    if len(folders) > LEVELS:
        raise Fault(f"lies {len(folders)} folders deep, expected at most {LEVELS}: category/family/sku")
    middle = folders[1] if len(folders) > 1 else folders[0]  # of two folders the second is the SKU, and so the family
    return folders[0], middle, folders[-1]


def folders(root: str) -> list[tuple[str, str, str]]:
    """Returns (category, family, SKU) of every folder that holds an image, sorted: enough for a catalogue.

    Raises:
      DataError: the root is no folder.
    """
    require_folder(root)
    found = set()
    for path in walk(root, IMAGE_SUFFIXES):
        try:
            found.add(levels(path if isinstance(path, str) else path.path))
        except Fault:
            continue  # `find` names it
    return sorted(found)
