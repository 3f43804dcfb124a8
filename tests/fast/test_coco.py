import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from tfx_retail.config import DataConfig
from tfx_retail.ingest import coco, images
from tfx_retail.ingest.record import Annotation, Box, DataError, Item, Photo, Record, Rejection

Entry = dict[str, Any]


def settings(root: Path, **options: object) -> DataConfig:
    return msgspec.structs.replace(DataConfig(path=str(root), format="coco"), **options)


def photograph(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), "white").save(root / path)


def image(number: int, name: str = "a.jpg", **more: object) -> Entry:
    return {"id": number, "file_name": name, "width": 64, "height": 48, **more}


def box(number: int, edges: object = (1, 2, 30, 40), **more: object) -> Entry:
    return {"id": number, "image_id": 1, "category_id": 5, "bbox": edges, "iscrowd": 0, **more}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photograph(tmp_path, "a.jpg")
    photograph(tmp_path, "images/b.jpg")
    return tmp_path


def write(root: Path, annotations: list[Entry], photos: list[Entry] | None = None, categories: list[Entry] | None = None) -> None:
    tree = {
        "images": [image(1)] if photos is None else photos,
        "annotations": annotations,
        "categories": [{"id": 5, "name": "cola"}] if categories is None else categories,
    }
    (root / "annotations.json").write_text(json.dumps(tree), encoding="utf-8")


def everything(root: Path, **options: object) -> list[Photo | Rejection]:
    results: list[Photo | Rejection] = []
    for item in coco.find(str(root), settings(root, **options)):
        results += [item] if isinstance(item, Rejection) else coco.read(str(root), item, settings(root, **options))
    return results


def only_photo(root: Path) -> Photo:
    (photo,) = everything(root)
    assert isinstance(photo, Photo), photo
    return photo


def test_boxes_labels_and_sizes_are_read(root: Path) -> None:
    write(root, [box(9)])
    photo = only_photo(root)
    assert photo.annotations == (Annotation("cola", Box(1, 2, 31, 42), part="annotation 9"),)
    assert (photo.photo_id, photo.source_file, photo.declared_size) == ("a.jpg", "annotations.json", (64, 48))
    assert photo.image == (root / "a.jpg").read_bytes()


def test_fractional_boxes_are_rounded_outward(root: Path) -> None:
    write(root, [box(1, [1.5, 2.25, 10.0, 8.5])])
    assert only_photo(root).annotations[0].box == Box(1, 2, 12, 11)


def test_images_lie_in_the_folder_or_below_images(root: Path) -> None:
    write(root, [], [image(2, "b.jpg"), image(1, "a.jpg")])
    assert [photo.photo_id for photo in everything(root) if isinstance(photo, Photo)] == ["images/b.jpg", "a.jpg"]


def test_ids_may_be_texts_and_a_category_without_name_is_its_id(root: Path) -> None:
    write(root, [box(1, image_id="x", category_id="sku-7")], [image(1) | {"id": "x"}], [{"id": "sku-7"}])
    assert only_photo(root).annotations[0].label == "sku-7"


def test_chinese_names_work(root: Path) -> None:
    photograph(root, "货架/一.jpg")
    write(root, [box(1)], [image(1, "货架/一.jpg")], [{"id": 5, "name": "可口可乐"}])
    photo = only_photo(root)
    assert (photo.photo_id, photo.annotations[0].label) == ("货架/一.jpg", "可口可乐")


def test_attributes_of_annotation_tools_are_read(root: Path) -> None:
    write(root, [box(1, attributes={"occluded": True, "truncated": False, "face": "side"}), box(2, [0, 0, 9, 9], difficult=1)])
    first, second = only_photo(root).annotations
    assert (first.occluded, first.truncated, first.difficult, first.face) == (True, False, False, "side")
    assert second.difficult


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (box(2, iscrowd=1), "iscrowd: a crowd is not one product"),
        (box(2, None, segmentation={"counts": [1, 2], "size": [48, 64]}), "a run-length mask without bbox; add the box"),
        (box(2, None), "its bbox is None, expected [x, y, width, height]"),
        (box(2, [1, 2, 3]), "its bbox is [1, 2, 3], expected [x, y, width, height]"),
        (box(2, [1, 2, "3", 4]), "its bbox is [1, 2, '3', 4], expected [x, y, width, height]"),
        (box(2, category_id=6), "its category_id 6 is no category's"),
        (box(2, category_id=[5]), "its category_id [5] is no category's"),
        (box(1), "its id 1 is another annotation's too"),
        (box(2, truncated="maybe"), "truncated is 'maybe', expected 0 or 1"),
    ],
)
def test_a_bad_annotation_is_a_fault_of_its_photo(root: Path, bad: Entry, reason: str) -> None:
    write(root, [box(1), bad])
    photo = only_photo(root)
    assert len(photo.annotations) == 1
    assert photo.faults == (Rejection(f"annotations.json: annotation {bad['id']}", reason, "box"),)


def test_a_run_length_mask_with_a_box_is_a_box(root: Path) -> None:
    write(root, [box(1, segmentation={"counts": "abc", "size": [48, 64]})])
    assert only_photo(root).annotations[0].box == Box(1, 2, 31, 42)


@pytest.mark.parametrize(("edges", "reason"), [([5, 5, -20, 20], "is inverted"), ([5, 5, 0, 20], "is empty"), ([40, 0, 30, 20], "by 6 px")])
def test_a_box_that_cannot_be_cropped_is_refused_by_its_id(root: Path, edges: list[float], reason: str) -> None:
    write(root, [box(77, edges), box(78)])
    rejection, record = images.records(only_photo(root), settings(root))
    assert isinstance(rejection, Rejection) and isinstance(record, Record)
    assert rejection.path == "annotations.json: annotation 77"
    assert reason in rejection.reason


def test_an_annotation_of_no_image_is_a_rejected_box(root: Path) -> None:
    write(root, [box(1, image_id=8)])
    rejection, photo = everything(root)
    assert rejection == Rejection("annotations.json: annotation 1", "its image_id 8 is no image's", "box")
    assert isinstance(photo, Photo) and photo.annotations == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a.jpg", "the path '../a.jpg' climbs out of the data's folder"),
        ("/etc/hostname", "the path '/etc/hostname' is absolute, expected one below the data's folder"),
        ("gone.jpg", "its file 'gone.jpg' is not there; looked in the data's folder and in images/"),
        (None, "its file_name is None, expected a path"),
        ("./a.jpg", "its file 'a.jpg' is another image's too; keep one of them"),
    ],
)
def test_a_bad_image_is_rejected_and_the_others_are_kept(root: Path, name: str, reason: str) -> None:
    write(root, [], [image(1), image(2, name)])
    results = everything(root)
    assert [result for result in results if isinstance(result, Rejection)] == [Rejection("annotations.json: image 2", reason)]
    assert len(results) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "it has no list of objects `images`"),
        ('{"images": [1]}', "it has no list of objects `images`"),
        ('{"images": [], "annotations": []}', "it has no list of objects `categories`"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
        ('{"images": [{}], "annotations": [], "categories": []}', "number 1 of `images` has the id None"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": [], "categories": []}', "two of `images` have the id 1; give each its own"),
    ],
)
def test_a_file_that_is_no_coco_ends_the_reading(root: Path, content: str, message: str) -> None:
    (root / "annotations.json").write_text(content)
    with pytest.raises(DataError) as caught:
        everything(root)
    assert f"{root}/annotations.json: " in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_ends_the_reading(root: Path) -> None:
    with pytest.raises(DataError, match=r"'boxes\.json' is not there; correct data\.coco_file"):
        everything(root, coco_file="boxes.json")


def test_a_byte_order_mark_is_no_harm(root: Path) -> None:
    write(root, [box(1)])
    file = root / "annotations.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert only_photo(root).annotations[0].label == "cola"


def test_lists_give_roles(root: Path) -> None:
    write(root, [], [image(1), image(2, "b.jpg")])
    (root / "eval.txt").write_text("b.jpg\n")
    found = [photo for photo in everything(root, lists={"eval": "eval.txt"}) if isinstance(photo, Photo)]
    assert [(photo.photo_id, photo.split) for photo in found] == [("images/b.jpg", "eval"), ("a.jpg", None)]


def test_a_changed_box_changes_its_photos_item_only(root: Path) -> None:
    def items() -> dict[str, Item]:
        return {item.path: item for item in coco.find(str(root), settings(root)) if isinstance(item, Item)}

    photos = [image(1), image(2, "b.jpg")]
    write(root, [box(1)], photos)
    before = items()
    write(root, [box(1, [1, 2, 30, 39])], photos)
    after = items()
    assert before["a.jpg"] != after["a.jpg"]
    assert before["images/b.jpg"] == after["images/b.jpg"]
