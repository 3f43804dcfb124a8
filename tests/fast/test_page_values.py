"""What the page says in numbers: read without TensorFlow, worked out by hand."""

import io
import math
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from tests.fast.page_run import CATALOG, CROPS, LOOK, SKUS, Crop, photo, write_examples, write_predictions
from tfx_retail import bounds, catalog
from tfx_retail.bounds import Totals
from tfx_retail.page import charts, confusion, mistakes, photos, picked, predicted, shares, statistics, tiles, values

PLAIN, SIZED = predicted.SIGNATURES


def made_of(crops: tuple[Crop, ...]) -> predicted.Predicted:
    with tempfile.TemporaryDirectory() as folder:
        return read(Path(folder), crops)


def with_lists(made: predicted.Predicted, **lists: list[str]) -> predicted.Predicted:
    changed = msgspec.structs.replace(made.lists, **lists)
    return predicted.Predicted(changed, made.texts, made.flags, made.sides, made.truth, made.answers)


def read(folder: Path, crops: tuple[Crop, ...] = CROPS) -> predicted.Predicted:
    return predicted.read(write_predictions(folder, crops), "eval")


def test_predictions_are_read_without_tensorflow(tmp_path: Path) -> None:
    made = read(tmp_path)
    assert len(made) == 6
    assert made.right(PLAIN)[:, 0].tolist() == [True, False, True, False, True, True]
    assert made.right(SIZED)[:, 0].tolist() == [True, True, True, False, True, True]
    assert made.right(PLAIN)[:, 1].tolist() == [True, True, True, False, True, True]
    assert made.answers[PLAIN].confidence == pytest.approx([0.9, 0.6, 0.8, 0.95, 0.7, 0.99])
    assert made.answers[PLAIN].truth_score[1] == pytest.approx(0.4 / 3)
    assert made.texts["store"].tolist() == ["north", "north", "south", "south", "south", "south"]
    assert made.sized.tolist() == [True, True, True, False, True, True]
    assert LOOK == (0, 0, 1, 2)


def test_an_answer_without_a_place_in_the_lists_is_wrong_and_in_no_matrix(tmp_path: Path) -> None:
    made = read(tmp_path, (Crop(0, -1, 0.9), Crop(1, 1, 0.9)))
    assert made.right(PLAIN)[:, 0].tolist() == [False, True]
    assert confusion.matrix(made, PLAIN).counts.sum() == 1
    assert confusion.pairs(made, PLAIN) == []


def test_a_share_has_the_bounds_of_the_verdict() -> None:
    right, scenes = np.array([True] * 9 + [False]), np.arange(10)
    found = shares.share(right, scenes, 0.05)
    totals = Totals(np.ones(10), right.astype(float))
    assert (found.value, found.crops) == (0.9, 10)
    assert (found.low, found.high) == (bounds.lower(totals, 0.05, 0.0), bounds.upper(totals, 0.05, 1.0))
    assert 0.0 < found.low < 0.9 < found.high < 1.0


def test_bounds_have_a_width_where_no_answer_is_wrong() -> None:
    found = shares.share(np.ones(20, bool), np.arange(20))
    assert found.low == pytest.approx(0.8316, abs=3e-3)  # 40 ** (-1 / 20): half of the stake on the boldest bet grows to 1 / 0.05
    assert found.high == 1.0


def test_crops_of_one_scene_count_as_one() -> None:
    right = np.array([True, True, True, True, False, False, False, False])
    alike, apart = shares.share(right, np.repeat([0, 1], 4)), shares.share(right, np.arange(8))
    assert alike.value == apart.value == 0.5
    assert alike.high - alike.low > apart.high - apart.low
    assert shares.share(np.ones(500, bool), np.zeros(500, np.int64)).low < 0.1  # one scene proves next to nothing


def test_no_crop_has_no_share() -> None:
    assert math.isnan(shares.share(np.zeros(0, bool), np.zeros(0, np.int64)).value)
    assert values.share(shares.share(np.zeros(0, bool), np.zeros(0, np.int64))).text == "–"


def test_slices_count_by_family_store_and_day(tmp_path: Path) -> None:
    found = {(item.feature, item.value): item for item in shares.slices(read(tmp_path))}
    assert found["family", "Cola"].shares[PLAIN].value == pytest.approx(2 / 3)
    assert found["family", "Cola"].shares[SIZED].value == 1.0
    assert found["store", "south"].shares[PLAIN].crops == 4
    assert found["day", "2026-01-05"].scenes == 1
    assert ("truncated", "no") not in found  # it would be all crops again


def test_slices_by_face_truncation_and_age_of_the_photo_where_the_data_has_them(tmp_path: Path) -> None:
    facts = [
        ("2026-03-01T10:00", "front", 0),
        ("2026-02-20T10:00", "front", 1),
        ("2025-12-01T10:00", "side", 0),
        ("2025-01-01T10:00", "side", 0),
    ]
    crops = tuple(
        Crop(0, place % 2, 0.9, group=str(place), facts={"taken_at": day, "face": face, "truncated": [cut]})  # type: ignore[dict-item]
        for place, (day, face, cut) in enumerate(facts)
    )
    found = {(item.feature, item.value): item.shares[PLAIN] for item in shares.slices(read(tmp_path, crops))}
    assert (found["face", "front"].value, found["face", "side"].crops) == (0.5, 2)
    assert (found["truncated", "yes"].value, found["truncated", "no"].crops) == (0.0, 3)
    ages = {value: share.crops for (feature, value), share in found.items() if feature == "age of the photo"}
    assert ages == {"up to a week": 1, "up to a month": 1, "up to half a year": 1, "older": 1}


def test_a_change_is_counted_on_the_same_crops(tmp_path: Path) -> None:
    crops = (Crop(0, 0, 0.9, earlier=1), Crop(0, 0, 0.9, earlier=0), Crop(2, 0, 0.9, earlier=2), Crop(3, 3, 0.9, earlier=3))
    found = {(item.feature, item.value): item for item in shares.slices(read(tmp_path, crops))}
    assert found["SKU", "cola-1l"].change[PLAIN] == 0.5
    assert found["SKU", SKUS[2]].change[PLAIN] == -1.0
    assert found["SKU", SKUS[3]].change[PLAIN] == 0.0


def test_a_run_against_another_run_is_compared_on_common_crops(tmp_path: Path) -> None:
    now, then = read(tmp_path / "now"), read(tmp_path / "then", CROPS[:2])
    assert shares.overall(now, then).change[PLAIN] == 0.0
    assert shares.overall(now, read(tmp_path / "other", (Crop(0, 0, 0.9), Crop(0, 0, 0.9)))).change[PLAIN] == -0.5


def test_a_run_is_compared_with_another_run_by_sku_whatever_the_order_of_its_lists(tmp_path: Path) -> None:
    now = read(tmp_path / "now", (Crop(0, 0, 0.9), Crop(1, 1, 0.9), Crop(2, 0, 0.9)))
    then = read(tmp_path / "then", (Crop(0, 0, 0.9), Crop(1, 0, 0.9)))
    same = tiles.changed(now, then)
    assert same["sku_accuracy"] == 0.5  # of the two crops that both saw
    assert same["macro_f1"] == pytest.approx(1.0 - (2 / 3 + 0.0) / 2)
    swapped = with_lists(then, skus=[SKUS[1], SKUS[0], *SKUS[2:]])  # so it answered the second SKU, both times
    assert tiles.changed(now, swapped)["macro_f1"] == pytest.approx(1.0 - (0.0 + 2 / 3) / 2)


def test_pairs_are_counted_and_those_across_families_marked(tmp_path: Path) -> None:
    first, second = confusion.pairs(read(tmp_path), PLAIN)
    assert (first.true, first.answered, first.crops, first.share, first.across) == (0, 1, 1, 0.5, False)
    assert (second.true, second.answered, second.crops, second.share, second.across) == (2, 0, 1, 0.5, True)


def test_the_surest_mistake_comes_first_and_a_pair_does_not_fill_the_gallery(tmp_path: Path) -> None:
    found = mistakes.worst(read(tmp_path, (*[Crop(0, 1, 0.9)] * 10, Crop(2, 3, 0.5))))
    assert [item.true for item in found] == [0] * 6 + [2]


def test_a_sure_answer_of_another_look_is_a_suspect_and_one_of_the_same_look_is_not(tmp_path: Path) -> None:
    assert [item.row for item in mistakes.suspects(read(tmp_path, (Crop(0, 2, 0.99), Crop(0, 1, 0.99), Crop(2, 0, 0.6))))] == [0]


def test_a_median_side_far_from_the_catalogue_is_told(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    crops = (
        *[Crop(0, 0, 0.9, height_mm=mm) for mm in (230.0, 240.0, 300.0)],
        *[Crop(1, 1, 0.9, height_mm=mm) for mm in (300.0, 310.0, 320.0)],
    )
    (found,) = mistakes.misfits([read(tmp_path / "p", crops)], catalog.read(tmp_path / "catalog.csv"))
    assert (found.sku, found.side, found.catalogue_mm, found.median_mm, found.crops) == ("cola-1l", "height", 200.0, 240.0, 3)
    assert found.off == pytest.approx(0.2)


def test_thumbnails_are_small_and_a_damaged_or_missing_photo_is_left_out(tmp_path: Path) -> None:
    examples = write_examples(tmp_path, CROPS)
    found = photos.of_rows(examples, "eval", {0: "photo0.jpg#0", 5: "photo5.jpg#0", 99: "photo99.jpg#0"})
    assert list(found) == ["photo0.jpg#0", "photo5.jpg#0"]
    assert found["photo0.jpg#0"].startswith("data:image/jpeg;base64,")
    assert photos.of_skus(examples, SKUS).keys() == set(SKUS)
    assert photos.of_rows(None, "eval", {0: "photo0.jpg#0"}) == {}
    assert photos.thumbnail(b"not an image") == photos.thumbnail(photo((1, 2, 3))[:40]) == ""


def test_a_photo_is_shown_only_if_the_example_is_that_crop(tmp_path: Path) -> None:
    assert photos.of_rows(write_examples(tmp_path, CROPS), "eval", {1: "photo0.jpg#0"}) == {}


def test_a_file_that_was_cut_off_gives_the_photos_before(tmp_path: Path) -> None:
    examples = write_examples(tmp_path, CROPS)
    (path,) = (examples / "Split-eval").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    assert list(photos.of_rows(examples, "eval", {0: "photo0.jpg#0", 5: "photo5.jpg#0"})) == ["photo0.jpg#0"]


def test_the_example_of_a_sku_is_the_crop_that_was_named_most_surely() -> None:
    crops = (Crop(0, 0, 0.6), Crop(0, 0, 0.9), Crop(0, 1, 0.99), Crop(1, 0, 0.5))
    assert picked._typical(made_of(crops), {0, 1}) == {0: 1}


def test_a_large_photo_becomes_a_small_one() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000), (9, 9, 9)).save(file, "PNG")
    assert len(photos.thumbnail(file.getvalue())) < 3000


def test_no_statistics_are_no_histograms(tmp_path: Path) -> None:
    assert statistics.read(tmp_path) == {}


def test_texts_of_numbers() -> None:
    assert [values.points(value) for value in (0.012, -0.012, 0.0001)] == ["+1.2", "−1.2", "±0.0"]
    assert [values.percent(value) for value in (0.5, None, math.nan)] == ["50.0 %", "–", "–"]
    assert [values.duration(value) for value in (3.14, 45.0, 200.0, 7300.0)] == ["3.1 s", "45 s", "3 min 20 s", "2 h 01 min"]
    assert values.change(math.nan).text == "–"


def test_a_scale_ends_at_a_round_number() -> None:
    assert [charts.ceiling([value]) for value in (0.113, 2.32, 99.0, 0.0, math.nan)] == pytest.approx([0.12, 2.4, 100.0, 1.0, 1.0])
