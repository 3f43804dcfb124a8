"""A trained network and a catalogue to a finished model: priors, new packs of trained looks, and what lies beside it."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import answers, catalog, doubt, finishing, golden, handover, labels, sibling, signatures
from tfx_retail.calibration import Calibration
from tfx_retail.errors import UserError
from tfx_retail.finishing import Sources
from tfx_retail.sibling import Sibling, Training
from tfx_retail.trained import Taught, Trained
from tfx_retail.versions import EXTRA

BIG = ("big", "Water 2.0", "drinks", "waters", "water", "400", "100")


def another(packs: RetailSet, folder: Path, rows: tuple[tuple[str, ...], ...]) -> RetailSet:
    """Returns the set with another catalogue, whose label order goes on from the first one."""
    folder.mkdir()
    retail_set.write_rows(folder / "catalog.csv", rows)
    order = labels.extend(labels.read(packs.labels), catalog.read(folder / "catalog.csv"))
    labels.write(order, folder / "labels.csv")
    for split in ("calibration", "validation"):
        (folder / f"Split-{split}").symlink_to(packs.folder / f"Split-{split}")
    return RetailSet(folder)


@pytest.fixture(scope="module")
def updated(packs: RetailSet, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished model itself, given a catalogue with a third size of water and without lime."""
    folder = tmp_path_factory.mktemp("updated")
    rows = tuple(row for row in retail_set.CATALOG if row[0] != "lime")
    shop = another(packs, folder / "shop", (*rows, BIG))
    sources = Sources(trained / "model", shop.labels, shop.catalog, shop.folder)
    finishing.finish(sources, retail_set.SETTINGS, folder / "model", untaught=True)
    return folder / "model"


def test_a_new_size_of_a_trained_look_is_told_by_its_size(updated: Path) -> None:
    images = [retail_set.pack("water", 700 + number) for number in range(4)]
    heights = [200.0, 300.0, 400.0, math.nan]
    found = signatures.predict(signatures.load(updated), images, height_mm=heights, signature="predict_sized")
    assert [sku.decode() for sku in found["sku"][:3]] == ["water", "still", "big"]
    assert [reason.decode() for reason in found["reason"]] == ["ok", "ok", "ok", "size_needed"]


def test_what_left_the_catalogue_is_never_answered_and_keeps_its_place(updated: Path) -> None:
    raw = signatures.predict(signatures.load(updated), [retail_set.pack("lime", 701)], signature="predict_all")["sku_scores"]
    assert raw.shape == (1, 7)
    assert raw[0, [1, 2, 5]].tolist() == [0.0, 0.0, 0.0]  # gone, lime, milk
    assert json.loads((updated / EXTRA / "model.json").read_text())["never_answered"] == ["gone", "lime", "milk"]


def test_the_embedder_and_its_vectors_stay_what_they_were(updated: Path, trained: Path) -> None:
    images = [retail_set.pack("cola", 702)]
    before, after = (signatures.predict(signatures.load(folder), images, signature="embed") for folder in (trained / "model", updated))
    assert before["embedder_id"].tolist() == after["embedder_id"].tolist()
    np.testing.assert_allclose(before["embedding"], after["embedding"], atol=1e-6)


def test_an_updated_model_gives_its_golden_answers_and_can_be_updated_again(updated: Path) -> None:
    assert golden.check(updated) == []
    _, known = handover.load(updated)
    assert [product.sku for product in known.products] == ["cola", "gone", "lime", "water", "still", "milk"]


def test_a_catalogue_that_needs_training_is_refused(packs: RetailSet, trained: Path, tmp_path: Path) -> None:
    shop = another(packs, tmp_path / "shop", (*retail_set.CATALOG, ("tea", "Tea", "drinks", "teas", "tea", "90", "60")))
    sources = Sources(trained / "network", shop.labels, shop.catalog, shop.folder)
    with pytest.raises(UserError, match=r"catalog\.csv: SKU tea: look 'tea' was not trained; needs training"):
        finishing.finish(sources, retail_set.SETTINGS, tmp_path / "model")


def test_what_is_accepted_stands_beside_the_model(trained: Path) -> None:
    found = doubt.read(trained / "model" / EXTRA)
    assert found is not None
    assert (found.crops, found.groups, found.fitted_on) == (48, 12, "all")
    assert found.thresholds == {"serving_default": 0.5, "predict_sized": 0.5, "family": 0.5}
    assert doubt.read(trained / "network" / EXTRA) is None


def test_what_a_sibling_tells_of_unknown_products_is_in_the_graph(packs: RetailSet, trained: Path, tmp_path: Path) -> None:
    told = Sibling(
        kind="distance",
        threshold=0.2,
        chosen={},
        reported={},
        recalls=[],
        choosing=[],
        reporting=["juice"],
        known=4,
        training=Training(epochs=1, seconds=1.0, val_accuracy=0.9, calibration=Calibration()),
    )
    names, odd = np.array(["juice"] * 3, np.str_), np.array([0.5, 0.6, 0.7])
    evidence = sibling.Evidence(names, names, np.ones(3), odd, np.ones(3, bool), np.array([0.1, 0.2]))
    sibling.write(tmp_path / "sibling", told, evidence)
    sources = Sources(trained / "network", packs.labels, packs.catalog, packs.folder, sibling=tmp_path / "sibling")
    found = finishing.finish(sources, retail_set.SETTINGS, tmp_path / "model")
    assert found.unknown_kind == "distance"
    assert 0.0 <= found.usual.highest <= found.usual.odd < 2.0
    answered = signatures.predict(signatures.load(tmp_path / "model"), [retail_set.pack("cola", 703), b"no image"])
    assert answered["unknown_score"][0] < 0.5  # near the mean of the train crops of its look
    assert answered["unknown_score"][1] == 1.0
    assert golden.check(tmp_path / "model") == []


def known(*products: tuple[str, int, float]) -> Trained:
    taught = tuple(Taught(sku=sku, look=sku, family="f", examples=examples, weight=weight) for sku, examples, weight in products)
    return Trained(image_size=8, crop_context=0.0, parameters=1, embedder_id="x", products=taught)


def test_balancing_is_undone_by_how_much_less_a_look_counted_than_it_was_shown() -> None:
    found = finishing._undone(known(("a", 30, 0.5), ("b", 10, 1.5), ("c", 0, 0.0)))
    np.testing.assert_allclose(found, np.log([0.75 / 0.5, 0.25 / 0.5, 1.0]), atol=1e-6)


@pytest.mark.parametrize(("prior", "expected"), [("train", [0.75, 0.25]), ("uniform", [0.5, 0.5]), ("file", [0.1, 0.9])])
def test_what_shops_hold_stands_in_for_what_training_saw(prior: str, expected: list[float], tmp_path: Path) -> None:
    retail_set.write_rows(tmp_path / "catalog.csv", [("sku", "name", "category", "family"), ("a", "a", "x", "f"), ("b", "b", "x", "f")])
    retail_set.write_rows(tmp_path / "weights.csv", [("sku", "weight"), ("a", "1"), ("b", "9")])
    products = catalog.read(tmp_path / "catalog.csv")
    order = labels.extend((), products)
    lists: Any = answers.hierarchy(order, products, np.ones(2, bool))
    wanted = finishing._wanted(tmp_path / "weights.csv" if prior == "file" else None, prior, order)
    made = finishing._corrections(lists, np.array([30.0, 10.0]), np.arange(2), known(("a", 30, 1.0), ("b", 10, 1.0)), wanted)
    # a picture that says nothing: what is left is the prior, given that the network leans as training did
    scores = answers.scores(np.log(np.array([[0.75, 0.25]], np.float32)), np.ones(1, bool), lists, made)
    np.testing.assert_allclose(scores.sku[0], expected, atol=1e-6)


def test_a_copy_of_the_folder_is_all_that_a_network_needs(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "network", tmp_path / "network")
    network, given = handover.load(tmp_path / "network")
    assert network.function(np.zeros((1, 32, 32, 3), np.float32))["logits"].shape == (1, 5)
    assert given.looks == ("cola", "gone", "lime", "water", "milk")
