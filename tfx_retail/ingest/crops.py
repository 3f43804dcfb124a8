"""Some photos, decoded: the examples of their crops, and rows with all that is needed once the pixels are gone."""

from collections.abc import Sequence

from msgspec import Struct

from tfx_retail.ingest.examples import encode
from tfx_retail.ingest.reading import PhotoResult, Sources, result
from tfx_retail.ingest.record import Photo, Record, Rejection
from tfx_retail.ingest.rows import PhotoRow, ShardRows, digest_word, hash_words


class Crops(Struct, frozen=True):
    """What some photos came to."""

    rows: ShardRows
    examples: list[tuple[str, bytes]]  # (crop id, serialized tf.Example), in the order of the photos and their boxes


def read(photos: Sequence[Photo | Rejection], known: Sources) -> Crops:
    """Decodes photos one after another."""
    rows = ShardRows()
    examples = []
    for photo in photos:
        found = result(photo, known)
        _count(found, rows)
        examples += [(record.crop_id, encode(record, known.products.by_sku[record.label])) for record in found.records]
    return Crops(rows, examples)


def _count(found: PhotoResult, rows: ShardRows) -> None:
    rows.photo_tally.add(found.photo_tally)
    rows.box_tally.add(found.box_tally)
    rows.rejected.extend(found.rejected)
    rows.set_aside.extend(found.set_aside)
    rows.clipped += sum(record.clipped for record in found.records)
    if found.records:
        rows.photos.append(_row(found.records, of_catalog=found.of_catalog))


def _row(records: list[Record], *, of_catalog: bool) -> PhotoRow:
    photo = records[0]
    return PhotoRow(
        photo_id=photo.photo_id,
        source_file=photo.source_file,
        split=photo.split,
        store=photo.store,
        taken_at=photo.taken_at,
        group=photo.group,
        hash=photo.photo_hash,
        colors=photo.photo_colors,
        digest=digest_word(photo.photo_digest),
        numbers=tuple(record.number for record in records),
        skus=tuple(record.label for record in records),
        crop_digests=b"".join(digest_word(record.crop_digest) for record in records),
        crop_hashes=hash_words(record.perceptual_hash for record in records),
        of_catalog=of_catalog,
    )
