"""Pascal VOC as labelImg writes it: `Annotations/*.xml` and `JPEGImages/`, or each XML beside its image.

Edges are half-open. With `data.voc_origin: 0` they are labelImg's, 0-based: [xmin, xmax). With 1 they are the original PASCAL's,
1-based with the last pixel inside: xmin and ymin lose 1, xmax and ymax stay. Fractions are rounded outward.
"""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError  # names only: defusedxml parses

from defusedxml import DefusedXmlException, EntitiesForbidden
from defusedxml.ElementTree import fromstring

from tfx_retail.config import DataConfig
from tfx_retail.ingest import lists
from tfx_retail.ingest.boxes import outward
from tfx_retail.ingest.paths import IMAGE_SUFFIXES, Absent, clean, locate, read_bytes, require_folder, walk
from tfx_retail.ingest.record import Annotation, Box, DataError, Fault, Item, Photo, Rejection
from tfx_retail.ingest.text import flag, label, number

IMAGE_FOLDERS = ("JPEGImages", "images")  # beside `Annotations`


def find(root: str, settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields one item for each XML, then one for each photo without any in the folders of the others.

    Raises:
      DataError: the root is no folder or holds no XML.
    """
    require_folder(root)
    paths = list(walk(root, (".xml", *IMAGE_SUFFIXES)))
    xmls = [path for path in paths if isinstance(path, str) and path.lower().endswith(".xml")]
    if not xmls:
        raise DataError(f"{root}: found no .xml, expected Annotations/*.xml; correct data.path or data.format")
    yield from (path for path in paths if isinstance(path, Rejection))
    annotated: dict[str, str] = {}  # image -> its XML
    found: list[tuple[str, Item]] = []
    for xml in xmls:
        image = _image_of(root, xml)
        if image in annotated:
            yield Rejection(xml, f"annotates {image}, as {annotated[image]} does; keep one of them")
            continue
        if image:
            annotated[image] = xml
        found.append((image or xml, Item(path=xml, files=(image,) if image else ())))
    photos = [path for path in paths if isinstance(path, str) and path.lower().endswith(IMAGE_SUFFIXES)]
    folders = {posixpath.dirname(image) for image in annotated}
    found += [(path, Item(path=path)) for path in photos if path not in annotated and posixpath.dirname(path) in folders]
    yield from lists.assign(root, found, settings)


def read(root: str, item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:
    """Yields the photo; a photo without XML, or whose XML has no object, has no annotation."""
    try:
        if item.path.lower().endswith(".xml"):
            yield _photo(root, item, settings)
        else:
            image = read_bytes(root, item.path)
            yield Photo(photo_id=item.path, image=image, annotations=(), source_file=item.path, split=item.split)
    except Fault as fault:
        yield Rejection(item.path, str(fault))


def annotations(xml: Path, origin: int) -> tuple[Annotation, ...]:
    """Returns the boxes of one annotation file, whatever image it names.

    Raises:
      DataError: the file or one of its objects cannot be read.
    """
    try:
        objects = _parse(xml.read_bytes()).findall("object")
        return tuple(_annotation(element, origin, f"object {count}") for count, element in enumerate(objects, 1))
    except (Fault, OSError) as fault:
        raise DataError(f"{xml}: {fault}") from None


def _photo(root: str, item: Item, settings: DataConfig) -> Photo:
    tree = _parse(read_bytes(root, item.path))
    path = _image(root, item.path, _text(tree, "filename"))
    image = read_bytes(root, path)
    annotations, faults = [], []
    for count, element in enumerate(tree.findall("object"), 1):
        try:
            annotations.append(_annotation(element, settings.voc_origin, f"object {count}"))
        except Fault as fault:
            faults.append(Rejection(f"{item.path}: object {count}", str(fault), "box"))
    return Photo(
        photo_id=path,
        image=image,
        annotations=tuple(annotations),
        source_file=item.path,
        declared_size=_size(tree),
        split=item.split,
        faults=tuple(faults),
    )


def _parse(data: bytes) -> Element:
    try:
        tree: Element = fromstring(data)
    except EntitiesForbidden as error:
        kind = "an external entity" if error.sysid or error.pubid else "an entity"
        raise Fault(f"declares {kind} ({error.name!r}): refused, as entities can fill the memory or read other files") from None
    except DefusedXmlException as error:
        raise Fault(f"is refused: {error}; annotations need no such XML") from None
    except (ParseError, ValueError, LookupError) as error:  # ValueError, LookupError: its encoding
        raise Fault(f"is not XML: {error}") from None
    if tree.tag != "annotation":
        raise Fault(f"is no Pascal VOC: its root is <{tree.tag}>, expected <annotation>")
    return tree


def _annotation(element: Element, origin: int, part: str) -> Annotation:
    face = element.findtext("face") or element.findtext("pose") or ""
    return Annotation(
        label=label(_text(element, "name")),
        box=_box(element, origin),
        face="" if face.strip() == "Unspecified" else face.strip(),
        truncated=flag(element.findtext("truncated") or "", "<truncated>"),
        occluded=flag(element.findtext("occluded") or "", "<occluded>"),
        difficult=flag(element.findtext("difficult") or "", "<difficult>"),
        part=part,
    )


def _box(element: Element, origin: int) -> Box:
    corners = element.find("bndbox")
    if corners is None:
        raise Fault("no <bndbox>")
    left, top, right, bottom = (number(_text(corners, tag), f"<{tag}>") for tag in ("xmin", "ymin", "xmax", "ymax"))
    return outward(left - origin, top - origin, right, bottom)


def _size(tree: Element) -> tuple[int, int] | None:
    """Returns the declared (width, height); None where there is none, or the zeros of tools that did not know it."""
    size = tree.find("size")
    if size is None:
        return None
    width, height = (number(_text(size, tag), f"<{tag}>") for tag in ("width", "height"))
    return (int(width), int(height)) if (width, height) != (0, 0) else None


def _text(element: Element, tag: str) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise Fault(f"no <{tag}>" if element.find(tag) is None else f"<{tag}> is empty")
    return text


def _image(root: str, xml: str, filename: str) -> str:
    """Returns the path of the image that an XML names.

    Raises:
      Fault: it leads out of the root, or is not there.
    """
    folders = _image_folders(xml)
    for folder in folders:
        for name in _spellings(clean(filename)):
            try:
                return locate(root, posixpath.join(folder, name))
            except Absent:
                continue
    raise Fault(f"its image {filename!r} is not there; looked in {', '.join(folder or 'the root' for folder in folders)}")


def _spellings(name: str) -> list[str]:
    """Returns the file names that may be meant: the suffix may be left out, or in the other case."""
    stem, suffix = posixpath.splitext(name)
    if suffix.lower() in IMAGE_SUFFIXES:
        return [name, stem + suffix.lower(), stem + suffix.upper()]
    return [name, *(name + suffix for suffix in IMAGE_SUFFIXES), *(name + suffix.upper() for suffix in IMAGE_SUFFIXES)]


def _image_folders(xml: str) -> list[str]:
    """Returns where the image of an XML may lie: for `set/Annotations/a/x.xml` in `set/JPEGImages/a`, `set/JPEGImages`, beside it."""
    folder = posixpath.dirname(xml)
    parts = folder.split("/")
    for place, part in enumerate(parts):
        if part.lower() == "annotations":
            beside = ["/".join([*parts[:place], name]) for name in IMAGE_FOLDERS]
            below = parts[place + 1 :]
            nested = ["/".join([base, *below]) for base in beside] if below else []
            return [*nested, *beside, folder]
    return [folder]


def _image_of(root: str, xml: str) -> str | None:
    """Returns the image behind an XML; for an XML that cannot be used, the image of its name, so that it counts once."""
    try:
        return _image(root, xml, _text(_parse(read_bytes(root, xml)), "filename"))
    except Fault:
        pass
    try:
        return _image(root, xml, posixpath.splitext(posixpath.basename(xml))[0])
    except Fault:
        return None
