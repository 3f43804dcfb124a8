"""Items of the formats whose list tells everything but the pixels: the photo itself is the payload."""

from collections.abc import Iterator

import msgspec

from tfx_retail.config import DataConfig
from tfx_retail.ingest.paths import read_bytes
from tfx_retail.ingest.record import Fault, Item, Photo, Rejection


def item(photo: Photo) -> Item:
    """Returns the item of a photo without its image: a worker needs neither the list again nor memory for it."""
    return Item(path=photo.photo_id, payload=msgspec.json.encode(photo).decode(), split=photo.split)


def read(root: str, item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:  # noqa: ARG001 - the reader's contract
    """Yields the item's photo with its image."""
    photo = msgspec.json.decode(item.payload, type=Photo)
    try:
        image = read_bytes(root, item.path)
    except Fault as fault:
        yield Rejection(item.path, str(fault))
        return
    yield msgspec.structs.replace(photo, image=image, split=item.split)
