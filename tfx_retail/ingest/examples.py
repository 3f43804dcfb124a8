"""Records as serialized tf.Examples, with the names in `features`."""

from typing import Any

import tensorflow as tf

from tfx_retail import features
from tfx_retail.features import Feature, Kind
from tfx_retail.ingest.record import Record
from tfx_retail.product import Product


def encode(record: Record, product: Product) -> bytes:
    """Returns the example of a crop, all features but `group`, which is known only when all photos have been seen.

    Optional features that are not known are absent. The same record gives the same bytes.
    """
    values: dict[Feature, Any] = {
        features.IMAGE: record.image,
        features.SKU: product.sku,
        features.LOOK: product.look,
        features.FAMILY: product.family,
        features.CATEGORY: product.category,
        features.BRAND: product.brand,
        features.CROP_ID: record.crop_id,
        features.PHOTO_ID: record.photo_id,
        features.STORE: record.store,
        features.TAKEN_AT: record.taken_at,
        features.FACE: record.face,
        features.SOURCE: record.source,
        features.ANNOTATOR: record.annotator,
        features.SOURCE_FILE: record.source_file,
        features.TRUNCATED: int(record.truncated),
        features.OCCLUDED: int(record.occluded),
        features.DIFFICULT: int(record.difficult),
        features.WIDTH_PX: record.box.width,
        features.HEIGHT_PX: record.box.height,
        features.SIZE_BYTES: len(record.image),
        features.BRIGHTNESS: record.brightness,
        features.CONTRAST: record.contrast,
        features.SHARPNESS: record.sharpness,
        features.PERCEPTUAL_HASH: f"{record.perceptual_hash:016x}",
        features.BOX_AREA_SHARE: record.box.area / (record.photo_size[0] * record.photo_size[1]),
        features.MEASURED_HEIGHT_MM: record.measured_height_mm,
        features.MEASURED_WIDTH_MM: record.measured_width_mm,
    }
    return _serialized(values)


def with_group(example: bytes, group: str) -> bytes:
    """Returns a serialized example with its scene added, without parsing the image in it.

    Serialized messages that are joined end to end are merged, their maps entry by entry.
    Source: https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    return example + _serialized({features.GROUP: group})


def _serialized(values: dict[Feature, Any]) -> bytes:
    example = tf.train.Example()
    entries = example.features.feature
    for feature, value in values.items():
        if value is not None and (value != "" or feature.required):
            _set(entries[feature.name], feature.kind, value)
    return bytes(example.SerializeToString(deterministic=True))


def _set(entry: Any, kind: Kind, value: Any) -> None:
    if kind is Kind.INT:
        entry.int64_list.value.append(value)
    elif kind is Kind.FLOAT:
        entry.float_list.value.append(value)
    else:
        entry.bytes_list.value.append(value.encode() if kind is Kind.TEXT else value)
