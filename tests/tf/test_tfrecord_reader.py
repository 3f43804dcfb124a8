import io
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image

from tfx_retail.config import DataConfig
from tfx_retail.ingest import images, readers
from tfx_retail.ingest.record import Annotation, Box, DataError, Item, Photo, Record, Rejection


def jpeg(width: int = 64, height: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG")
    return buffer.getvalue()


def example(**values: bytes | str | float | list[str] | list[float]) -> bytes:
    """Returns a serialized tf.Example; `__` stands for `/` in names."""
    features = tf.train.Features()
    for name, value in values.items():
        several = value if isinstance(value, list) else [value]
        feature = features.feature[name.replace("__", "/")]
        if isinstance(several[0], str | bytes):
            feature.bytes_list.value.extend([one.encode() if isinstance(one, str) else one for one in several])
        elif isinstance(several[0], int):
            feature.int64_list.value.extend(several)
        else:
            feature.float_list.value.extend(several)
    return tf.train.Example(features=features).SerializeToString()


def write(path: Path, *examples: bytes, compression: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for one in examples:
            writer.write(one)
    return path


def everything(root: Path) -> list[Photo | Rejection]:
    chosen = DataConfig(path=str(root), format="tfrecord")
    reader = readers.reader("tfrecord")
    results: list[Photo | Rejection] = []
    for item in reader.find(str(root), chosen):
        results += [item] if isinstance(item, Rejection) else reader.read(str(root), item, chosen)
    return results


def only(root: Path) -> Photo | Rejection:
    (result,) = everything(root)
    return result


def boxed(labels: list[str], xmin: list[float], **more: list[float]) -> bytes:
    def edges(share: float) -> list[float]:
        return [share] * len(xmin)

    sides: dict[str, list[float]] = {"ymin": edges(0.0), "xmax": edges(0.75), "ymax": edges(0.5)}
    named = {f"image__object__bbox__{side}": values for side, values in {"xmin": xmin, **sides}.items()}
    return example(image__encoded=jpeg(), image__object__class__text=labels, **named, **more)


def test_files_are_items_and_records_are_photos(tmp_path: Path) -> None:
    first, second = example(image_bytes=jpeg(), sku="可乐"), example(image_bytes=jpeg(), sku="soda")
    write(tmp_path / "b.tfrecord-00000-of-00001", first, second)
    write(tmp_path / "a/x.tfrecord.gz", first, compression="GZIP")
    (tmp_path / "notes.txt").touch()
    found = [result for result in everything(tmp_path) if isinstance(result, Photo)]
    assert [(photo.photo_id, photo.annotations[0].label) for photo in found] == [
        ("a/x.tfrecord.gz#1", "可乐"),
        ("b.tfrecord-00000-of-00001#1", "可乐"),
        ("b.tfrecord-00000-of-00001#2", "soda"),
    ]
    assert found[0].image == jpeg()


@pytest.mark.parametrize(
    ("labelled", "label"), [({"label": "cola"}, "cola"), ({"image__class__text": "cola"}, "cola"), ({"image__class__label": 7}, "7")]
)
def test_labels_have_several_names(tmp_path: Path, labelled: dict[str, str], label: str) -> None:
    write(tmp_path / "a.tfrecord", example(image__encoded=jpeg(), **labelled))
    photo = only(tmp_path)
    assert isinstance(photo, Photo) and photo.annotations == (Annotation(label),)


def test_facts_under_the_names_of_our_own_features_are_read(tmp_path: Path) -> None:
    facts: dict[str, str | float] = {
        "store": "s1",
        "taken_at": "2024-05-17",
        "photo_id": "shelf-1",
        "source": "packshot",
        "annotator": "k",
        "mm_per_px": 0.5,
    }
    write(tmp_path / "a.tfrecord", example(image_bytes=jpeg(), sku="cola", face="side", truncated=1, occluded=0, **facts))
    photo = only(tmp_path)
    assert isinstance(photo, Photo)
    assert (photo.store, photo.taken_at, photo.source, photo.annotator, photo.mm_per_px) == ("s1", "2024-05-17", "packshot", "k", 0.5)
    assert photo.group == "shelf-1"  # crops of one photo are one scene
    assert photo.annotations == (Annotation("cola", face="side", truncated=True),)


def test_boxes_are_shares_of_the_image(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", boxed(["cola", "soda"], [0.25, 0.9], image__object__truncated=[1, 0]))
    photo = only(tmp_path)
    assert isinstance(photo, Photo)
    first = Annotation("cola", Box(16, 0, 48, 24), truncated=True, part="record 1, object 1")
    assert photo.annotations[0] == first
    record, rejection = images.records(photo, DataConfig(path=str(tmp_path), format="tfrecord"))
    assert isinstance(record, Record) and record.box == first.box
    assert isinstance(rejection, Rejection)
    assert rejection.path == "a.tfrecord: record 1, object 2"
    assert "is inverted" in rejection.reason


def test_a_box_that_cannot_be_read_is_a_fault_of_its_photo(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", boxed(["cola", " ", "soda"], [0.25, 0.25, float("nan")]))
    photo = only(tmp_path)
    assert isinstance(photo, Photo)
    assert [one.label for one in photo.annotations] == ["cola"]
    assert photo.faults == (
        Rejection("a.tfrecord#1: object 2", "the label is empty", "box"),
        Rejection("a.tfrecord#1: object 3", "image/object/bbox/xmin is 'nan', expected a finite number", "box"),
    )


def test_bad_records_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    write(
        tmp_path / "a.tfrecord",
        b"no example",
        example(sku="cola"),
        example(image_bytes=jpeg()),
        example(image_bytes=jpeg(), sku=b"\xff"),
        boxed(["cola"], [0.25, 0.5]),
        example(image_bytes=jpeg(), sku="cola"),
    )
    *rejections, photo = everything(tmp_path)
    assert isinstance(photo, Photo) and photo.photo_id == "a.tfrecord#6"
    found = [(one.path, one.reason) for one in rejections if isinstance(one, Rejection)]
    assert [path for path, _ in found] == [f"a.tfrecord#{number}" for number in (1, 2, 3, 4, 5)]
    assert "is no tf.Example" in found[0][1]
    assert found[1][1] == "has no image; expected the feature image_bytes or image/encoded, found sku"
    assert "has no label; expected one of the features sku, label, image/class/text, image/class/label" in found[2][1]
    assert found[3][1] == "the text b'\\xff' is not UTF-8"
    assert found[4][1] == "has 1 object labels and 2, 2, 2, 2 edges (xmin, ymin, xmax, ymax)"


@pytest.mark.parametrize("damage", ["cut off", "flipped"])
def test_a_damaged_file_names_the_record_where_reading_ends(tmp_path: Path, damage: str) -> None:
    good = example(image_bytes=jpeg(), sku="cola")
    path = write(tmp_path / "a.tfrecord", good, good, good)
    data = bytearray(path.read_bytes())
    if damage == "cut off":
        path.write_bytes(data[: len(data) - 10])
    else:
        data[-100] ^= 0xFF
        path.write_bytes(data)
    *photos, rejection = everything(tmp_path)
    assert [photo.photo_id for photo in photos if isinstance(photo, Photo)] == ["a.tfrecord#1", "a.tfrecord#2"]
    assert isinstance(rejection, Rejection)
    assert rejection.path == "a.tfrecord#3"
    assert rejection.reason.startswith("the file is damaged here, this record and the rest of the file are lost: ")


def test_a_folder_without_tfrecords_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no TFRecord, expected"):
        everything(tmp_path)


def test_finding_does_not_open_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(b"anything")
    chosen = DataConfig(path=str(tmp_path), format="tfrecord")
    assert list(readers.reader("tfrecord").find(str(tmp_path), chosen)) == [Item("a.tfrecord")]
