"""What is known of photos beside their annotations: store, time, scene, scale, from one CSV below the data's root."""

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct, structs

from tfx_retail import table
from tfx_retail.config import DataConfig
from tfx_retail.ingest import text
from tfx_retail.ingest.paths import locate
from tfx_retail.ingest.record import DataError, Fault, Photo, Source

COLUMNS = ("photo", "store", "taken_at", "group", "mm_per_px", "source")


class Facts(Struct, frozen=True):
    """Facts by what the file calls the photo: its path below the root or its name, with or without suffix."""

    by_name: Mapping[str, Mapping[str, Any]]

    def name_of(self, photo_id: str) -> str | None:
        """Returns what the file calls a photo, None where it does not name it."""
        base = posixpath.basename(photo_id)
        names = (photo_id, posixpath.splitext(photo_id)[0], base, posixpath.splitext(base)[0])
        return next((name for name in names if name in self.by_name), None)

    def add_to(self, photo: Photo) -> Photo:
        """Returns the photo with its facts; what the file leaves empty stays as the reader found it."""
        name = self.name_of(photo.photo_id)
        return structs.replace(photo, **self.by_name[name]) if name else photo


def read_facts(settings: DataConfig) -> Facts:
    """Returns the facts of `data.photo_facts`, none where the configuration names no file.

    Raises:
      DataError: with every fault of the file.
    """
    if not settings.photo_facts:
        return Facts({})
    where = f"{settings.path}/{settings.photo_facts}"
    try:
        found = table.read(Path(settings.path, locate(settings.path, settings.photo_facts)), COLUMNS)
    except Fault as fault:
        raise DataError(f"{settings.path}: {fault}; correct data.photo_facts in the configuration") from None
    except table.TableError as error:
        raise DataError(str(error)) from None
    _check_columns(found.columns, where)
    by_name: dict[str, dict[str, Any]] = {}
    faults = []
    for row in found.rows:
        try:
            _add(by_name, row.cells)
        except Fault as fault:
            faults.append(f"{where}: row {row.line}: {fault}")
    if faults:
        raise DataError("\n".join(faults))
    return Facts(by_name)


def check_use(facts: Facts, photo_ids: Iterable[str]) -> list[str]:
    """Returns warnings about entries that name no photo.

    Raises:
      DataError: an entry names several photos.
    """
    used = Counter(facts.name_of(photo_id) for photo_id in photo_ids)
    several = [name for name, count in used.items() if name and count > 1]
    if several:
        raise DataError(f"data.photo_facts: {several[0]!r} names {used[several[0]]} photos; write their whole paths")
    idle = [name for name in facts.by_name if name not in used]
    return [f"data.photo_facts names {len(idle)} photos that are not used, {idle[0]!r} among them"] if idle else []


def _check_columns(columns: tuple[str, ...], where: str) -> None:
    unknown = [name for name in columns if name not in COLUMNS]
    if "photo" not in columns or unknown:
        found = f"found the columns {', '.join(columns)}"
        raise DataError(f"{where}: {found}, expected photo and any of {', '.join(COLUMNS[1:])}; correct the header")


def _add(by_name: dict[str, dict[str, Any]], cells: Mapping[str, str]) -> None:
    name = cells["photo"]
    if not name:
        raise Fault("photo is empty")
    if name in by_name:
        raise Fault(f"photo {name!r} is there twice; keep one row")
    by_name[name] = {key: value for key, value in _values(cells).items() if value}


def _values(cells: Mapping[str, str]) -> dict[str, Any]:
    source = cells.get("source", "")
    if source and source not in get_args(Source):
        raise Fault(f"source is {source!r}, expected one of {', '.join(get_args(Source))}, or nothing")
    return {
        "store": cells.get("store", ""),
        "taken_at": text.moment(cells.get("taken_at", ""), "taken_at"),
        "group": cells.get("group", ""),
        "mm_per_px": text.scale(cells.get("mm_per_px", ""), "mm_per_px"),
        "source": source,
    }
