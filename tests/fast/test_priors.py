"""From how often training saw a SKU to how often the shops hold it."""

from pathlib import Path

import numpy as np
import pytest

from tfx_retail import priors
from tfx_retail.config import Config, ServingConfig
from tfx_retail.config_file import ConfigError, load


def test_what_class_balancing_did_is_undone() -> None:
    # 90 and 10 photos that weighed the same in the loss: an answer of one half each is worth 0.9 and 0.1
    ratios = priors.log_ratios(seen=np.array([50.0, 50.0]), wanted=np.array([90.0, 10.0]))
    assert priors.corrected(np.array([[0.5, 0.5], [0.1, 0.9]]), ratios) == pytest.approx(np.array([[0.9, 0.1], [0.5, 0.5]]))


def test_units_do_not_matter_and_a_prior_that_is_met_changes_nothing() -> None:
    assert priors.log_ratios(np.array([3.0, 1.0]), np.array([300.0, 100.0])) == pytest.approx([0.0, 0.0])


def test_a_sku_that_training_did_not_see_is_left_alone() -> None:
    ratios = priors.log_ratios(np.array([1.0, 0.0, 1.0]), np.array([3.0, 7.0, 1.0]))
    assert ratios == pytest.approx([np.log(1.5), 0.0, np.log(0.5)])


def test_a_row_of_zeros_stays_one() -> None:
    assert priors.corrected(np.zeros((1, 2)), np.array([1.0, 800.0])).tolist() == [[0.0, 0.0]]


def test_without_skus_there_is_nothing_to_correct() -> None:
    assert priors.corrected(np.zeros((3, 0)), priors.log_ratios(np.zeros(0), np.zeros(0))).shape == (3, 0)


@pytest.mark.parametrize("odd", [-1.0, np.nan, np.inf])
def test_numbers_that_count_nothing_are_refused(odd: float) -> None:
    with pytest.raises(ValueError, match=r"prior: wanted holds .*, expected numbers of at least 0"):
        priors.log_ratios(np.array([1.0, 1.0]), np.array([1.0, odd]))


def test_a_sku_that_is_never_expected_is_to_be_retired() -> None:
    with pytest.raises(ValueError, match="1 SKUs that training saw are never expected; retire them instead"):
        priors.log_ratios(np.array([1.0, 1.0]), np.array([1.0, 0.0]))


def test_weights_are_read_in_the_order_of_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "prior.csv"
    path.write_text("weight,sku\n2.5,b\n1,a\n", encoding="utf-8")
    assert priors.read(path, ["a", "b"]).tolist() == [1.0, 2.5]


def test_every_fault_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prior.csv"
    path.write_text("sku,weight\na,1\na,2\nz,3\nb,0\nc,often\n", encoding="utf-8")
    with pytest.raises(priors.PriorError) as caught:
        priors.read(path, ["a", "b", "c", "d"])
    assert caught.value.faults == [
        f"{path}: row 3, column sku: 'a' is there before; keep one of them",
        f"{path}: row 4, column sku: 'z' is none of the model's SKUs; take the row out or correct it",
        f"{path}: row 5, column weight: is '0', expected a number over 0, say 12.5",
        f"{path}: row 6, column weight: is 'often', expected a number over 0, say 12.5",
        f"{path}: column sku: 'd' of the model is missing; every SKU needs a weight",
    ]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prior.csv"
    path.write_text("sku,share\na,1\n", encoding="utf-8")
    with pytest.raises(priors.PriorError, match="row 1: there is no column weight, only sku, share"):
        priors.read(path, ["a"])


def test_a_prior_file_goes_with_its_setting() -> None:
    with pytest.raises(ValueError, match="prior_file: goes with prior: file, and prior is train"):
        ServingConfig(dir="x", prior_file="p.csv")
    with pytest.raises(ValueError, match="and prior is file"):
        ServingConfig(dir="x", prior="file")


def test_the_prior_file_lies_relative_to_the_config(tmp_path: Path) -> None:
    config = _load(tmp_path, "prior: file\n  prior_file: shops.csv")
    assert config.serving.prior_file == str(tmp_path / "shops.csv")


def test_a_promise_of_certainty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"abstain.precision: expected float < 1.0, got 1.0"):
        _load(tmp_path, "prior: train\nabstain:\n  precision: 1.0")


def _load(folder: Path, serving: str) -> Config:
    path = folder / "c.yaml"
    path.write_text(
        "name: c\nroot: out\ncatalog: {path: c.csv}\ndata: {path: d, format: voc}\n"
        "verdict: {rules: [{metric: sku_accuracy, at_least: 0.5}]}\n"
        f"serving:\n  dir: s\n  {serving}\n",
        encoding="utf-8",
    )
    return load(path)


def test_what_balancing_did_to_looks_is_undone() -> None:
    # look 0: two SKUs with 30 and 10 examples; look 1: one with 40, each weighing three times as much in the loss; look 2: none
    found = priors.undone(np.array([0, 0, 1, 2]), np.array([30, 10, 40, 0]), np.array([1.0, 1.0, 3.0, 0.0]), 3)
    np.testing.assert_allclose(found, [np.log(0.5 / 0.25), np.log(0.5 / 0.75), 0.0], atol=1e-12)
