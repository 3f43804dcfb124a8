import csv
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from PIL import Image

from tfx_retail import catalog
from tfx_retail.config import DataConfig
from tfx_retail.ingest import voc
from tfx_retail.ingest.record import Annotation, Item, Photo
from tfx_retail.sample import SampleError, SampleSummary, make
from tfx_retail.sample.artwork import pack
from tfx_retail.sample.assortment import assortment

SIZE_PAIRS = [("norda-cola-original-250ml", "norda-cola-original-500ml"), ("青叶绿茶-蓝莓-500ml", "青叶绿茶-蓝莓-1000ml")]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return make(tmp_path_factory.mktemp("sample") / "a", photos=34, skus=14, seed=1, processes=1)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def photos_of(folder: Path) -> list[Photo]:
    settings = DataConfig(path=str(folder), format="voc")
    found = []
    for item in voc.find(str(folder), settings):
        assert isinstance(item, Item)
        (photo,) = voc.read(str(folder), item, settings)
        assert isinstance(photo, Photo) and not photo.faults
        found.append(photo)
    return found


@pytest.mark.long
def test_the_same_seed_gives_the_same_bytes_whoever_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # else each process that draws would import pytest first
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    alone = make(tmp_path / "a", photos=5, skus=14, seed=1, processes=1)
    together = make(tmp_path / "b", photos=5, skus=14, seed=1, processes=2)
    assert content(together.folder) == content(alone.folder)
    assert together.boxes == alone.boxes


@pytest.mark.long
def test_another_seed_gives_other_photos(sample: SampleSummary, tmp_path: Path) -> None:
    other = content(make(tmp_path / "b", photos=1, skus=14, seed=2, processes=1).folder)
    assert other["JPEGImages/scene_00000_0.jpg"] != content(sample.folder)["JPEGImages/scene_00000_0.jpg"]


def test_a_sample_holds_what_it_says(sample: SampleSummary) -> None:
    found = photos_of(sample.folder)
    assert (len(found), sample.photos, sample.scenes, sample.skus, sample.families) == (34, 34, 9, 14, 5)
    assert sum(len(photo.annotations) for photo in found) == sample.boxes
    assert str(sample) == f"{sample.folder}: 34 photos of 9 scenes with {sample.boxes} boxes; 14 SKUs in 5 families"


def test_photos_show_about_fourteen_packs_and_some_gaps(sample: SampleSummary) -> None:
    found = photos_of(sample.folder)
    assert 12 <= mean(len(photo.annotations) for photo in found) <= 16
    labels = Counter(annotation.label for photo in found for annotation in photo.annotations)
    skus = catalog.read(sample.folder / "catalog.csv", "csv").by_sku
    assert set(labels) == {*skus, "gap"}


def test_boxes_lie_in_the_photo_and_those_cut_off_touch_its_edge(sample: SampleSummary) -> None:
    truncated = 0
    for photo in photos_of(sample.folder):
        assert photo.declared_size == (480, 360)
        for annotation in photo.annotations:
            box = annotation.box
            assert box is not None
            assert 0 <= box.left < box.right <= 480 and 0 <= box.top < box.bottom <= 360
            if annotation.truncated:
                truncated += 1
                assert box.left == 0 or box.top == 0 or box.right == 480 or box.bottom == 360
    assert truncated > 0


def test_a_measured_box_is_as_large_as_the_catalogue_says(sample: SampleSummary) -> None:
    products = catalog.read(sample.folder / "catalog.csv", "csv").by_sku
    scale = {row["photo"]: float(row["mm_per_px"]) for row in rows(sample.folder / "photos.csv") if row["mm_per_px"]}

    def errors(photo_id: str, annotation: Annotation) -> list[float]:
        product, box = products.get(annotation.label), annotation.box
        if product is None or box is None or annotation.truncated:
            return []
        assert product.width_mm and product.height_mm
        return [box.width * scale[photo_id] / product.width_mm - 1, box.height * scale[photo_id] / product.height_mm - 1]

    photos = [photo for photo in photos_of(sample.folder) if photo.photo_id in scale]
    found = [error for photo in photos for annotation in photo.annotations for error in errors(photo.photo_id, annotation)]
    assert len(found) > 500
    assert abs(mean(found)) < 0.03  # a tilted pack needs a slightly larger box
    assert max(abs(error) for error in found) < 0.12  # half of what tells the sizes of a pair apart


def test_facts_name_every_photo_and_scenes_have_four(sample: SampleSummary) -> None:
    facts = rows(sample.folder / "photos.csv")
    assert list(facts[0]) == ["photo", "store", "taken_at", "group", "mm_per_px"]
    assert [row["photo"] for row in facts] == sorted(photo.photo_id for photo in photos_of(sample.folder))
    assert sorted(Counter(row["group"] for row in facts).values()) == [2, 4, 4, 4, 4, 4, 4, 4, 4]
    assert {row["store"] for row in facts} == {"harbour", "station"}
    assert len({row["taken_at"][:10] for row in facts}) > 3
    assert any(not row["mm_per_px"] for row in facts)


def test_the_planogram_gives_every_sku_a_place_in_every_store(sample: SampleSummary) -> None:
    slots = rows(sample.folder / "planogram.csv")
    assert list(slots[0]) == ["store", "fixture", "shelf", "slot", "sku", "facings", "x_mm", "width_mm"]
    for store in ("harbour", "station"):
        assert len({slot["sku"] for slot in slots if slot["store"] == store}) == 14
    for left, right in pairwise(slots):
        if (left["store"], left["fixture"], left["shelf"]) == (right["store"], right["fixture"], right["shelf"]):
            assert int(right["slot"]) == int(left["slot"]) + 1
            assert float(left["x_mm"]) + float(left["width_mm"]) < float(right["x_mm"])


def test_two_pairs_differ_in_size_only() -> None:
    items = {item.product.sku: item for item in assortment(14)}
    looks = Counter(item.product.look for item in items.values())
    assert sorted(look for look, count in looks.items() if count > 1) == ["norda-cola-original", "青叶绿茶-蓝莓"]
    for small, large in SIZE_PAIRS:
        one, other = items[small].front, items[large].front
        assert other.height_mm / one.height_mm == pytest.approx(1.3, abs=0.005)
        assert pack(one, (80, 120)).tobytes() == pack(other, (80, 120)).tobytes()


def test_flavours_of_a_family_differ_in_a_narrow_band_only() -> None:
    lime, mint = (np.asarray(pack(item.front, (100, 200)).convert("RGB"), int) for item in assortment(14)[3:5])
    different = np.flatnonzero(np.abs(lime - mint).max(axis=(1, 2)) > 8)  # rows
    assert different.min() >= 136 and different.max() <= 158  # 0.68 and 0.79 of 200


def test_a_pack_touches_all_four_edges_of_its_box() -> None:
    for item in assortment(20):
        opaque = pack(item.front, (90, 130)).getchannel("A").point([0] * 100 + [255] * 156)
        assert opaque.getbbox() == (0, 0, 90, 130)


@pytest.mark.parametrize(("skus", "families", "looks"), [(12, 5, 10), (14, 5, 12), (20, 5, 18), (47, 12, 42), (600, 150, 540)])
def test_any_number_of_skus_makes_a_sound_catalogue(tmp_path: Path, skus: int, families: int, looks: int) -> None:
    products = tuple(item.product for item in assortment(skus))
    catalog.write(catalog.of(products), tmp_path / "catalog.csv")
    found = catalog.read(tmp_path / "catalog.csv", "csv")
    assert found.products == products
    assert (len(products), len(found.families), len(found.looks), len(found.categories)) == (skus, families, looks, 3)


def test_an_older_sample_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    make(tmp_path / "a", photos=3, skus=12, seed=1, processes=1)
    make(tmp_path / "a", photos=1, skus=12, seed=1, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a" / "JPEGImages").iterdir()] == ["scene_00000_0.jpg"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_draws_is_not(tmp_path: Path) -> None:
    living = tmp_path / f".a.draft-{os.getppid()}"
    for folder in (tmp_path / f".a.draft-{_ended_process()}", living):
        (folder / "JPEGImages").mkdir(parents=True)
    make(tmp_path / "a", photos=1, skus=12, seed=1, processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, "a"]


def _ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert make(tmp_path / "a", photos=1, skus=12, seed=1, processes=1).photos == 1


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SampleError, match="holds other files"):
        make(tmp_path, photos=1, skus=12, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(SampleError, match="is a file, expected a folder"):
        make(tmp_path / "a", photos=1, skus=12, seed=1)


@pytest.mark.parametrize(("photos", "skus", "seed"), [(0, 14, 1), (1, 11, 1), (1, 14, -1)])
def test_too_small_a_sample_is_refused(tmp_path: Path, photos: int, skus: int, seed: int) -> None:
    with pytest.raises(SampleError, match="expected at least 1, 12 and 0"):
        make(tmp_path / "a", photos=photos, skus=skus, seed=seed)


def test_photos_are_jpeg_files_of_their_size(sample: SampleSummary) -> None:
    with Image.open(sample.folder / "JPEGImages" / "scene_00003_1.jpg") as photo:
        assert (photo.format, photo.size, photo.mode) == ("JPEG", (480, 360), "RGB")
