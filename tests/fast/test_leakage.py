"""What lies in two splits is found: the same photo, the same pixels, nearly the same photo; and one image under two products."""

from pathlib import Path

import pytest

from tests.fast.photo_rows import row
from tfx_retail.config import DataConfig
from tfx_retail.ingest.leakage import Leak, find_contradictions, find_leakage, write_leaks

WARN = DataConfig(path="data", format="voc")
FAIL = DataConfig(path="data", format="voc", on_leakage="fail")


def test_photos_that_have_nothing_in_common_do_not_leak() -> None:
    found = find_leakage([row("a"), row("b")], ["train", "eval"], FAIL)
    assert (found.leaks, found.fatal, found.warnings, found.alike_crops) == ([], [], [], 0)


def test_a_photo_in_two_lists_is_fatal_and_told_once() -> None:
    found = find_leakage([row("a", split="train"), row("a", split="eval")], ["train", "eval"], WARN)
    assert found.leaks == [Leak("same photo", "a", "train", "a", "eval", 0)]
    assert found.fatal == ["1 photos are in two splits, say a (eval) and a (train)"]


def test_the_same_pixels_under_two_names_are_fatal() -> None:
    photos = [row("a", digest="same", hash=5), row("b", digest="same", hash=5), row("c", digest="same", hash=5)]
    found = find_leakage(photos, ["train", "train", "eval"], WARN)
    assert found.leaks == [Leak("same pixels", "a", "train", "c", "eval", 0)]
    assert len(found.fatal) == 1


def test_the_same_crop_of_two_photos_is_fatal() -> None:
    found = find_leakage([row("a", crops=("same",)), row("b", crops=("same",))], ["train", "validation"], WARN)
    assert found.leaks == [Leak("same crop", "a#1", "train", "b#1", "validation", 0)]
    assert found.fatal == ["1 crops have the pixels of a crop in another split, say b#1 (validation) and a#1 (train)"]


@pytest.mark.parametrize(("bits", "leaks"), [(0, False), (0b1111, True), (0b11111, False)])
def test_near_duplicates_are_photos_within_four_bits_that_differ(bits: int, leaks: bool) -> None:
    found = find_leakage([row("a", hash=0), row("b", hash=bits << 20 or 2**40 - 1)], ["train", "eval"], WARN)
    assert bool(found.leaks) == leaks
    assert bool(found.warnings) == leaks
    assert found.fatal == []


def test_near_duplicates_are_fatal_where_the_config_says_so() -> None:
    found = find_leakage([row("a", hash=0), row("b", hash=1)], ["train", "eval"], FAIL)
    assert found.fatal == ["1 photos are near-duplicates of a photo in another split, say b (eval) and a (train)"]
    assert found.warnings == []


def test_each_near_duplicate_is_listed_with_the_nearest_photo_of_an_earlier_role() -> None:
    photos = [row("x", hash=0b0), row("a", hash=0b111), row("b", hash=0b110), row("c", hash=0b110), row("d", hash=0b11)]
    found = find_leakage(photos, ["eval", "train", "validation", "train", "eval"], WARN)
    assert found.leaks == [
        Leak("near-duplicate", "b", "validation", "x", "eval", 2),
        Leak("near-duplicate", "c", "train", "b", "validation", 0),
        Leak("near-duplicate", "a", "train", "d", "eval", 1),
    ]


def test_near_duplicates_inside_one_role_are_no_leak() -> None:
    assert find_leakage([row("a", hash=0), row("b", hash=0)], ["eval", "eval"], FAIL).leaks == []


def test_crops_that_look_alike_are_counted_and_nothing_more() -> None:
    photos = [row("a", alike=(7,)), row("b", "cola", "cola", alike=(7, 7)), row("c", alike=(7,))]
    found = find_leakage(photos, ["train", "eval", "train"], FAIL)
    assert found.alike_crops == 2
    assert found.fatal == []


def test_one_image_under_two_products_is_named_with_both() -> None:
    photos = [row("a", "cola", crops=("same",)), row("b", "lime", crops=("same",)), row("c", "cola", crops=("same",)), row("d")]
    reason = "the same image is 'cola' (a#1) and 'lime' (b#1); correct one of them"
    assert find_contradictions(photos) == {"a#1": reason, "b#1": reason, "c#1": reason}


def test_one_image_twice_under_one_product_is_no_contradiction() -> None:
    assert find_contradictions([row("a", crops=("same",)), row("b", crops=("same",))]) == {}


def test_the_list_of_leaks_is_a_csv(tmp_path: Path) -> None:
    write_leaks(tmp_path / "report" / "leakage.csv", [Leak("near-duplicate", "货架.jpg", "train", "b.jpg", "eval", 3)])
    text = (tmp_path / "report" / "leakage.csv").read_text(encoding="utf-8")
    assert text == "kind,first,first_role,second,second_role,bits\nnear-duplicate,货架.jpg,train,b.jpg,eval,3\n"
