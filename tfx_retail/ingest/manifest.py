"""CSV manifests: one row for each photo or box, `path` and `label`, and whatever else is known.

Edges `left, top, right, bottom` are pixels of the upright photo, 0-based and half-open; `xmin, ymin, xmax, ymax` are other names for them.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any, Literal, get_args

from msgspec import Struct

from tfx_retail.config import DataConfig, Manifest
from tfx_retail.features import ROLES
from tfx_retail.ingest import listed, text
from tfx_retail.ingest.boxes import outward
from tfx_retail.ingest.paths import clean, locate, require_folder
from tfx_retail.ingest.record import Annotation, Box, DataError, Fault, Item, Photo, Rejection, Source

REQUIRED = ("path", "label")
EDGES = ("left", "top", "right", "bottom")
OTHER_NAMES = dict(zip(("xmin", "ymin", "xmax", "ymax"), EDGES, strict=True))
FACTS = ("store", "taken_at", "group", "mm_per_px", "source")  # of the photo: all its rows have to agree
DELIMITERS = ",;\t"

read = listed.read


class Row(Struct, frozen=True):
    """One line of a manifest, its cells stripped and by column."""

    file: str
    line: int
    cells: dict[str, str]


def find(root: str, settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields one item for each photo and role, sorted by path; a photo that is listed under two roles is there twice.

    Raises:
      DataError: the root is no folder; a manifest cannot be read, lacks columns or has no row.
    """
    require_folder(root)
    photos: dict[tuple[str, str], list[Row]] = {}
    for manifest in settings.manifests:
        for row in _rows(root, manifest):
            if isinstance(row, Rejection):
                yield row
                continue
            try:
                key = clean(row.cells["path"]), _role(row, manifest)
            except Fault as fault:
                yield Rejection(f"{row.file}: line {row.line}", str(fault))
            else:
                photos.setdefault(key, []).append(row)
    for (path, role), rows in sorted(photos.items()):
        try:
            yield listed.item(_photo(locate(root, path), role, rows))
        except Fault as fault:
            yield Rejection(f"{rows[0].file}: line {rows[0].line}", str(fault))


def _rows(root: str, manifest: Manifest) -> Iterator[Row | Rejection]:
    where = f"{root}/{manifest.path}"
    lines = _lines(where, text.read_text(root, manifest.path, "data.manifests"))
    header = manifest.columns or next(lines, (0, []))[1]
    columns = _columns(header, where)
    empty = True
    for line, cells in lines:
        empty = False
        if len(cells) == len(columns):
            yield Row(manifest.path, line, dict(zip(columns, cells, strict=True)))
        else:
            kind: Literal["photo", "box"] = "box" if EDGES[0] in columns else "photo"
            yield Rejection(f"{manifest.path}: line {line}", f"has {len(cells)} cells, expected {len(columns)}: {', '.join(columns)}", kind)
    if empty:
        raise DataError(f"{where}: has no row of data; add rows or take it out of data.manifests")


def _lines(where: str, content: str) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, stripped cells) of each line that is not blank; the first one's commonest delimiter is the file's."""
    first = next((line for line in content.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in lines:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield lines.line_num, stripped
    except csv.Error as error:
        raise DataError(f"{where}: line {lines.line_num}: {error}; correct the quotes of the file") from None


def _columns(names: list[str] | tuple[str, ...], where: str) -> list[str]:
    """Returns the columns' names as they are used here: lower case, one name for each edge."""
    columns = [OTHER_NAMES.get(name.strip().lower(), name.strip().lower()) for name in names]
    cure = "correct the header, or name the columns in `columns` of data.manifests where there is none"
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        found = f"found {', '.join(columns)}" if columns else "the file is empty"
        raise DataError(f"{where}: no column {', '.join(missing)}: {found}; {cure}")
    twice = sorted({name for name in columns if name not in ("", "_") and columns.count(name) > 1})
    if twice:
        raise DataError(f"{where}: more than one column {', '.join(twice)}; {cure}")
    edges = [name for name in EDGES if name in columns]
    if edges and len(edges) < len(EDGES):
        raise DataError(f"{where}: found the box columns {', '.join(edges)}, expected all of {', '.join(EDGES)} or none; {cure}")
    return columns


def _role(row: Row, manifest: Manifest) -> str:
    """Returns the role that row or manifest gives; empty where neither does.

    Raises:
      Fault: they contradict each other, or there is no such role.
    """
    said = row.cells.get("split", "")
    if said and said not in ROLES:
        raise Fault(f"split is {said!r}, expected one of {', '.join(ROLES)}, or nothing")
    if said and manifest.split and said != manifest.split:
        raise Fault(f"split is {said!r}, but data.manifests gives {manifest.split!r} to the whole file")
    return said or manifest.split or ""


def _photo(path: str, role: str, rows: list[Row]) -> Photo:
    """Returns the photo of these rows, without its image.

    Raises:
      Fault: what is said of the photo as a whole contradicts itself or cannot be read.
    """
    file = rows[0].file
    annotations, faults = [], []
    for row in rows:
        part = f"line {row.line}" if row.file == file else f"line {row.line} of {row.file}"
        try:
            annotations.append(_annotation(row, part))
        except Fault as fault:
            faults.append(Rejection(f"{row.file}: line {row.line}", str(fault), "box"))
    facts = {name: _agreed(name, rows) for name in FACTS}
    return Photo(
        photo_id=path,
        image=b"",
        annotations=tuple(annotations),
        source_file=file,
        mm_per_px=text.scale(facts["mm_per_px"], "mm_per_px"),
        store=facts["store"],
        taken_at=text.moment(facts["taken_at"], "taken_at"),
        group=facts["group"],
        source=_source(facts["source"]),
        annotator=next((row.cells["annotator"] for row in rows if row.cells.get("annotator")), ""),
        split=role or None,  # type: ignore[arg-type]
        faults=tuple(faults),
    )


def _agreed(name: str, rows: list[Row]) -> str:
    said = sorted({row.cells.get(name, "") for row in rows} - {""})
    if len(said) > 1:
        raise Fault(f"{name} of one photo is both {said[0]!r} and {said[1]!r}")
    return said[0] if said else ""


def _source(said: str) -> Any:
    if said and said not in get_args(Source):
        raise Fault(f"source is {said!r}, expected one of {', '.join(get_args(Source))}, or nothing")
    return said or "shelf"


def _annotation(row: Row, part: str) -> Annotation:
    cells = row.cells
    return Annotation(
        label=text.label(cells["label"]),
        box=_box(cells),
        face=cells.get("face", ""),
        truncated=text.flag(cells.get("truncated", ""), "truncated"),
        occluded=text.flag(cells.get("occluded", ""), "occluded"),
        difficult=text.flag(cells.get("difficult", ""), "difficult"),
        part=part,
    )


def _box(cells: dict[str, str]) -> Box | None:
    """Returns the row's box; None, the whole photo, where all four edges are left empty."""
    edges = [cells.get(name, "") for name in EDGES]
    if not any(edges):
        return None
    left, top, right, bottom = (text.number(edge, name) for edge, name in zip(edges, EDGES, strict=True))
    return outward(left, top, right, bottom)
