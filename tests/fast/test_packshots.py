"""The catalogue's reference images: found below their folder, labelled with their SKU, learnt from and nothing else."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.fast.photo_rows import row
from tfx_retail import catalog
from tfx_retail.catalog import Catalog
from tfx_retail.config import DataConfig, SplitConfig
from tfx_retail.ingest import packshots, reading
from tfx_retail.ingest.digest import data_digest
from tfx_retail.ingest.facts import Facts
from tfx_retail.ingest.reading import Sources
from tfx_retail.ingest.record import Item, Rejection
from tfx_retail.ingest.scenes import find_scenes
from tfx_retail.ingest.splits import assign_roles
from tfx_retail.labels import Target

GROCERIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "grocery_store" / "dataset"


def products(folder: Path, *rows: tuple[str, str, str]) -> Catalog:
    """Returns a catalogue of (SKU, look, reference images)."""
    path = folder / "catalog.csv"
    lines = (f"{sku},{sku},drinks,soda,{look},{images}" for sku, look, images in rows)
    path.write_text("\n".join(["sku,name,category,family,look,reference_images", *lines]) + "\n")
    return catalog.read(path)


def settings(root: Path, **options: str) -> DataConfig:
    return DataConfig(path=str(root), format="image_folder", packshots="train", **options)  # type: ignore[arg-type]


def picture(path: Path, color: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 40), color).save(path)


def test_every_reference_image_is_an_item_of_train(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "shots" / name, (200, 0, 0))
    found = list(
        packshots.find(products(tmp_path, ("cola", "cola", "shots/a.png|shots/b.png"), ("lime", "lime", "shots/c.png")), settings(tmp_path))
    )
    assert found == [
        Item(path="shots/a.png", split="train", packshot_of="cola"),
        Item(path="shots/b.png", split="train", packshot_of="cola"),
        Item(path="shots/c.png", split="train", packshot_of="lime"),
    ]


def test_without_the_setting_there_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (200, 0, 0))
    off = DataConfig(path=str(tmp_path), format="image_folder")
    assert list(packshots.find(products(tmp_path, ("cola", "cola", "a.png")), off)) == []


def test_paths_are_below_a_folder_of_their_own_if_the_configuration_names_one(tmp_path: Path) -> None:
    picture(tmp_path / "shop" / "a.png", (200, 0, 0))
    known = products(tmp_path, ("cola", "cola", "a.png"))
    (there,) = packshots.find(known, settings(tmp_path / "data", packshot_path=str(tmp_path / "shop")))
    (absent,) = packshots.find(known, settings(tmp_path / "data"))
    assert isinstance(there, Item)
    assert absent == Rejection(
        "catalogue: cola: a.png",
        f"'a.png' is not there, looked for in {tmp_path / 'data'}; correct reference_images in the catalogue, or data.packshot_path",
    )


def test_a_path_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png", (0, 0, 0))
    (found,) = packshots.find(products(tmp_path, ("cola", "cola", "../secret.png")), settings(tmp_path / "data"))
    assert isinstance(found, Rejection)
    assert "climbs out" in found.reason


def test_a_picture_of_a_look_counts_once(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (200, 0, 0))
    known = products(tmp_path, ("cola 0.5", "cola", "a.png"), ("cola 1.0", "cola", "a.png"), ("lime", "lime", "a.png"))
    found = [item.packshot_of for item in packshots.find(known, settings(tmp_path)) if isinstance(item, Item)]
    assert found == ["cola 0.5", "lime"]  # lime claims to look otherwise: the same picture of both is found as a contradiction


def test_its_label_is_the_sku_whatever_annotations_call_it(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (200, 0, 0))
    known = products(tmp_path, ("cola", "cola", "a.png"))
    data = settings(tmp_path)
    sources = Sources(data, known, lambda label: Target("gap") if label == "cola" else "no such label", Facts({"a": {"store": "x"}}))
    (item,) = packshots.find(known, data)
    assert isinstance(item, Item)
    (photo,) = reading.photos([item], data)
    found = reading.result(photo, sources)
    (record,) = found.records
    assert (record.label, record.source, record.split, record.store) == ("cola", "packshot", "train", "")
    assert (record.box.width, record.box.height) == (20, 40)
    assert found.of_catalog


def test_pack_shots_are_of_train_and_take_no_share_of_it() -> None:
    shelf = [row(f"p{number}") for number in range(20)]
    shots = [row(f"shot{number}", "lime", of_catalog=True) for number in range(50)]
    split = SplitConfig(by="photo")
    alone, beside = (assign_roles(photos, [photo.photo_id for photo in photos], split) for photos in (shelf, shelf + shots))
    assert beside.roles == alone.roles + ["train"] * 50
    assert "SKUs are not in train" not in " ".join(beside.warnings)


def test_a_pack_shot_is_a_scene_of_its_own_however_like_a_photo() -> None:
    photos = [row("p1", hash=0), row("p2", hash=1), row("shot", hash=0, of_catalog=True)]
    assert find_scenes(photos, SplitConfig(scene_bits=10, scene_color=0.5)) == ["p1", "p1", "shot"]


def test_lists_of_roles_need_not_name_them() -> None:
    photos = [row("a", split="train"), row("b", split="eval"), row("c", split="validation"), row("d", split="calibration")]
    shot = row("shot", split="train", of_catalog=True)
    found = assign_roles([*photos, shot], [photo.photo_id for photo in (*photos, shot)], SplitConfig(by="given"))
    assert found.roles == ["train", "eval", "validation", "calibration", "train"]


def test_a_changed_pack_shot_changes_the_datas_digest(tmp_path: Path) -> None:
    picture(tmp_path / "shots" / "a.png", (200, 0, 0))
    picture(tmp_path / "data" / "cola" / "1.png", (200, 0, 0))
    known = products(tmp_path, ("cola", "cola", "a.png"))
    data = settings(tmp_path / "data", packshot_path=str(tmp_path / "shots"))
    before = data_digest(data, known)
    assert before == data_digest(data, known) != data_digest(data)
    os.utime(tmp_path / "shots" / "a.png", ns=(1, 1))
    assert data_digest(data, known) != before


@pytest.mark.skipif(not GROCERIES.is_dir(), reason="the data set is not beside the repository")
def test_grocery_stores_catalogue_names_a_pack_shot_of_each_sku() -> None:
    known = catalog.read(GROCERIES / "classes.csv", "grocery_store")
    found = list(packshots.find(known, settings(GROCERIES)))
    assert len(found) == 81
    assert all(isinstance(item, Item) for item in found)
