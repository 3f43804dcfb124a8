"""Roles given by lists: one text file for each role, a photo's path or id per line."""

import posixpath
import unicodedata
from collections.abc import Iterable, Iterator

import msgspec

from tfx_retail.config import DataConfig
from tfx_retail.ingest.record import DataError, Item, Rejection
from tfx_retail.ingest.text import read_text


def assign(root: str, found: Iterable[tuple[str, Item]], settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields the items with the roles that `data.lists` gives their photos; without lists, the items as they are.

    A photo that two lists name is yielded once for each, so that the check for leakage sees it. One that no list names keeps
    no role. An entry that names no photo is a rejection.

    Args:
      found: (path of the photo below the root, its item).

    Raises:
      DataError: a list cannot be read, or an entry fits several photos.
    """
    if not settings.lists:
        yield from (item for _, item in found)
        return
    photos = dict(found)
    index = _Index(photos)
    listed = set()
    for role, path in settings.lists.items():
        for line, entry in _entries(root, path, f"data.lists.{role}"):
            photo = index.photo(entry, f"{path}: line {line}")
            if photo is None:
                yield Rejection(f"{path}: line {line}", f"names {entry!r}, which is no photo of the data")
            elif (photo, role) not in listed:
                listed.add((photo, role))
                yield msgspec.structs.replace(photos[photo], split=role)
    named = {photo for photo, _ in listed}
    yield from (item for photo, item in photos.items() if photo not in named)


class _Index:
    """Photos by their path, with and without suffix, and by their file name, with and without suffix."""

    def __init__(self, photos: Iterable[str]) -> None:
        self._by_path: dict[str, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        for photo in photos:
            path = unicodedata.normalize("NFC", photo)
            name = posixpath.basename(path)
            for index, key in ((self._by_path, path), (self._by_name, name)):
                for text in (key, posixpath.splitext(key)[0]):
                    index.setdefault(text, []).append(photo)

    def photo(self, entry: str, where: str) -> str | None:
        key = posixpath.normpath(unicodedata.normalize("NFC", entry))
        fitting = self._by_path.get(key) or self._by_name.get(key) or []
        if len(fitting) > 1:
            raise DataError(f"{where}: {entry!r} fits {len(fitting)} photos, {fitting[0]} and {fitting[1]} among them; give the whole path")
        return fitting[0] if fitting else None


def _entries(root: str, path: str, key: str) -> Iterator[tuple[int, str]]:
    """Yields (line number, first comma-separated field) of each line that is not blank."""
    for number, line in enumerate(read_text(root, path, key).splitlines(), 1):
        entry = line.split(",")[0].strip()
        if entry:
            yield number, entry
