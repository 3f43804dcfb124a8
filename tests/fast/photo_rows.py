"""Rows of photos, made by hand."""

import hashlib

from tfx_retail.config import Role
from tfx_retail.ingest.rows import PhotoRow

ONE_COLOR = bytes([255, *[0] * 63])
HALF_AND_HALF = bytes([128, 127, *[0] * 62])


def row(
    photo_id: str,
    *skus: str,
    split: Role | None = None,
    store: str = "",
    taken_at: str = "",
    group: str = "",
    hash: int | None = None,  # noqa: A002 - the row's own name for it
    colors: bytes = ONE_COLOR,
    digest: str = "",
    crops: tuple[str, ...] = (),
    alike: tuple[int, ...] = (),
    of_catalog: bool = False,
) -> PhotoRow:
    """Returns a photo of which nothing is like another one but what is given."""
    skus = skus or ("cola",)
    return PhotoRow(
        photo_id=photo_id,
        source_file=photo_id,
        split=split,
        store=store,
        taken_at=taken_at,
        group=group,
        hash=unlike(photo_id) if hash is None else hash,
        colors=colors,
        digest=digest or photo_id,
        crop_ids=tuple(f"{photo_id}#{number}" for number in range(1, len(skus) + 1)),
        skus=skus,
        crop_digests=crops or tuple(f"{photo_id}#{number}" for number in range(1, len(skus) + 1)),
        crop_hashes=alike or tuple(unlike(f"{photo_id}#{number}") for number in range(1, len(skus) + 1)),
        of_catalog=of_catalog,
    )


def unlike(name: str) -> int:
    """Returns 64 bits that look random: two of them differ in some 32."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
