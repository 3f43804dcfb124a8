from pathlib import Path

import msgspec
import pytest

from tfx_retail.config import DataConfig, Manifest
from tfx_retail.ingest import manifest
from tfx_retail.ingest.record import Annotation, Box, DataError, Photo, Rejection

GROCERIES = Path(__file__).resolve().parents[2] / "../shared/data/grocery_store/dataset"
JPEG = b"\xff\xd8\xff of a kind"


def settings(root: Path, *manifests: Manifest) -> DataConfig:
    return DataConfig(path=str(root), format="manifest", manifests=manifests or (Manifest(path="list.csv"),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(JPEG)
    return tmp_path


def write(root: Path, content: str | bytes, name: str = "list.csv") -> None:
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def everything(root: Path, *manifests: Manifest) -> list[Photo | Rejection]:
    chosen = settings(root, *manifests)
    results: list[Photo | Rejection] = []
    for item in manifest.find(str(root), chosen):
        results += [item] if isinstance(item, Rejection) else manifest.read(str(root), item, chosen)
    return results


def photos(root: Path, *manifests: Manifest) -> list[Photo]:
    results = everything(root, *manifests)
    assert not [result for result in results if isinstance(result, Rejection)]
    return [result for result in results if isinstance(result, Photo)]


def labels(root: Path, *manifests: Manifest) -> list[tuple[str, str]]:
    return [(photo.photo_id, one.label) for photo in photos(root, *manifests) for one in photo.annotations]


def message(root: Path, *manifests: Manifest) -> str:
    with pytest.raises(DataError) as caught:
        everything(root, *manifests)
    return str(caught.value)


def test_a_row_is_a_photo_with_its_label(root: Path) -> None:
    write(root, "path,label\nb.jpg,soda\na.jpg,cola\n")
    first, second = photos(root)
    annotation = Annotation("cola", part="line 3")
    assert first == Photo(photo_id="a.jpg", image=JPEG, annotations=(annotation,), source_file="list.csv")
    assert second.photo_id == "b.jpg"


@pytest.mark.parametrize(
    "content",
    [
        "path;label\na.jpg;cola, 1,5 l\n",
        "path\tlabel\na.jpg\tcola, 1,5 l\n",
        'path,label\na.jpg,"cola, 1,5 l"\n',
        '\ufeffPath , LABEL\r\n./a.jpg , "cola, 1,5 l"\r\n\r\n',
        'path,label\r\na.jpg,"cola, 1,5 l"\r\n'.encode("utf-16"),
    ],
)
def test_delimiters_marks_and_line_ends_of_spreadsheets_are_read(root: Path, content: str | bytes) -> None:
    write(root, content)
    assert labels(root) == [("a.jpg", "cola, 1,5 l")]


def test_chinese_names_work(root: Path) -> None:
    (root / "一.jpg").write_bytes(JPEG)
    write(root, "path,label\n一.jpg,可口可乐\n")
    assert labels(root) == [("一.jpg", "可口可乐")]


@pytest.mark.parametrize("encoding", ["cp1252", "gbk"])
def test_other_encodings_are_refused_with_the_cure(root: Path, encoding: str) -> None:
    text = {"cp1252": "path,label\na.jpg,Müller\n", "gbk": "path,label\na.jpg,可乐\n"}[encoding]
    write(root, text.encode(encoding))
    assert "list.csv: line 2 is not utf-8 (byte 0x" in message(root)
    assert "save the file as UTF-8" in message(root)


def test_columns_may_be_named_where_there_is_no_header(root: Path) -> None:
    write(root, "a.jpg, 7, 3\nb.jpg, 8, 3\n")
    assert labels(root, Manifest(path="list.csv", columns=("path", "label", "_"))) == [("a.jpg", "7"), ("b.jpg", "8")]


@pytest.mark.parametrize("names", ["left,top,right,bottom", "xmin,ymin,xmax,ymax"])
def test_rows_of_one_photo_are_its_boxes(root: Path, names: str) -> None:
    write(root, f"path,label,{names}\na.jpg,cola,1,2,31,42\nb.jpg,soda,,,,\na.jpg,soda,0.5,0,9.5,9\n")
    first, second = photos(root)
    assert first.annotations == (Annotation("cola", Box(1, 2, 31, 42), part="line 2"), Annotation("soda", Box(0, 0, 10, 9), part="line 4"))
    assert second.annotations == (Annotation("soda", None, part="line 3"),)


def test_everything_else_that_is_known_is_read(root: Path) -> None:
    header = "path,label,store,taken_at,group,mm_per_px,face,truncated,occluded,difficult,source,annotator"
    write(root, f"{header}\na.jpg,cola,s1,2024-05-17T09:30:00Z,g1,0.42,side,1,yes,0,packshot,k\n")
    (photo,) = photos(root)
    assert (photo.store, photo.taken_at, photo.group, photo.mm_per_px) == ("s1", "2024-05-17T09:30:00Z", "g1", 0.42)
    assert (photo.source, photo.annotator) == ("packshot", "k")
    assert photo.annotations == (Annotation("cola", face="side", truncated=True, occluded=True, part="line 2"),)


def test_a_role_comes_from_the_file_or_the_row(root: Path) -> None:
    write(root, "path,label\na.jpg,cola\n", "train.csv")
    write(root, "path,label,split\nb.jpg,cola,eval\nc.jpg,cola,\n", "rest.csv")
    found = photos(root, Manifest(path="train.csv", split="train"), Manifest(path="rest.csv"))
    assert [(photo.photo_id, photo.split) for photo in found] == [("a.jpg", "train"), ("b.jpg", "eval"), ("c.jpg", None)]


def test_a_photo_under_two_roles_is_there_twice(root: Path) -> None:
    write(root, "path,label\na.jpg,cola\n", "train.csv")
    write(root, "path,label\n./a.jpg,cola\n", "eval.csv")
    found = photos(root, Manifest(path="train.csv", split="train"), Manifest(path="eval.csv", split="eval"))
    assert [(photo.photo_id, photo.split) for photo in found] == [("a.jpg", "eval"), ("a.jpg", "train")]


def test_a_photo_in_two_manifests_of_one_role_is_one_photo(root: Path) -> None:
    header = "path,label,left,top,right,bottom\n"
    write(root, header + "a.jpg,cola,0,0,9,9\n", "one.csv")
    write(root, header + "a.jpg,soda,20,0,29,9\n", "two.csv")
    (photo,) = photos(root, Manifest(path="one.csv"), Manifest(path="two.csv"))
    assert [(one.label, one.part) for one in photo.annotations] == [("cola", "line 2"), ("soda", "line 2 of two.csv")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",cola,,,,,", "the path '' names no file"),
        ("../a.jpg,cola,,,,,", "the path '../a.jpg' climbs out of the data's folder"),
        ("/a.jpg,cola,,,,,", "the path '/a.jpg' is absolute, expected one below the data's folder"),
        ("gone.jpg,cola,,,,,", "'gone.jpg' is not there"),
        ("a.jpg,cola,,,,-1,", "mm_per_px is '-1', expected a number above 0, or nothing where it is not known"),
        ("a.jpg,cola,,,,,03/04/2024", "taken_at is '03/04/2024', expected ISO 8601, say 2024-05-17 or 2024-05-17T09:30:00"),
    ],
)
def test_a_fault_of_the_photo_rejects_it(root: Path, row: str, reason: str) -> None:
    write(root, f"path,label,left,top,right,bottom,mm_per_px,taken_at\n{row.replace(',,,,', ',,,,,', 1)}\nb.jpg,cola,,,,,,\n")
    results = everything(root)
    assert [result for result in results if isinstance(result, Rejection)] == [Rejection("list.csv: line 2", reason)]
    assert len(results) == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.jpg,,0,0,9,9,", "the label is empty"),
        ("a.jpg,cola,0,0,9,,", "bottom is '', expected a number"),
        ("a.jpg,cola,0,0,9,x,", "bottom is 'x', expected a number"),
        ("a.jpg,cola,0,0,9,9,2", "truncated is '2', expected 0 or 1"),
    ],
)
def test_a_fault_of_a_row_is_one_of_its_box(root: Path, row: str, reason: str) -> None:
    write(root, f"path,label,left,top,right,bottom,truncated\n{row}\na.jpg,soda,0,0,9,9,0\n")
    (photo,) = photos(root)
    assert [one.label for one in photo.annotations] == ["soda"]
    assert photo.faults == (Rejection("list.csv: line 2", reason, "box"),)


def test_a_row_with_a_cell_too_many_is_rejected(root: Path) -> None:
    write(root, "path,label\na.jpg,cola,1\nb.jpg,soda\n")
    assert everything(root)[0] == Rejection("list.csv: line 2", "has 3 cells, expected 2: path, label")


def test_rows_of_one_photo_have_to_agree_on_it(root: Path) -> None:
    write(root, "path,label,store,left,top,right,bottom\na.jpg,cola,s1,0,0,9,9\na.jpg,soda,s2,20,0,29,9\n")
    assert everything(root) == [Rejection("list.csv: line 2", "store of one photo is both 's1' and 's2'")]


def test_a_role_that_does_not_exist_or_contradicts_the_file_is_rejected(root: Path) -> None:
    write(root, "path,label,split\na.jpg,cola,test\nb.jpg,cola,eval\n")
    reasons = [result.reason for result in everything(root, Manifest(path="list.csv", split="train")) if isinstance(result, Rejection)]
    assert reasons == [
        "split is 'test', expected one of train, validation, calibration, eval, or nothing",
        "split is 'eval', but data.manifests gives 'train' to the whole file",
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "no column path, label: the file is empty"),
        ("path,label\n", "has no row of data"),
        ("path,name\na.jpg,cola\n", "no column label: found path, name; correct the header, or name the columns in `columns`"),
        ("path,label,left,top\na.jpg,cola,1,2\n", "found the box columns left, top, expected all of left, top, right, bottom or none"),
        ("path,label,xmin,left\na.jpg,cola,1,2\n", "more than one column left"),
        ('path,label\na.jpg,"cola\n', "correct the quotes of the file"),
    ],
)
def test_a_manifest_that_cannot_be_used_ends_the_reading(root: Path, content: str, found: str) -> None:
    write(root, content)
    assert f"{root}/list.csv: " in message(root)
    assert found in message(root)


def test_a_manifest_that_is_not_there_ends_the_reading(root: Path) -> None:
    assert "'list.csv' is not there; correct data.manifests" in message(root)


def test_a_row_elsewhere_does_not_change_a_photos_item(root: Path) -> None:
    def item() -> object:
        return next(item for item in manifest.find(str(root), settings(root)) if item.path == "a.jpg")

    write(root, "path,label\na.jpg,cola\nb.jpg,cola\n")
    before = item()
    write(root, "path,label\na.jpg,cola\nb.jpg,soda\n")
    assert item() == before
    write(root, "path,label\na.jpg,soda\nb.jpg,soda\n")
    assert item() != before


@pytest.mark.skipif(not GROCERIES.is_dir(), reason="the data set grocery_store is not beside the repository")
@pytest.mark.long
def test_a_real_list_without_header() -> None:
    columns = ("path", "label", "_")
    lists = (Manifest(path="train.txt", split="train", columns=columns), Manifest(path="val.txt", split="eval", columns=columns))
    items = [msgspec.structs.asdict(item) for item in manifest.find(str(GROCERIES), settings(GROCERIES, *lists))]
    assert [sum(item["split"] == role for item in items) for role in ("train", "eval")] == [2640, 296]
