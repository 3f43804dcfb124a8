"""Facts of photos from a CSV of their own: found by path or name, refused where they cannot be read."""

from pathlib import Path

import pytest

from tfx_retail.config import DataConfig
from tfx_retail.ingest.facts import Facts, check_use, read_facts
from tfx_retail.ingest.record import DataError, Photo


def facts(folder: Path, text: str) -> Facts:
    (folder / "photos.csv").write_text(text, encoding="utf-8")
    return read_facts(DataConfig(path=str(folder), format="voc", photo_facts="photos.csv"))


def photo(photo_id: str, **known: str) -> Photo:
    return Photo(photo_id=photo_id, image=b"", annotations=(), source_file=photo_id, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["JPEGImages/货架.jpg", "JPEGImages/货架", "货架.jpg", "货架"])
def test_a_photo_is_named_by_path_or_name_with_suffix_or_without(tmp_path: Path, name: str) -> None:
    found = facts(tmp_path, f"photo,store,mm_per_px\n{name},north,0.25\n").add_to(photo("JPEGImages/货架.jpg"))
    assert (found.store, found.mm_per_px) == ("north", 0.25)


def test_all_facts_are_read(tmp_path: Path) -> None:
    text = "photo;store;taken_at;group;mm_per_px;source\na.jpg;north;2024-05-17T09:30:00;scene 1;0.5;packshot\n"
    found = facts(tmp_path, text).add_to(photo("a.jpg"))
    known = (found.store, found.taken_at, found.group, found.mm_per_px, found.source)
    assert known == ("north", "2024-05-17T09:30:00", "scene 1", 0.5, "packshot")


def test_what_the_file_leaves_empty_stays_as_the_reader_found_it(tmp_path: Path) -> None:
    found = facts(tmp_path, "photo,store,group\na.jpg,,scene 1\n").add_to(photo("a.jpg", store="south", group="x"))
    assert (found.store, found.group, found.mm_per_px) == ("south", "scene 1", None)


def test_photos_that_the_file_does_not_name_stay_as_they_are(tmp_path: Path) -> None:
    assert facts(tmp_path, "photo,store\na.jpg,north\n").add_to(photo("b.jpg")) == photo("b.jpg")


def test_without_a_file_nothing_is_known() -> None:
    assert read_facts(DataConfig(path="nowhere", format="voc")).add_to(photo("a.jpg")) == photo("a.jpg")


def test_every_fault_of_the_file_is_told_with_its_row(tmp_path: Path) -> None:
    text = "photo,taken_at,mm_per_px,source\na.jpg,17/05/2024,,\nb.jpg,,-1,\nc.jpg,,,web\na.jpg,,,\n,,1,\n"
    with pytest.raises(DataError) as caught:
        facts(tmp_path, text)
    told = [line.partition("photos.csv: ")[2] for line in str(caught.value).splitlines()]
    assert told == [
        "row 2: taken_at is '17/05/2024', expected ISO 8601, say 2024-05-17 or 2024-05-17T09:30:00",
        "row 3: mm_per_px is '-1', expected a number above 0, or nothing where it is not known",
        "row 4: source is 'web', expected one of shelf, packshot, synthetic, or nothing",
        "row 6: photo is empty",
    ]


def test_a_photo_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: photo 'a.jpg' is there twice; keep one row"):
        facts(tmp_path, "photo,store\na.jpg,north\na.jpg,south\n")


@pytest.mark.parametrize("header", ["path,store", "photo,mm_per_pixel"])
def test_columns_that_are_not_known_are_refused_rather_than_left_out(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match="expected photo and any of store, taken_at, group, mm_per_px, source; correct the header"):
        facts(tmp_path, f"{header}\na.jpg,north\n")


@pytest.mark.parametrize("path", ["gone.csv", "../photos.csv"])
def test_a_file_that_is_not_below_the_root_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match=r"correct data.photo_facts in the configuration"):
        read_facts(DataConfig(path=str(tmp_path), format="voc", photo_facts=path))


def test_a_name_that_fits_two_photos_is_refused(tmp_path: Path) -> None:
    known = facts(tmp_path, "photo,store\na.jpg,north\n")
    with pytest.raises(DataError, match=r"'a.jpg' names 2 photos; write their whole paths"):
        check_use(known, ["monday/a.jpg", "tuesday/a.jpg"])


def test_entries_without_a_photo_are_told(tmp_path: Path) -> None:
    known = facts(tmp_path, "photo,store\na.jpg,north\nb.jpg,north\n")
    assert check_use(known, ["a.jpg"]) == ["data.photo_facts names 1 photos that are not used, 'b.jpg' among them"]
    assert check_use(known, ["a.jpg", "b.jpg", "c.jpg"]) == []
