"""TFRecords of tf.Example: a photo's bytes, its label or its boxes, and any of the names in `features`.

Two ways of naming are known: ours (`image_bytes`, `sku`) and that of TensorFlow's object detection (`image/encoded`,
`image/class/text`, `image/object/bbox/*`, the edges as shares of the stored image).
"""

import os
from collections.abc import Iterator
from typing import Any, get_args

import tensorflow as tf

from tfx_retail import features
from tfx_retail.config import DataConfig
from tfx_retail.ingest import text
from tfx_retail.ingest.boxes import outward
from tfx_retail.ingest.decode import stored_size
from tfx_retail.ingest.paths import locate, require_folder, walk
from tfx_retail.ingest.record import Annotation, DataError, Fault, Item, Photo, Rejection, Source

NAMES = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")  # besides shards, `x.tfrecord-00000-of-00005`
IMAGE = (features.IMAGE.name, "image/encoded")
LABEL = (features.SKU.name, "label", "image/class/text", "image/class/label")
OBJECT_LABEL = ("image/object/class/text", "image/object/class/label")
EDGES = tuple(f"image/object/bbox/{edge}" for edge in ("xmin", "ymin", "xmax", "ymax"))
MM_PER_PX = "mm_per_px"
Values = dict[str, list[Any]]  # of one example: every feature's values


def find(root: str, settings: DataConfig) -> Iterator[Item | Rejection]:  # noqa: ARG001 - the reader's contract
    """Yields one item for each file.

    Raises:
      DataError: the root is no folder or holds no TFRecord.
    """
    require_folder(root)
    nothing = True
    for path in walk(root, ("",)):
        name = os.path.basename(path.path if isinstance(path, Rejection) else path).lower()
        if name.endswith(NAMES) or "tfrecord-" in name:
            nothing = False
            yield path if isinstance(path, Rejection) else Item(path=path)
    if nothing:
        raise DataError(f"{root}: found no TFRecord, expected *.tfrecord or *.tfrecord-00000-of-00001; correct data.path or data.format")


def read(root: str, item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:  # noqa: ARG001 - the reader's contract
    """Yields a photo for each record. Where the file itself is damaged, one rejection stands for the rest of it."""
    count = 0
    try:
        for count, serialized in enumerate(_records(os.path.join(root, locate(root, item.path))), 1):
            name = f"{item.path}#{count}"
            try:
                yield _photo(name, item, _values(serialized))
            except Fault as fault:
                yield Rejection(name, str(fault))
    except (Fault, tf.errors.OpError) as error:
        reason = getattr(error, "message", str(error))
        yield Rejection(f"{item.path}#{count + 1}", f"the file is damaged here, this record and the rest of the file are lost: {reason}")


def _records(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    for record in tf.data.TFRecordDataset(path, compression_type="GZIP" if packed else ""):
        yield record.numpy()


def _values(serialized: bytes) -> Values:
    try:
        example = tf.train.Example.FromString(serialized)
    except Exception as error:  # noqa: BLE001 - protobuf's DecodeError differs between its implementations
        raise Fault(f"is no tf.Example: {error}") from None
    named = example.features.feature.items()
    return {name: list(getattr(feature, feature.WhichOneof("kind") or "bytes_list").value) for name, feature in named}


def _photo(name: str, item: Item, values: Values) -> Photo:
    image = next((values[key][0] for key in IMAGE if values.get(key)), None)
    if not isinstance(image, bytes):
        raise Fault(f"has no image; expected the feature {' or '.join(IMAGE)}, found {', '.join(sorted(values)) or 'none'}")
    boxed = [key for key in EDGES if key in values]
    annotations, faults = _boxed(name, image, values) if boxed else ([_whole(values)], [])
    return Photo(
        photo_id=name,
        image=image,
        annotations=tuple(annotations),
        source_file=item.path,
        declared_size=_size(values),
        mm_per_px=text.scale(_text(values, MM_PER_PX), MM_PER_PX),
        store=_text(values, features.STORE.name),
        taken_at=text.moment(_text(values, features.TAKEN_AT.name), features.TAKEN_AT.name),
        # several records may be crops of one photo: then they are one scene
        group=_text(values, features.GROUP.name) or _text(values, features.PHOTO_ID.name),
        source=_source(_text(values, features.SOURCE.name)),
        annotator=_text(values, features.ANNOTATOR.name),
        split=item.split,
        faults=tuple(faults),
    )


def _whole(values: Values) -> Annotation:
    said = next((_text(values, key) for key in LABEL if _text(values, key)), "")
    if not said:
        raise Fault(f"has no label; expected one of the features {', '.join(LABEL)}, found {', '.join(sorted(values))}")
    return Annotation(label=text.label(said), **_marks(values, "", 0))


def _boxed(name: str, image: bytes, values: Values) -> tuple[list[Annotation], list[Rejection]]:
    labels = next((values[key] for key in OBJECT_LABEL if values.get(key)), [])
    edges = [values.get(key, []) for key in EDGES]
    counts = {len(labels), *map(len, edges)}
    if len(counts) > 1:
        raise Fault(f"has {len(labels)} object labels and {', '.join(str(len(edge)) for edge in edges)} edges (xmin, ymin, xmax, ymax)")
    width, height = _size(values) or stored_size(image)
    annotations, faults = [], []
    for number, (said, left, top, right, bottom) in enumerate(zip(labels, *edges, strict=True), 1):
        try:
            shares = [text.number(str(edge), key) for edge, key in zip((left, top, right, bottom), EDGES, strict=True)]
            box = outward(shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height)
            part = f"record {name.rpartition('#')[2]}, object {number}"
            marks = _marks(values, "image/object/", number - 1)
            annotations.append(Annotation(label=text.label(_decoded(said)), box=box, part=part, **marks))
        except Fault as fault:
            faults.append(Rejection(f"{name}: object {number}", str(fault), "box"))
    return annotations, faults


def _marks(values: Values, prefix: str, index: int) -> dict[str, Any]:
    """Returns face and flags of one object, as far as the example has them."""

    def said(feature: features.Feature) -> str:
        return _text(values, prefix + feature.name, index)

    flags = (features.TRUNCATED, features.OCCLUDED, features.DIFFICULT)
    return {"face": said(features.FACE), **{flag.name: text.flag(said(flag), flag.name) for flag in flags}}


def _size(values: Values) -> tuple[int, int] | None:
    size = _text(values, "image/width"), _text(values, "image/height")
    return (int(text.number(size[0], "image/width")), int(text.number(size[1], "image/height"))) if all(size) else None


def _source(said: str) -> Any:
    if said and said not in get_args(Source):
        raise Fault(f"source is {said!r}, expected one of {', '.join(get_args(Source))}, or nothing")
    return said or "shelf"


def _text(values: Values, key: str, index: int = 0) -> str:
    found = values.get(key, [])
    return _decoded(found[index]) if index < len(found) else ""


def _decoded(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Fault(f"the text {value!r} is not UTF-8") from None
