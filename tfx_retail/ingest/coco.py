"""COCO JSON: one file with images, annotations and categories; a category's name is the label.

Boxes are [x, y, width, height] with fractions, rounded outward. What has no box of its own, as run-length masks of crowds, is refused.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from tfx_retail.config import DataConfig
from tfx_retail.ingest import listed, lists
from tfx_retail.ingest.boxes import outward
from tfx_retail.ingest.paths import Absent, clean, locate, read_bytes, require_folder
from tfx_retail.ingest.record import Annotation, Box, DataError, Fault, Item, Photo, Rejection
from tfx_retail.ingest.text import flag, label, number

IMAGE_FOLDERS = ("", "images")  # below the root
Entry = dict[str, Any]

read = listed.read


def find(root: str, settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields one item for each image of the file, in its order.

    Raises:
      DataError: the root is no folder, the file is no COCO, it lists no image, or two images or categories share an id.
    """
    require_folder(root)
    file = settings.coco_file
    tree = _load(root, file)
    images, categories = _by_id(tree, "images", f"{root}/{file}"), _by_id(tree, "categories", f"{root}/{file}")
    marks: dict[Any, _Marks] = {key: _Marks([], []) for key in images}
    yield from _mark(tree["annotations"], categories, marks, file)
    found: dict[str, Item] = {}
    for key, entry in images.items():
        try:
            photo = _photo(root, file, entry, marks[key])
            if photo.photo_id in found:
                raise Fault(f"its file {photo.photo_id!r} is another image's too; keep one of them")
            found[photo.photo_id] = listed.item(photo)
        except Fault as fault:
            yield Rejection(f"{file}: image {key}", str(fault))
    yield from lists.assign(root, found.items(), settings)


class _Marks(Struct):
    """What the file says of one image."""

    annotations: list[Annotation]
    faults: list[Rejection]


def _mark(entries: list[Entry], categories: dict[Any, Entry], marks: dict[Any, _Marks], file: str) -> Iterator[Rejection]:
    """Puts each annotation, or its fault, to its image; yields those of no image."""
    seen: set[Any] = set()
    for count, entry in enumerate(entries, 1):
        part = f"annotation {entry.get('id', f'number {count}')}"
        image = entry.get("image_id")
        if not isinstance(image, int | str) or image not in marks:
            yield Rejection(f"{file}: {part}", f"its image_id {image!r} is no image's", "box")
            continue
        try:
            marks[image].annotations.append(_annotation(entry, categories, seen, part))
        except Fault as fault:
            marks[image].faults.append(Rejection(f"{file}: {part}", str(fault), "box"))


def _load(root: str, file: str) -> Entry:
    cure = "correct data.coco_file or the file"
    try:
        tree = msgspec.json.decode(read_bytes(root, file).removeprefix(b"\xef\xbb\xbf"))
    except Fault as fault:
        raise DataError(f"{root}: {fault}; {cure}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{root}/{file}: is not JSON: {error}; {cure}") from None
    for key in ("images", "annotations", "categories"):
        entries = tree.get(key) if isinstance(tree, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{root}/{file}: is no COCO: it has no list of objects `{key}`; {cure}")
    if not tree["images"]:
        raise DataError(f"{root}/{file}: lists no image; {cure}")
    return tree


def _by_id(tree: Entry, key: str, where: str) -> dict[Any, Entry]:
    """Returns the entries by their ids. Two under one id end the reading: which one an annotation means cannot be told."""
    entries: dict[Any, Entry] = {}
    for count, entry in enumerate(tree[key], 1):
        name = entry.get("id")
        if not isinstance(name, int | str):
            raise DataError(f"{where}: number {count} of `{key}` has the id {name!r}, expected a number or a text; correct the file")
        if name in entries:
            raise DataError(f"{where}: two of `{key}` have the id {name!r}; give each its own")
        entries[name] = entry
    return entries


def _annotation(entry: Entry, categories: dict[Any, Entry], seen: set[Any], part: str) -> Annotation:
    name = entry.get("id")
    if isinstance(name, int | str):
        if name in seen:
            raise Fault(f"its id {name!r} is another annotation's too")
        seen.add(name)
    key = entry.get("category_id")
    if not isinstance(key, int | str) or key not in categories:
        raise Fault(f"its category_id {key!r} is no category's")
    if entry.get("iscrowd"):
        raise Fault("iscrowd: a crowd is not one product")
    said = entry.get("attributes")
    attributes: Entry = said if isinstance(said, dict) else {}  # CVAT writes such

    def is_set(flag_name: str) -> bool:
        return flag(str(attributes.get(flag_name, entry.get(flag_name, ""))), flag_name)

    return Annotation(
        label=label(str(categories[key].get("name") or key)),
        box=_box(entry),
        face=str(attributes.get("face", "")),
        truncated=is_set("truncated"),
        occluded=is_set("occluded"),
        difficult=is_set("difficult"),
        part=part,
    )


def _box(entry: Entry) -> Box:
    edges = entry.get("bbox")
    if edges is None and isinstance(entry.get("segmentation"), dict):
        raise Fault("a run-length mask without bbox; add the box")
    if not isinstance(edges, list) or len(edges) != 4 or any(isinstance(edge, bool) or not isinstance(edge, int | float) for edge in edges):
        raise Fault(f"its bbox is {edges!r}, expected [x, y, width, height]")
    left, top, width, height = (number(str(edge), "bbox") for edge in edges)
    return outward(left, top, left + width, top + height)


def _photo(root: str, file: str, entry: Entry, marks: _Marks) -> Photo:
    name, width, height = entry.get("file_name"), entry.get("width"), entry.get("height")
    if not isinstance(name, str):
        raise Fault(f"its file_name is {name!r}, expected a path")
    size = (width, height) if isinstance(width, int) and isinstance(height, int) and width and height else None
    path = _locate(root, name)
    return Photo(
        photo_id=path,
        image=b"",
        annotations=tuple(marks.annotations),
        source_file=file,
        declared_size=size,
        faults=tuple(marks.faults),
    )


def _locate(root: str, name: str) -> str:
    path = clean(name)
    for folder in IMAGE_FOLDERS:
        try:
            return locate(root, f"{folder}/{path}" if folder else path)
        except Absent:
            continue
    raise Absent(f"its file {name!r} is not there; looked in the data's folder and in images/")
