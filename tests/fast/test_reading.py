"""What becomes of each photo and box is counted, and every refusal keeps its reason."""

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.fast.photo_rows import row
from tfx_retail import catalog, labels
from tfx_retail.config import DataConfig
from tfx_retail.ingest import counts
from tfx_retail.ingest.facts import Facts
from tfx_retail.ingest.leakage import Leakage, find_contradictions
from tfx_retail.ingest.reading import Sources, result
from tfx_retail.ingest.record import Annotation, Box, DataError, Photo, Rejection
from tfx_retail.ingest.rows import PhotoRow, SetAside, ShardRows, Tally
from tfx_retail.product import Product

SETTINGS = DataConfig(path="data", format="voc")
PRODUCTS = catalog.of(tuple(Product(sku=sku, name=sku, category="drinks", family="soda", look=sku) for sku in ("cola", "lime", "可乐")))
FRONT, BACK, SIDE = Box(0, 0, 20, 20), Box(20, 0, 40, 20), Box(0, 20, 20, 40)


def known(**meanings: labels.Target) -> Sources:
    return Sources(SETTINGS, PRODUCTS, labels.resolver(PRODUCTS, meanings), Facts({"a.jpg": {"store": "north"}}))


def photo(*annotations: Annotation, faults: tuple[Rejection, ...] = (), image: bytes | None = None) -> Photo:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(buffer, "JPEG")
    return Photo(
        photo_id="a.jpg", image=buffer.getvalue() if image is None else image, annotations=annotations, source_file="a.xml", faults=faults
    )


def test_a_crop_keeps_the_number_of_its_box_and_gets_the_sku_and_face_of_its_label() -> None:
    found = result(
        photo(Annotation("gap", FRONT), Annotation("nobody", BACK), Annotation("cola side", SIDE)),
        known(**{"cola side": labels.Target("cola", "side")}),
    )
    (record,) = found.records
    assert (record.crop_id, record.label, record.face, record.store) == ("a.jpg#3", "cola", "side", "north")
    assert found.set_aside == [SetAside("a.xml: box 1", "gap", "gap")]
    assert [rejection.path for rejection in found.rejected] == ["a.xml: box 2"]
    assert found.photo_tally == Tally(seen=1, out=1)
    assert found.box_tally == Tally(seen=3, out=1, rejected=1, set_aside=1)


def test_a_label_that_differs_in_case_only_is_refused_with_the_right_one() -> None:
    (rejection,) = result(photo(Annotation("Cola", FRONT)), known()).rejected
    assert rejection.reason == "label 'Cola' differs from 'cola' only in case or spaces; correct it or add it to the label map"


def test_a_photo_that_cannot_be_decoded_is_one_rejection_and_takes_its_boxes_with_it() -> None:
    found = result(photo(Annotation("cola", FRONT), Annotation("lime", BACK), Annotation("gap", SIDE), image=b""), known())
    assert found.rejected == [Rejection("a.jpg", "is empty: 0 bytes")]
    assert found.photo_tally == Tally(seen=1, rejected=1)
    assert found.box_tally == Tally(seen=3, rejected=2, set_aside=1)


def test_what_the_reader_refused_of_a_photo_is_counted_once() -> None:
    found = result(photo(Annotation("cola", FRONT), faults=(Rejection("a.xml: object 2", "no <bndbox>", "box"),)), known())
    assert found.rejected == [Rejection("a.xml: object 2", "no <bndbox>", "box")]
    assert found.box_tally == Tally(seen=2, out=1, rejected=1)


def test_a_photo_on_which_nothing_is_to_be_learnt_is_set_aside_and_not_decoded() -> None:
    found = result(photo(Annotation("gap", FRONT), image=b"no image"), known())
    assert found.photo_tally == Tally(seen=1, set_aside=1)
    assert found.rejected == []
    assert result(photo(image=b"no image"), known()).photo_tally == Tally(seen=1, set_aside=1)


def test_one_product_boxed_twice_under_two_labels_is_refused() -> None:
    twice = photo(Annotation("cola", FRONT), Annotation("cola front", FRONT))
    found = result(twice, known(**{"cola front": labels.Target("cola")}))
    assert len(found.records) == 1
    assert found.rejected[0].path == "a.xml: box 2"
    assert "one product boxed twice" in found.rejected[0].reason


def test_refusals_of_the_reader_are_photos_or_boxes() -> None:
    assert result(Rejection("a.xml", "is not XML"), known()).photo_tally == Tally(seen=1, rejected=1)
    assert result(Rejection("a.json: annotation 3", "its image_id 7 is no image's", "box"), known()).box_tally == Tally(seen=1, rejected=1)


def rows(*photos: PhotoRow, rejected: tuple[Rejection, ...] = (), set_aside: tuple[SetAside, ...] = ()) -> ShardRows:
    kept = list(photos)
    boxes = sum(len(photo.crop_ids) for photo in kept)
    lost = len(rejected)
    return ShardRows(
        kept,
        list(rejected),
        list(set_aside),
        Tally(seen=len(kept) + lost, out=len(kept), rejected=lost),
        Tally(seen=boxes + len(set_aside), out=boxes, set_aside=len(set_aside)),
        0,
    )


def test_shards_and_what_was_refused_before_them_add_up_in_one_order() -> None:
    total = counts.gather(
        [rows(row("b")), rows(row("a"))], [Rejection("c.xml", "is not XML"), Rejection("c.json: annotation 1", "no", "box")]
    )
    assert [photo.photo_id for photo in total.photos] == ["a", "b"]
    assert total.photo_tally == Tally(seen=3, out=2, rejected=1)
    assert total.box_tally == Tally(seen=3, out=2, rejected=1)


def test_a_box_that_vanishes_is_a_fault_of_the_program() -> None:
    with pytest.raises(AssertionError, match="boxes: 3 in, 1 out, 1 rejected, 0 set aside: 1 vanished"):
        Tally(seen=3, out=1, rejected=1).check("boxes")


def test_crops_that_contradict_each_other_become_rejections() -> None:
    photos = (row("a", "cola", crops=("same",)), row("b", "lime", "cola", crops=("same", "own")))
    left = counts.without(rows(*photos), find_contradictions(photos))
    assert [photo.crop_ids for photo in left.photos] == [("b#2",)]
    assert [rejection.path for rejection in left.rejected] == ["a#1", "b#1"]
    assert left.photo_tally == Tally(seen=2, out=1, rejected=1)
    assert left.box_tally == Tally(seen=3, out=1, rejected=2)


def test_more_rejections_than_allowed_stop_with_the_first_three_and_the_file() -> None:
    found = rows(row("a"), rejected=tuple(Rejection(f"{number}.xml", "is not XML") for number in range(5)))
    with pytest.raises(DataError) as caught:
        counts.check_limits(found, DataConfig(path="data", format="voc", max_rejected=4), Path("kept"))
    assert str(caught.value).splitlines() == [
        "data: 5 photos or boxes cannot be used, data.max_rejected allows 4",
        "  0.xml: is not XML",
        "  1.xml: is not XML",
        "  2.xml: is not XML",
        "all of them: kept/rejected.csv",
        "correct or remove them, or raise data.max_rejected",
    ]


def test_as_many_rejections_as_allowed_pass_and_one_more_does_not() -> None:
    allowed = DataConfig(path="data", format="voc", max_rejected=1)
    one = (Rejection("c.xml", "is not XML"),)
    counts.check_limits(rows(row("a"), row("b", "lime"), rejected=one), allowed, Path("kept"))
    with pytest.raises(DataError, match="2 photos or boxes cannot be used"):
        counts.check_limits(rows(row("a"), row("b", "lime"), rejected=one * 2), allowed, Path("kept"))


def test_nothing_left_and_one_product_only_are_refused() -> None:
    with pytest.raises(DataError, match="no example is left of 0 photos: 0 rejected, 1 boxes are set aside"):
        counts.check_limits(rows(set_aside=(SetAside("a", "gap", "gap"),)), SETTINGS, Path("kept"))
    with pytest.raises(DataError, match="all crops are of one SKU, '可乐'"):
        counts.check_limits(rows(row("a", "可乐")), SETTINGS, Path("kept"))


def test_counts_by_role_and_sku() -> None:
    told = counts.count(
        rows(row("a", "cola", "lime"), row("b", "cola"), row("c", "可乐")),
        ["train", "train", "eval"],
        ["x", "x", "c"],
        Leakage([], 3, [], []),
        ["w"],
    )
    assert told.roles == {"train": 3, "validation": 0, "calibration": 0, "eval": 1}
    assert told.role_photos == {"train": 2, "validation": 0, "calibration": 0, "eval": 1}
    assert told.role_groups == {"train": 1, "validation": 0, "calibration": 0, "eval": 1}
    assert told.skus == {"cola": {"train": 2}, "lime": {"train": 1}, "可乐": {"eval": 1}}
    assert (told.records, told.groups, told.largest_group, told.alike_crops, told.warnings) == (4, 2, 2, 3, ["w"])


def test_rare_and_unseen_products_are_told() -> None:
    found = counts.rare(rows(row("a", "cola", "cola"), row("b", "lime")), ["train", "train"], PRODUCTS, SETTINGS)
    assert found == [
        "1 SKUs have fewer than 2 crops in train (data.min_class_records): lime",
        "1 of 3 SKUs of the catalogue are on no photo: 可乐",
    ]


def test_refusals_are_written_as_csv(tmp_path: Path) -> None:
    counts.write_files(
        tmp_path, rows(rejected=(Rejection("货架.xml", "is not XML"),), set_aside=(SetAside("a.xml: box 1", "空", "gap"),)), []
    )
    assert (tmp_path / "rejected.csv").read_text(encoding="utf-8") == "path,reason,kind\n货架.xml,is not XML,photo\n"
    assert (tmp_path / "set_aside.csv").read_text(encoding="utf-8") == "path,label,target\na.xml: box 1,空,gap\n"
