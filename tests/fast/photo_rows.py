"""Rows of photos, made by hand."""

import hashlib

from tfx_retail.config import Role
from tfx_retail.ingest.rows import WORD, PhotoRow, hash_words

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
    numbers = tuple(range(1, len(skus) + 1))
    named = tuple(f"{photo_id}#{number}" for number in numbers)
    return PhotoRow(
        photo_id=photo_id,
        source_file=photo_id,
        split=split,
        store=store,
        taken_at=taken_at,
        group=group,
        hash=unlike(photo_id) if hash is None else hash,
        colors=colors,
        digest=word(digest or photo_id),
        numbers=numbers,
        skus=skus,
        crop_digests=b"".join(map(word, crops or named)),
        crop_hashes=hash_words(alike or map(unlike, named)),
        of_catalog=of_catalog,
    )


def unlike(name: str) -> int:
    """Returns 64 bits that look random: two of them differ in some 32."""
    return int.from_bytes(word(name), "big")


def word(name: str) -> bytes:
    """Returns what stands for the digest of a picture that is called so."""
    return hashlib.sha256(name.encode()).digest()[:WORD]
