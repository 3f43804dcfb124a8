"""`check` tells every fault of the data at once, and decodes no image for it."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tfx_retail.config import CatalogConfig, Config, DataConfig, Manifest, Rule, SampleConfig, ServingConfig, SplitConfig, VerdictConfig
from tfx_retail.data_check import check

HEADER = "sku,name,category,family\n"
CATALOG = HEADER + "cola,Cola,drinks,soda\nlime,Lime,drinks,soda\n可乐,可乐,drinks,soda\n"


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    """Returns a function that writes photos of 40x30 px and a manifest, and checks them."""
    (tmp_path / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "JPEG")

    def look(rows: str, *, photos: int = 8, split: SplitConfig | None = None, **data: Any) -> Any:
        for number in range(photos):
            (tmp_path / f"p{number}.jpg").write_bytes(buffer.getvalue())
        (tmp_path / "boxes.csv").write_text(rows, encoding="utf-8")
        settings = {"path": str(tmp_path), "format": "manifest", "manifests": (Manifest(path="boxes.csv"),)} | data
        return check(configured(tmp_path, DataConfig(**settings), split or SplitConfig()))

    return look


def configured(folder: Path, data: DataConfig, split: SplitConfig) -> Config:
    return Config(
        name="shop",
        root=str(folder / "output"),
        catalog=CatalogConfig(path=str(folder / "catalog.csv")),
        data=data,
        split=split,
        serving=ServingConfig(dir=str(folder / "serving")),
        verdict=VerdictConfig(rules=(Rule(metric="sku_accuracy", at_least=0.5),)),
    )


def manifest(*labels: str) -> str:
    return "path,label\n" + "".join(f"p{number}.jpg,{label}\n" for number, label in enumerate(labels))


GOOD = manifest("cola", "lime", "cola", "lime", "cola", "lime", "cola", "可乐")


def test_data_without_fault_is_counted(shop: Any) -> None:
    found = shop(GOOD)
    assert found.faults == []
    assert found.counts == {
        "SKUs in the catalogue": 3,
        "photos": 8,
        "boxes": 8,
        "crops that can be used": 8,
        "boxes set aside": 0,
        "photos or boxes rejected": 0,
    }
    assert found.warnings == ["1 SKUs have fewer than 2 crops in train (data.min_class_records): 可乐"]


def test_all_faults_of_labels_boxes_and_files_are_told(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image", encoding="utf-8")
    rows = "path,label,left,top,right,bottom\n" + "".join(
        [
            "p0.jpg,cola,0,0,20,20\n",
            "p0.jpg,Cola,0,0,20,20\n",
            "p1.jpg,lime,0,0,60,20\n",
            "p2.jpg,cola,20,0,10,20\n",
            "p3.jpg,cola,0,0,20,20\n",
            "p3.jpg,cola,0,0,20,20\n",
            "p4.jpg,lime,0,0,4,4\n",
            "gone.jpg,lime,0,0,20,20\n",
            "text.jpg,lime,0,0,20,20\n",
            "../p1.jpg,lime,0,0,20,20\n",
            "p5.jpg,gap,0,0,20,20\n",
        ]
    )
    found = shop(rows)
    told = "\n".join(found.faults)
    for part in (
        "boxes.csv: line 3: label 'Cola' differs from 'cola' only in case or spaces",
        "boxes.csv: line 4: the box 0, 0, 60, 20 (left, top, right, bottom) leaves the 40x30 photo by 20 px",
        "boxes.csv: line 5: the box 20, 0, 10, 20 (left, top, right, bottom) is inverted",
        "boxes.csv: line 7: one product boxed twice",
        "boxes.csv: line 8: the box 0, 0, 4, 4 (left, top, right, bottom) is 4x4 px; its shorter side is under data.min_box_px (8)",
        "boxes.csv: line 9: 'gone.jpg' is not there",
        "text.jpg: is not an image that is read here",
        "climbs out of the data's folder",
    ):
        assert part in told
    assert found.counts["photos or boxes rejected"] == 8
    assert found.counts["boxes set aside"] == 1


def test_as_many_rejections_as_allowed_are_warnings(shop: Any) -> None:
    found = shop(GOOD + "gone.jpg,cola\n", max_rejected=1)
    assert found.faults == []
    assert "boxes.csv: line 10: 'gone.jpg' is not there" in found.warnings


def test_faults_of_catalogue_label_map_and_facts_are_told_together(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text(HEADER + "cola,Cola,drinks,soda\ncola,Cola,drinks,soda\n", encoding="utf-8")
    (tmp_path / "facts.csv").write_text("photo,mm_per_px\np0.jpg,0\n", encoding="utf-8")
    told = "\n".join(shop(GOOD, photo_facts="facts.csv").faults)
    assert "catalog.csv: rows 2, 3, column sku: 'cola' is there 2 times" in told
    assert "facts.csv: row 2: mm_per_px is '0'" in told
    assert "boxes.csv" not in told


def test_an_unknown_sku_in_the_label_map_is_told(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("label,sku\nL1,nobody\n", encoding="utf-8")
    assert any(
        "map.csv: row 2, column sku: 'nobody' is not in the catalogue" in fault
        for fault in shop(GOOD, label_map=str(tmp_path / "map.csv")).faults
    )


def test_splits_that_cannot_be_are_told(shop: Any) -> None:
    assert any("split.by store: 8 of 8 photos have no store" in fault for fault in shop(GOOD, split=SplitConfig(by="store")).faults)
    assert any("split.by given: 8 of 8 photos have no role" in fault for fault in shop(GOOD, split=SplitConfig(by="given")).faults)
    few = shop(manifest("cola", "lime"), split=SplitConfig(by="photo"))
    assert few.faults == ["split.by photo: 2 photos, but 4 roles need one each; add photos, or choose another split.by"]


def test_a_photo_in_two_splits_and_products_that_only_eval_has_are_told(shop: Any) -> None:
    rows = "path,label,split\n" + "".join(
        f"p{number}.jpg,{label},{role}\n"
        for number, label, role in [(0, "cola", "train"), (0, "cola", "eval"), (1, "lime", "validation"), (2, "lime", "calibration")]
    )
    found = shop(rows, split=SplitConfig(by="given"))
    assert found.faults == ["p0.jpg: is in 2 splits, eval and train; keep it in one"]
    assert "1 SKUs are not in train, so no model can know them: lime" in found.warnings
    assert found.counts["photos in train"] == 1


def test_one_product_only_is_a_fault(shop: Any) -> None:
    assert any("all crops are of one SKU, 'cola'" in fault for fault in shop(manifest(*["cola"] * 8)).faults)


def test_a_folder_that_is_not_there_is_a_fault_or_drawn_by_the_first_run(shop: Any, tmp_path: Path) -> None:
    gone = DataConfig(path=str(tmp_path / "gone"), format="voc")
    (fault,) = check_in(tmp_path, gone).faults
    assert "found nothing, expected the folder of the data" in fault
    drawn = DataConfig(path=str(tmp_path / "gone"), format="voc", sample=SampleConfig(photos=160))
    found = check_in(tmp_path, drawn)
    assert found.faults == []
    assert found.warnings == [f"{tmp_path / 'gone'} is not there yet: the first run draws 160 sample photos into it"]


def check_in(folder: Path, data: DataConfig) -> Any:
    (folder / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    return check(configured(folder, data, SplitConfig()))
