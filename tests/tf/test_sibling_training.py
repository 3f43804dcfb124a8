"""A sibling on a small drawn set: what it is taught, what its files hold, and that a run goes on where one before it ended."""

import json
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import tensorflow as tf

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import sibling, sibling_training
from tfx_retail.config import Config, UnknownsConfig
from tfx_retail.errors import UserError
from tfx_retail.sibling_training import Given

SEED = 6  # holds out cola and lime, of the looks cola, lime, water and milk


def config() -> Config:
    return msgspec.structs.replace(retail_set.config({"epochs": 3}), unknowns=UnknownsConfig(hold_out=0.5, seed=SEED))


def example(sku: str, number: int) -> bytes:
    made = tf.train.Example.FromString(retail_set.example(retail_set.pack(sku, number), sku))
    made.features.feature["group"].bytes_list.value.append(f"scene {number}".encode())
    return bytes(made.SerializeToString())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> RetailSet:
    """Crops of five SKUs, four looks, in all roles; milk has photos here."""
    folder = tmp_path_factory.mktemp("shelf")
    numbers = {"train": range(8), "validation": range(100, 103), "calibration": range(200, 204), "eval": range(300, 304)}
    rows = {role: [example(sku, number) for number in some for sku in retail_set.COLORS] for role, some in numbers.items()}
    for role, examples in rows.items():
        retail_set.write_examples(folder / f"Split-{role}", examples)
    retail_set.write_rows(folder / "catalog.csv", retail_set.CATALOG)
    labels = [("index", "sku", "status"), *((str(index), sku, status) for index, (sku, status) in enumerate(retail_set.LABELS))]
    retail_set.write_rows(folder / "labels.csv", labels)
    retail_set.transform(rows["train"], folder)
    return RetailSet(folder)


def given(shelf: RetailSet, output: Path) -> Given:
    return Given(shelf.folder, shelf.folder / "transform", shelf.labels, shelf.catalog, output / "checkpoints")


class Result(NamedTuple):
    refused: str  # what was said when the calibration role was empty
    artifact: Path  # of the run after that, which found the training done


@pytest.fixture(scope="module")
def result(shelf: RetailSet, tmp_path_factory: pytest.TempPathFactory) -> Result:
    output = tmp_path_factory.mktemp("sibling")
    bare = given(shelf, output)._replace(examples=output / "examples")
    bare.examples.mkdir()
    for role in ("train", "validation", "eval"):
        (bare.examples / f"Split-{role}").symlink_to(shelf.folder / f"Split-{role}")
    with pytest.raises(UserError) as refused:
        sibling_training.run(config(), bare, output / "no artifact")
    sibling_training.run(config(), given(shelf, output), output / "artifact")
    return Result(str(refused.value), output / "artifact")


@pytest.fixture
def measured(result: Result) -> Path:
    return result.artifact


def test_held_out_skus_are_measured_and_the_others_taught(measured: Path) -> None:
    found = sibling.read(measured)
    assert (found.choosing, found.reporting, found.known) == (["cola"], ["lime"], 3)
    detection = found.detection
    assert (detection.known, detection.unknown) == (4 * 3, 8 + 3 + 4 + 4)
    assert 0.0 <= found.chosen["confidence"].auroc <= 1.0  # type: ignore[operator]
    assert found.training.epochs == 3


def test_recall_is_of_held_out_looks_alone_and_beside_known_ones(measured: Path) -> None:
    recalls = sibling.read(measured).recalls
    assert [(one.references, one.gallery) for one in recalls] == [
        (count, gallery) for count in (1, 3, 5) for gallery in ("unseen", "joint")
    ]
    assert {one.skus for one in recalls} == {2}


def test_evidence_is_of_every_crop_of_the_held_out_skus(measured: Path) -> None:
    found, evidence = sibling.read(measured), sibling.read_evidence(measured)
    assert set(evidence.sku.tolist()) == {*found.choosing, *found.reporting}
    assert len(evidence.sku) == 2 * (8 + 3 + 4 + 4)
    assert evidence.reports.sum() == 19
    assert ((evidence.best > 0) & (evidence.best <= 1)).all()
    assert "scene 300" in evidence.group.tolist()


def test_a_calibration_role_without_known_skus_is_refused_with_the_cure(result: Result) -> None:
    assert "calibration role has no crop of a SKU that the sibling was taught" in result.refused
    assert "split.shares" in result.refused


def test_what_was_trained_before_is_not_trained_again(measured: Path) -> None:
    history = json.loads((measured / "history.json").read_text())
    assert (history["resumed_from"], len(history["epochs"])) == (3, 3)
