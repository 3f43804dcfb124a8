"""A digest of the files that a data set consists of, by path, size and time: what the cache looks at before anything is read."""

import hashlib
import os

from tfx_retail.catalog import Catalog
from tfx_retail.config import DataConfig
from tfx_retail.ingest import packshots
from tfx_retail.ingest.paths import IMAGE_SUFFIXES, require_folder, walk
from tfx_retail.ingest.readers import reader
from tfx_retail.ingest.record import DataError, Item, Rejection


def data_digest(settings: DataConfig, products: Catalog | None = None) -> str:
    """Returns 16 hex digits over every file that the readers name, and what they were told of it.

    Args:
      products: the catalogue, where its reference images are data too (`data.packshots`).

    A file that is written anew with the same size within the clock's resolution goes unseen; reading 20 GB to be sure would not.

    Raises:
      DataError: the data cannot be listed.
    """
    total = hashlib.sha256()
    for found in reader(settings.format).find(settings.path, settings):
        if isinstance(found, Rejection):
            total.update(f"rejected {found.path} {found.reason}\n".encode())
        else:
            _add(total, settings.path, found)
    for shot in packshots.find(products, settings) if products else ():
        if isinstance(shot, Item):  # one that is not there is in the catalogue, which is an input of its own
            _add(total, packshots.folder(settings), shot)
    if settings.photo_facts:
        total.update(_stamp(settings.path, settings.photo_facts).encode())
    return total.hexdigest()[:16]


def folder_digest(root: str) -> str:
    """Returns 16 hex digits over the images of a folder, however nested.

    Raises:
      DataError: there is no such folder, or no image in it.
    """
    require_folder(root)
    files = [path for path in walk(root, IMAGE_SUFFIXES) if not isinstance(path, Rejection)]
    if not files:
        raise DataError(f"{root}: holds no image, expected crops, one facing each; correct pretrain.path in the configuration")
    return hashlib.sha256("".join(_stamp(root, file) for file in files).encode()).hexdigest()[:16]


def newest_change(settings: DataConfig) -> float:
    """Returns when the newest file that the readers name was written, in seconds since 1970; 0 where there is none.

    Raises:
      DataError: the data cannot be listed.
    """
    items = (found for found in reader(settings.format).find(settings.path, settings) if not isinstance(found, Rejection))
    times = (_changed(settings.path, file) for item in items for file in (item.path, *item.files))
    return max(times, default=0.0)


def _changed(root: str, file: str) -> float:
    try:
        return os.stat(os.path.join(root, file)).st_mtime
    except OSError:
        return 0.0


def _add(total: "hashlib._Hash", root: str, item: Item) -> None:
    total.update(f"{item.path} {item.split} {item.payload}\n".encode())
    for file in (item.path, *item.files):
        total.update(_stamp(root, file).encode())


def _stamp(root: str, file: str) -> str:
    try:
        state = os.stat(os.path.join(root, file))
    except OSError:
        return f"{file} missing\n"  # its reader will say so
    return f"{file} {state.st_size} {state.st_mtime_ns}\n"
