"""Which versions a run will be compared with."""

from pathlib import Path
from typing import Any

import pytest

from tests.fast.shop import FOLDERS
from tfx_retail import config_file, inputs, versions
from tfx_retail.errors import UserError
from tfx_retail.inputs import RunInputs
from tfx_retail.versions import Manifest


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(FOLDERS)
    (tmp_path / "catalog.csv").write_text("sku,name,category,family\ncola,Cola,drinks,soda\n")
    (tmp_path / "photos" / "drinks" / "soda" / "cola").mkdir(parents=True)
    (tmp_path / "photos" / "drinks" / "soda" / "cola" / "1.jpg").write_bytes(b"only its bytes count here")
    for number in (1, 2):
        exported = tmp_path / f"exported-{number}"
        (exported / "assets.extra").mkdir(parents=True)
        (exported / "saved_model.pb").write_text(str(number))
        (exported / "assets.extra" / "labels.csv").write_text("index,sku,status\n0,cola,active\n")
        said: dict[str, Any] = {
            "time": "",
            "config": {},
            "config_digest": "",
            "data_digest": "",
            "code_digest": "",
            "metrics": {},
            "verdict": {},
        }
        versions.push(exported, tmp_path / "models" / "shop", Manifest(name="shop", run_id=f"r{number}", schema_reviewed=False, **said))
    return tmp_path


def prepared(shop: Path, *overrides: str) -> RunInputs:
    return inputs.prepare(config_file.load(shop / "shop.yaml", overrides))


def numbers(given: RunInputs) -> tuple[int | None, int | None]:
    return (given.baseline.number if given.baseline else None, given.reference.number if given.reference else None)


def test_the_served_version_is_the_baseline_and_nothing_is_pinned(shop: Path) -> None:
    assert numbers(prepared(shop)) == (2, None)


def test_a_pinned_version_is_the_reference(shop: Path) -> None:
    assert numbers(prepared(shop, "verdict.reference=1")) == (2, 1)


def test_a_pinned_version_that_is_the_baseline_is_not_asked_twice(shop: Path) -> None:
    assert numbers(prepared(shop, "verdict.reference=2")) == (2, None)


def test_a_pinned_version_that_is_not_there_is_refused_before_the_run(shop: Path) -> None:
    with pytest.raises(UserError, match=r"verdict\.reference: .*shop has no version 7; there are: 1, 2; pin one of these") as refused:
        prepared(shop, "verdict.reference=7")
    assert refused.value.exit_code == 2
