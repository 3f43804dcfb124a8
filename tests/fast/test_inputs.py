"""What a run is given before it starts: kept by content, so that nothing changes under the cache."""

from pathlib import Path

import pytest

from tests.fast.shop import FOLDERS
from tfx_retail import config_file, inputs, labels, versions
from tfx_retail.config import Config
from tfx_retail.ingest.record import DataError
from tfx_retail.priors import PriorError
from tfx_retail.versions import Manifest

HEADER = "sku,name,category,family\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "shop.yaml").write_text(FOLDERS)
    catalogue(tmp_path, "a", "b")
    photo = tmp_path / "photos" / "Drinks" / "Cola" / "a" / "1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"one")
    return config_file.load(tmp_path / "shop.yaml")


def catalogue(folder: Path, *skus: str) -> None:
    (folder / "catalog.csv").write_text(HEADER + "".join(f"{sku},Cola {sku},Drinks,Cola\n" for sku in skus))


def push(config: Config, order: str, **facts: object) -> int:
    exported = Path(config.root) / "exported" / order
    (exported / "assets.extra").mkdir(parents=True)
    rows = "".join(f"{index},{sku},active\n" for index, sku in enumerate(order))
    (exported / "assets.extra" / "labels.csv").write_text("index,sku,status\n" + rows)
    common = {"name": "shop", "run_id": order, "time": "", "config": {}, "code_digest": "", "metrics": {}, "verdict": {}}
    digests = {"config_digest": "", "data_digest": "", "schema_reviewed": False}
    return versions.push(exported, inputs.model_dir(config), Manifest(**{**common, **digests, **facts}))  # type: ignore[arg-type]


def order_of(given: inputs.RunInputs) -> list[str]:
    return [label.sku for label in labels.read(given.labels)]


def test_the_same_inputs_have_the_same_names(config: Config) -> None:
    assert inputs.prepare(config) == inputs.prepare(config)


def test_a_changed_catalogue_is_another_file_and_the_old_one_stays(config: Config, tmp_path: Path) -> None:
    before = inputs.prepare(config)
    catalogue(tmp_path, "a", "b", "c")
    after = inputs.prepare(config)
    assert before.catalog != after.catalog and before.labels != after.labels
    assert "Cola c" not in before.catalog.read_text() and order_of(after) == ["a", "b", "c"]


def test_a_changed_photo_changes_the_digest(config: Config, tmp_path: Path) -> None:
    before = inputs.prepare(config)
    (tmp_path / "photos" / "Drinks" / "Cola" / "a" / "1.jpg").write_bytes(b"another")
    assert inputs.prepare(config).data_digest != before.data_digest


def test_a_new_product_comes_last_whatever_its_place_in_the_catalogue(config: Config, tmp_path: Path) -> None:
    push(config, "ab")
    catalogue(tmp_path, "c", "a", "b")
    assert order_of(inputs.prepare(config)) == ["a", "b", "c"]


def test_an_index_that_a_rolled_back_version_gave_away_stays_taken(config: Config, tmp_path: Path) -> None:
    push(config, "ab")
    push(config, "abc")
    versions.rollback(inputs.model_dir(config), 1)
    catalogue(tmp_path, "a", "b", "d")
    assert order_of(inputs.prepare(config)) == ["a", "b", "c", "d"]


def test_the_baseline_is_the_served_version_unless_this_very_run_made_it(config: Config) -> None:
    assert inputs.prepare(config).baseline is None
    push(config, "ab")
    given = inputs.prepare(config)
    assert given.baseline is not None and given.baseline.number == 1
    push(config, "abc", config_digest=given.config_digest, data_digest=given.data_digest, baseline=1)
    again = inputs.prepare(config)
    assert again.baseline is not None and again.baseline.number == 1


def test_places_do_not_change_what_a_run_is(config: Config, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(FOLDERS.replace("root: out", "root: elsewhere").replace("dir: models", "dir: other"))
    assert inputs.config_digest(config_file.load(tmp_path / "shop.yaml")) == inputs.config_digest(config)


def test_a_verdict_threshold_does_not_change_what_the_trainer_sees(config: Config, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(FOLDERS.replace("0.8", "0.9"))
    strict = config_file.load(tmp_path / "shop.yaml")
    assert inputs.training_view(strict) == inputs.training_view(config)
    assert inputs.config_digest(strict) != inputs.config_digest(config)


def test_data_that_is_not_there_is_told(config: Config, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(FOLDERS.replace("path: photos", "path: nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        inputs.prepare(config_file.load(tmp_path / "shop.yaml"))


def test_thresholds_and_priors_do_not_train_again(config: Config, tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text("sku,weight\na,3\nb,1\n")
    settings = ("serving.prior=file", "serving.prior_file=weights.csv", "serving.accept_above=0.9", "abstain.precision=0.7")
    other = config_file.load(tmp_path / "shop.yaml", (*settings, "calibration.share=0.5"))
    assert inputs.training_view(other) == inputs.training_view(config)


def test_weights_of_a_prior_are_kept_by_content_and_checked_against_the_products(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text("sku,weight\na,3\nb,1\n")
    given = config_file.load(tmp_path / "shop.yaml", ("serving.prior=file", "serving.prior_file=weights.csv"))
    first = inputs.prepare(given)
    path.write_text("sku,weight\na,1\nb,1\n")
    second = inputs.prepare(given)
    assert first.weights is not None and first.weights.read_text() == "sku,weight\na,3\nb,1\n"
    assert first.weights != second.weights and first.config_digest != second.config_digest
    path.write_text("sku,weight\na,1\n")
    with pytest.raises(PriorError, match="'b' of the model is missing"):
        inputs.prepare(given)
    assert inputs.prepare(config).weights is None
