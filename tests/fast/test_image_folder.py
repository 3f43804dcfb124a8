import os
from pathlib import Path

import msgspec
import pytest

from tfx_retail.config import DataConfig, Role
from tfx_retail.ingest import image_folder
from tfx_retail.ingest.record import Annotation, DataError, Item, Photo, Rejection

GROCERIES = Path(__file__).resolve().parents[2] / "../shared/data/grocery_store/dataset/train"
JPEG = b"\xff\xd8\xff of a kind"


def settings(root: Path, **options: object) -> DataConfig:
    return msgspec.structs.replace(DataConfig(path=str(root), format="image_folder"), **options)


def write(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(JPEG)
    return root


def found(root: Path, **options: object) -> list[Item | Rejection]:
    return list(image_folder.find(str(root), settings(root, **options)))


def paths(root: Path) -> list[str]:
    return [item.path for item in found(root)]


def test_images_of_every_kind_are_found_sorted_and_other_files_are_not(tmp_path: Path) -> None:
    write(tmp_path, "b/x.PNG", "a/z.jpeg", "a/y.JPG", "a/w.webp", "a/v.heic", "a/notes.txt", "a/.hidden.jpg", ".cache/a.jpg", "catalog.csv")
    assert paths(tmp_path) == ["a/v.heic", "a/w.webp", "a/y.JPG", "a/z.jpeg", "b/x.PNG"]


def test_the_label_is_the_last_folder(tmp_path: Path) -> None:
    write(tmp_path, "drinks/cola/cola-zero/1.jpg")
    (item,) = found(tmp_path)
    assert isinstance(item, Item)
    (photo,) = image_folder.read(str(tmp_path), item, settings(tmp_path))
    path = "drinks/cola/cola-zero/1.jpg"
    assert photo == Photo(photo_id=path, image=JPEG, annotations=(Annotation("cola-zero"),), source_file=path)


@pytest.mark.parametrize(
    ("path", "levels"),
    [
        ("drinks/cola/zero/1.jpg", ("drinks", "cola", "zero")),
        ("drinks/zero/1.jpg", ("drinks", "zero", "zero")),
        ("zero/1.jpg", ("zero", "zero", "zero")),
        ("饮料/可乐/零度可乐/一.jpg", ("饮料", "可乐", "零度可乐")),
        ("Cafe\u0301/1.jpg", ("Caf\u00e9", "Caf\u00e9", "Caf\u00e9")),
    ],
)
def test_a_missing_level_repeats_the_one_below(path: str, levels: tuple[str, str, str]) -> None:
    assert image_folder.levels(path) == levels


def test_folders_are_what_a_catalogue_needs(tmp_path: Path) -> None:
    write(tmp_path, "drinks/cola/zero/1.jpg", "drinks/cola/zero/2.jpg", "drinks/cola/light/1.jpg", "fruit/apple/1.jpg", "loose.jpg")
    (tmp_path / "empty").mkdir()
    assert image_folder.folders(str(tmp_path)) == [("drinks", "cola", "light"), ("drinks", "cola", "zero"), ("fruit", "apple", "apple")]


def test_an_image_without_folder_or_too_deep_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "loose.jpg", "a/b/c/d/1.jpg", "a/1.jpg")
    assert found(tmp_path) == [
        Rejection("a/b/c/d/1.jpg", "lies 4 folders deep, expected at most 3: category/family/sku"),
        Rejection("loose.jpg", "lies in no folder, so has no label; expected category/family/sku/image"),
        Item("a/1.jpg"),
    ]


def test_links_are_followed_inside_the_root_only_and_never_to_folders(tmp_path: Path) -> None:
    root = write(tmp_path / "data", "a/1.jpg")
    write(tmp_path, "secret/2.jpg")
    os.symlink("1.jpg", root / "a/inside.jpg")
    os.symlink(tmp_path / "secret/2.jpg", root / "a/outside.jpg")
    os.symlink("nothing", root / "a/broken.jpg")
    os.symlink(tmp_path / "secret", root / "b")
    assert {item.path: getattr(item, "reason", "") for item in found(root)} == {
        "a/1.jpg": "",
        "a/inside.jpg": "",
        "a/outside.jpg": "'a/outside.jpg' is a link out of the data's folder",
        "a/broken.jpg": "'a/broken.jpg' is not there",
        "b": "is a link to a folder, which is not followed; copy the folder here instead",
    }


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with open(os.fsencode(tmp_path / "a") + b"/\xb0.jpg", "wb"):
        pass
    (rejection,) = found(tmp_path)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "the file's name is not UTF-8; rename it"
    assert rejection.path.encode() == b"a/\\udcb0.jpg"


def test_a_photo_that_has_gone_since_is_a_rejection(tmp_path: Path) -> None:
    write(tmp_path, "a/1.jpg")
    (item,) = found(tmp_path)
    assert isinstance(item, Item)
    (tmp_path / "a/1.jpg").unlink()
    assert list(image_folder.read(str(tmp_path), item, settings(tmp_path))) == [Rejection("a/1.jpg", "'a/1.jpg' is not there")]


def test_lists_give_roles_by_path(tmp_path: Path) -> None:
    write(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "eval.txt").write_text("b/1.jpg, 3\n")
    lists: dict[Role, str] = {"eval": "eval.txt"}
    items = [item for item in found(tmp_path, lists=lists) if isinstance(item, Item)]
    assert [(item.path, item.split) for item in items] == [("b/1.jpg", "eval"), ("a/1.jpg", None)]
    (photo,) = image_folder.read(str(tmp_path), items[0], settings(tmp_path))
    assert isinstance(photo, Photo) and photo.split == "eval"


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no image, expected category/family/sku/\*\.jpg; correct data\.path or data\.format"):
        found(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="found a file, expected the folder of the data"):
        found(tmp_path / "file")


@pytest.mark.skipif(not GROCERIES.is_dir(), reason="the data set grocery_store is not beside the repository")
def test_a_real_tree_of_two_and_three_levels() -> None:
    assert len(found(GROCERIES)) == 2640
    folders = image_folder.folders(str(GROCERIES))
    assert len(folders) == 81
    assert ("Fruit", "Apple", "Golden-Delicious") in folders
    assert ("Vegetables", "Asparagus", "Asparagus") in folders
