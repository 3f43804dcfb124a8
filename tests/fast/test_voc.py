import os
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from tfx_retail.config import DataConfig, Role
from tfx_retail.ingest import images, voc
from tfx_retail.ingest.record import Annotation, Box, DataError, Item, Photo, Record, Rejection

SHELVES = Path(__file__).resolve().parents[2] / "../shared/data/shelf_voc"
needs_shelves = pytest.mark.skipif(not SHELVES.is_dir(), reason="the data set shelf_voc is not beside the repository")
OBJECT = """<object><name>{name}</name><pose>Unspecified</pose><truncated>{truncated}</truncated><difficult>0</difficult>
<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"""


def settings(root: Path, **options: object) -> DataConfig:
    return msgspec.structs.replace(DataConfig(path=str(root), format="voc"), **options)


def product(name: str = "cola", *, truncated: str = "0", **edges: float) -> str:
    return OBJECT.format(name=name, truncated=truncated, **{"xmin": 1, "ymin": 2, "xmax": 31, "ymax": 42, **edges})


def annotation(*objects: str, filename: str = "<filename>a.jpg</filename>", size: str = "") -> str:
    return f"<annotation><folder>JPEGImages</folder>{filename}{size}{''.join(objects)}</annotation>"


def write(root: Path, path: str, content: str | bytes) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def photograph(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), "white").save(root / path)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    root = tmp_path / "shelf"
    photograph(root, "JPEGImages/a.jpg")
    return root


def found(root: Path, **options: object) -> list[Item | Rejection]:
    return list(voc.find(str(root), settings(root, **options)))


def everything(root: Path, **options: object) -> list[Photo | Rejection]:
    """What finding and reading yields together."""
    results: list[Photo | Rejection] = []
    for item in found(root, **options):
        results += [item] if isinstance(item, Rejection) else voc.read(str(root), item, settings(root, **options))
    return results


def only_photo(root: Path, **options: object) -> Photo:
    (photo,) = everything(root, **options)
    assert isinstance(photo, Photo), photo
    return photo


def only_rejection(root: Path, **options: object) -> Rejection:
    (rejection,) = everything(root, **options)
    assert isinstance(rejection, Rejection)
    assert rejection.kind == "photo"
    return rejection


def test_labelimgs_edges_are_taken_as_they_are(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product(), size="<size><width>64</width><height>48</height><depth>3</depth></size>"))
    photo = only_photo(shelf)
    assert photo.annotations == (Annotation("cola", Box(1, 2, 31, 42), part="object 1"),)
    assert (photo.photo_id, photo.source_file, photo.declared_size) == ("JPEGImages/a.jpg", "Annotations/a.xml", (64, 48))
    assert photo.image == (shelf / "JPEGImages/a.jpg").read_bytes()


def test_pascal_boxes_start_at_one_and_ours_at_zero(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product(xmin=1, ymin=1, xmax=10, ymax=20)))
    assert only_photo(shelf, voc_origin=1).annotations[0].box == Box(0, 0, 10, 20)


def test_fractions_are_rounded_outward(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product(xmin=1.9, ymin=2.5, xmax=30.1, ymax=40.00001)))
    assert only_photo(shelf).annotations[0].box == Box(1, 2, 31, 40)


def test_flags_and_face_are_read(shelf: Path) -> None:
    marked = product(truncated="1").replace("<difficult>0", "<occluded>1</occluded><difficult>1").replace("Unspecified", "Left")
    write(shelf, "Annotations/a.xml", annotation(marked))
    (read,) = only_photo(shelf).annotations
    assert (read.truncated, read.occluded, read.difficult, read.face) == (True, True, True, "Left")


def test_an_xml_lies_beside_its_image_too(tmp_path: Path) -> None:
    photograph(tmp_path, "monday/a.jpg")
    write(tmp_path, "monday/a.xml", annotation(product()))
    assert only_photo(tmp_path).photo_id == "monday/a.jpg"


def test_folders_below_annotations_repeat_below_the_images(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        photograph(tmp_path, f"set/JPEGImages/{folder}/a.jpg")
        write(tmp_path, f"set/Annotations/{folder}/a.xml", annotation(product()))
    photos = [photo.photo_id for photo in everything(tmp_path) if isinstance(photo, Photo)]
    assert photos == ["set/JPEGImages/north/a.jpg", "set/JPEGImages/south/a.jpg"]


@pytest.mark.parametrize("name", ["a", "a.JPG", " a.jpg "])
def test_a_file_name_may_lack_its_suffix_or_have_it_in_the_other_case(shelf: Path, name: str) -> None:
    write(shelf, "Annotations/a.xml", annotation(product(), filename=f"<filename>{name}</filename>"))
    assert only_photo(shelf).photo_id == "JPEGImages/a.jpg"


def test_chinese_names_work(tmp_path: Path) -> None:
    photograph(tmp_path, "货架/JPEGImages/一号.jpg")
    xml = annotation(product(name="可口可乐"), filename="<filename>一号.jpg</filename>")
    write(tmp_path, "货架/Annotations/一号.xml", xml)
    photo = only_photo(tmp_path)
    assert (photo.photo_id, photo.annotations[0].label) == ("货架/JPEGImages/一号.jpg", "可口可乐")


def test_labels_lose_outer_spaces_and_are_composed(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product(name=" Cafe\u0301 ")))
    assert only_photo(shelf).annotations[0].label == "Caf\u00e9"


def test_a_photo_without_objects_has_no_annotation(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation())
    assert only_photo(shelf).annotations == ()


def test_a_photo_without_xml_is_not_lost(shelf: Path) -> None:
    photograph(shelf, "JPEGImages/b.jpg")
    photograph(shelf, "packshots/c.jpg")
    write(shelf, "Annotations/a.xml", annotation(product()))
    photos = [(photo.photo_id, len(photo.annotations)) for photo in everything(shelf) if isinstance(photo, Photo)]
    assert photos == [("JPEGImages/a.jpg", 1), ("JPEGImages/b.jpg", 0)]


@pytest.mark.parametrize("tag", ["name", "bndbox", "xmin", "ymin", "xmax", "ymax"])
def test_a_missing_tag_of_an_object_is_named_and_the_others_are_kept(shelf: Path, tag: str) -> None:
    broken = product().replace(f"<{tag}>", "<x>").replace(f"</{tag}>", "</x>")
    write(shelf, "Annotations/a.xml", annotation(product(), broken, product(name="soda")))
    photo = only_photo(shelf)
    assert photo.faults == (Rejection("Annotations/a.xml: object 2", f"no <{tag}>", "box"),)
    assert [(one.label, one.part) for one in photo.annotations] == [("cola", "object 1"), ("soda", "object 3")]


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        (product(name=" "), "<name> is empty"),
        (product().replace("<xmax>31", "<xmax>wide"), "<xmax> is 'wide', expected a number"),
        (product().replace("<xmax>31", "<xmax>31,5"), "<xmax> is '31,5', expected a number; write a decimal point"),
        (product().replace("<xmax>31", "<xmax>inf"), "<xmax> is 'inf', expected a finite number"),
        (product(truncated="maybe"), "<truncated> is 'maybe', expected 0 or 1"),
    ],
)
def test_an_unreadable_value_is_a_fault_of_its_box(shelf: Path, objects: str, reason: str) -> None:
    write(shelf, "Annotations/a.xml", annotation(objects))
    photo = only_photo(shelf)
    assert photo.annotations == ()
    assert [fault.reason for fault in photo.faults] == [reason]


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ({"xmin": 31, "xmax": 1}, "is inverted"),
        ({"xmin": 31}, "is empty"),
        ({"xmax": 66}, "leaves the 64x48 photo by 2 px"),
        ({"xmin": 500, "xmax": 600}, "leaves the 64x48 photo by 536 px"),
        ({"xmin": 30}, "under data.min_box_px (8)"),
    ],
)
def test_a_box_that_cannot_be_cropped_is_refused_by_its_place_in_the_xml(shelf: Path, edges: dict[str, float], reason: str) -> None:
    write(shelf, "Annotations/a.xml", annotation("<object/>", product("cola", truncated="0", **edges), product()))
    rejection, record = images.records(only_photo(shelf), settings(shelf))
    assert isinstance(rejection, Rejection) and isinstance(record, Record)
    assert rejection.path == "Annotations/a.xml: object 2"
    assert reason in rejection.reason


BILLION_LAUGHS = """<!DOCTYPE annotation [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><filename>&b;</filename></annotation>"""
EXTERNAL = """<!DOCTYPE annotation [<!ENTITY secret SYSTEM "file:///etc/hostname">]>
<annotation><filename>a.jpg</filename><object><name>&secret;</name></object></annotation>"""


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (annotation(product(), filename=""), "no <filename>"),
        (annotation(product(), filename="<filename/>"), "<filename> is empty"),
        (annotation(product(), size="<size><width>64</width></size>"), "no <height>"),
        ("", "is not XML: no element found"),
        ("<annotation><filename>a.jpg", "is not XML"),
        ("<html/>", "is no Pascal VOC: its root is <html>, expected <annotation>"),
        (BILLION_LAUGHS, "declares an entity ('a'): refused"),
        (EXTERNAL, "declares an external entity ('secret'): refused"),
        (b'<?xml version="1.0" encoding="gbk"?><annotation/>', "is not XML: multi-byte encodings are not supported"),
        (b'<?xml version="1.0"?><annotation>\xff</annotation>', "is not XML: not well-formed"),
    ],
)
def test_an_xml_that_cannot_be_used_rejects_its_photo_once(shelf: Path, xml: str | bytes, reason: str) -> None:
    write(shelf, "Annotations/a.xml", xml)
    rejection = only_rejection(shelf)
    assert rejection.path == "Annotations/a.xml"
    assert reason in rejection.reason


def test_an_image_that_is_not_there_is_named_with_where_it_was_looked_for(shelf: Path) -> None:
    os.remove(shelf / "JPEGImages/a.jpg")
    write(shelf, "Annotations/a.xml", annotation(product()))
    assert only_rejection(shelf).reason == "its image 'a.jpg' is not there; looked in JPEGImages, images, Annotations"


@pytest.mark.parametrize("name", ["../a.jpg", "../../secret.jpg", "x/../../a.jpg", "..\\a.jpg"])
def test_a_path_that_climbs_out_is_refused(shelf: Path, name: str) -> None:
    photograph(shelf.parent, "secret.jpg")
    write(shelf, "Annotations/b.xml", annotation(product(), filename=f"<filename>{name}</filename>"))
    assert f"the path {name!r} climbs out of the data's folder" in only_rejection(shelf).reason


@pytest.mark.parametrize("name", ["/etc/hostname", "C:\\photos\\a.jpg"])
def test_an_absolute_path_is_refused(shelf: Path, name: str) -> None:
    write(shelf, "Annotations/b.xml", annotation(product(), filename=f"<filename>{name}</filename>"))
    assert "is absolute, expected one below the data's folder" in only_rejection(shelf).reason


def test_a_link_out_of_the_folder_is_refused(shelf: Path) -> None:
    photograph(shelf.parent, "secret.jpg")
    os.symlink(shelf.parent / "secret.jpg", shelf / "JPEGImages/b.jpg")
    write(shelf, "Annotations/a.xml", annotation(product(), filename="<filename>b.jpg</filename>"))
    reasons = {result.reason for result in everything(shelf) if isinstance(result, Rejection)}
    assert reasons == {"'JPEGImages/b.jpg' is a link out of the data's folder"}


def test_two_xmls_of_one_photo_are_not_two_photos(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product()))
    write(shelf, "Annotations/copy.xml", annotation(product()))
    reasons = {item.path: item.reason for item in found(shelf) if isinstance(item, Rejection)}
    assert reasons == {"Annotations/copy.xml": "annotates JPEGImages/a.jpg, as Annotations/a.xml does; keep one of them"}


def test_an_item_names_the_image_behind_its_xml(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product()))
    assert found(shelf) == [Item("Annotations/a.xml", files=("JPEGImages/a.jpg",))]


def test_lists_give_roles_by_the_names_of_photos(shelf: Path) -> None:
    for name in "bcd":
        photograph(shelf, f"JPEGImages/{name}.jpg")
    for name in "abcd":
        write(shelf, f"Annotations/{name}.xml", annotation(product(), filename=f"<filename>{name}.jpg</filename>"))
    write(shelf, "train.txt", "\ufeffa\r\nJPEGImages/b.jpg, 7, 3\r\n\r\n")
    write(shelf, "eval.txt", "b.jpg\nnowhere\n")
    lists: dict[Role, str] = {"train": "train.txt", "eval": "eval.txt"}
    results = found(shelf, lists=lists)
    assert [(item.files[0][-5:], item.split) for item in results if isinstance(item, Item)] == [
        ("a.jpg", "train"),
        ("b.jpg", "train"),
        ("b.jpg", "eval"),
        ("c.jpg", None),
        ("d.jpg", None),
    ]
    assert [item for item in results if isinstance(item, Rejection)] == [
        Rejection("eval.txt: line 2", "names 'nowhere', which is no photo of the data")
    ]
    assert {photo.split for photo in everything(shelf, lists=lists) if isinstance(photo, Photo)} == {"train", "eval", None}


def test_a_name_that_fits_two_photos_ends_the_reading(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        photograph(tmp_path, f"{folder}/a.jpg")
        write(tmp_path, f"{folder}/a.xml", annotation(product()))
    write(tmp_path, "train.txt", "a\n")
    with pytest.raises(DataError, match=r"train\.txt: line 1: 'a' fits 2 photos, north/a\.jpg and south/a\.jpg .* give the whole path"):
        found(tmp_path, lists={"train": "train.txt"})


def test_a_list_that_is_not_there_ends_the_reading(shelf: Path) -> None:
    write(shelf, "Annotations/a.xml", annotation(product()))
    with pytest.raises(DataError, match=r"'train\.txt' is not there; correct data\.lists\.train"):
        found(shelf, lists={"train": "train.txt"})


def test_a_folder_without_xml_is_an_error(shelf: Path) -> None:
    with pytest.raises(DataError, match=r"found no \.xml, expected Annotations/\*\.xml"):
        found(shelf)
    with pytest.raises(DataError, match="found nothing, expected the folder of the data"):
        found(shelf / "nowhere")


@needs_shelves
@pytest.mark.parametrize(("name", "photos", "boxes"), [("produce_table", 137, 243), ("cracker_shelf", 1, 57)])
@pytest.mark.long
def test_real_shelves_are_read_whole(name: str, photos: int, boxes: int) -> None:
    results = everything(SHELVES / name)
    assert [result for result in results if isinstance(result, Rejection)] == []
    assert len(results) == photos
    assert sum(len(photo.annotations) for photo in results if isinstance(photo, Photo)) == boxes


@needs_shelves
def test_a_real_shelf_becomes_crops() -> None:
    photo = only_photo(SHELVES / "cracker_shelf")
    records = [record for record in images.records(photo, settings(SHELVES)) if isinstance(record, Record)]
    assert len(records) == 57
    assert sum(record.label == "gap" for record in records) == 2
    assert {record.photo_size for record in records} == {(1047, 1280)}


@needs_shelves
def test_the_lists_of_a_real_set_give_every_photo_its_role() -> None:
    items = found(SHELVES / "produce_table", lists={"train": "ImageSets/Main/train.txt", "eval": "ImageSets/Main/test.txt"})
    roles = [item.split for item in items if isinstance(item, Item)]
    assert (len(items), roles.count("train"), roles.count("eval")) == (137, 122, 15)
