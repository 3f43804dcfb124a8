"""A configuration is read whole or refused with every fault named."""

from pathlib import Path

import pytest

from tests.fast.shop import CONFIG
from tfx_retail import config, config_file


def write(folder: Path, text: str) -> Path:
    path = folder / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(config_file.ConfigError) as caught:
        config_file.load(path, overrides)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def test_paths_are_relative_to_the_file_and_not_to_the_working_folder(tmp_path: Path) -> None:
    loaded = config_file.load(write(tmp_path, CONFIG))
    assert loaded.data.path == str(tmp_path / "photos")
    assert loaded.data.schema == str(tmp_path.parent / "schema" / "shop" / "schema.pbtxt")


@pytest.mark.parametrize("key", ["root", "data.path", "catalog.path", "serving.dir"])
def test_an_address_where_a_path_is_expected_is_refused_with_the_cure(tmp_path: Path, key: str) -> None:
    (fault,) = faults(tmp_path, CONFIG, f"{key}=s3://retail/photos")
    assert fault.startswith(f"{key}: expected a path, got the address 's3://retail/photos'; mount the bucket on every machine")


def test_what_is_not_named_has_its_default(tmp_path: Path) -> None:
    loaded = config_file.load(write(tmp_path, CONFIG))
    assert loaded.split.shares == {"train": 0.7, "validation": 0.1, "calibration": 0.1, "eval": 0.1}
    assert loaded.cache is True


def test_every_fault_is_told_and_not_only_the_first(tmp_path: Path) -> None:
    text = CONFIG.replace("name: shop", "name: Shop 1") + "train: {batch_size: x, epoch: 3}\nmodel: {image_size: 4}\n"
    assert faults(tmp_path, text) == [
        "name: expected str matching regex '^[a-z][a-z0-9_]{0,62}$', got 'Shop 1'",
        "model.image_size: expected int >= 16, got 4",
        "train.epoch: unknown key; allowed here: " + ", ".join(config.TrainConfig.__struct_fields__),
        "train.batch_size: expected int, got 'x'",
    ]


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    assert faults(tmp_path, CONFIG.replace("catalog: {path: catalog.csv}", "")) == ["catalog: is missing"]


def test_a_rule_needs_one_bound(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, CONFIG.replace(", at_least: 0.8", ""))
    assert fault.startswith("verdict.rules[0]: give exactly one of at_least and at_most")


def test_an_override_is_checked_as_the_file_is(tmp_path: Path) -> None:
    assert config_file.load(write(tmp_path, CONFIG), ("train.epochs=3", "split.by=store")).train.epochs == 3
    assert faults(tmp_path, CONFIG, "train.epochs=many") == ["train.epochs: expected int, got 'many'"]
    with pytest.raises(config_file.ConfigError, match="expected KEY=VALUE"):
        config_file.load(write(tmp_path, CONFIG), ("train.epochs",))


@pytest.mark.parametrize(
    ("addition", "fault"),
    [
        ("split: {shares: {train: 1.0}}", "split.shares: no share for validation, calibration, eval; all four roles need one"),
        (
            "split: {shares: {train: 0.5, validation: 0.1, calibration: 0.1, eval: 0.1}}",
            "split.shares: they add up to 0.8, expected 1",
        ),
        ("split: {carve: {validation: 0.1}}", "split.carve: only for split.by: given"),
        ("split: {by: given, carve: {validation: 0.5, calibration: 0.5}}", "split.carve: takes 1 of train, expected less than 1"),
        ("train: {small_size: 96}", "train.small_size: 96, expected 0, or 16 to less than model.image_size (96)"),
        (
            "model: {backbone: MobileNetV2}\ntrain: {small_size: 48}",
            "train.small_size: only the compact network takes images of two sizes, and model.backbone is MobileNetV2; leave it at 0",
        ),
        ("train: {workers: 2}", "train.workers: 2 with train.strategy none; 2 or more go with multi_worker, 1 with the others"),
        (
            "train: {strategy: multi_worker}",
            "train.workers: 1 with train.strategy multi_worker; 2 or more go with multi_worker, 1 with the others",
        ),
        (
            "train: {strategy: multi_worker, workers: 3}",
            "train.batch_size: 3 workers cannot share 64 crops evenly; take a multiple of 3",
        ),
        (
            "train: {strategy: multi_worker, workers: 4}\nbeam: {shards: 2}",
            "beam.shards: 2; each of 4 workers (train.workers) reads other files",
        ),
        ("train: {epochs: 1}", "train.warmup_epochs: 1 is not less than train.epochs (1)"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, addition: str, fault: str) -> None:
    assert faults(tmp_path, CONFIG + addition) == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("", "expected keys like `name:` and `data:`, got NoneType"), ("- a\n- b\n", "expected keys like `name:` and `data:`, got list")],
)
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, text) == [fault]


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "name: [shop\nroot: x")
    assert fault.startswith("not YAML:") and "line 2" in fault


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(config_file.ConfigError, match=r"nowhere\.yaml: no such file"):
        config_file.load(tmp_path / "nowhere.yaml")
