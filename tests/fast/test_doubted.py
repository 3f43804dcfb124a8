"""Prediction files as a few numbers a crop: what is read, what may lack, what is damaged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.fast.page_run import example, indices, write_records
from tfx_retail import doubted

FACTS = {
    "counts": {"eval": 3},
    "sized": {"eval": 0},
    "skus": ["cola-1l", "cola-2l", "tea", "绿茶"],
    "looks": ["cola", "tea", "绿茶"],
    "families": ["Cola", "Tea", "nobody's"],
    "categories": ["Drinks"],
    "training_crops": {"cola-1l": 30, "tea": 2},
}
TRUTHS, ANSWERS = (0, 0, 2), (0, 1, 2)


def crop(number: int, lacking: Sequence[str] = ()) -> bytes:
    """Returns one crop: wrong is the second."""
    values: dict[str, Any] = {"group": "b" if number else "a", "brand": "fizz" if number < 2 else "", "store": "north"}
    values["truth"] = indices(TRUTHS[number])
    for signature, sure in (("serving_default", 0.5), ("predict_sized", 0.75)):
        said = {
            "decided": indices(ANSWERS[number]),
            "sku_scores": [0.25] * 4,
            "confidences": [sure, 0.8, 0.9],
            "accepted": [int(number == 0), 1],
            "score": [0.5],
            "losses": [0.25, 1.5],
            "before": [1.0, 2.0, 3.0],
        }
        values |= {f"{signature}/{name}": value for name, value in said.items() if name not in lacking}
    return example(values)


def write(folder: Path, records: Sequence[bytes], facts: Mapping[str, Any] = FACTS) -> Path:
    (folder / "predictions.json").write_bytes(msgspec.json.encode(facts))
    write_records(folder / "Split-eval" / "predictions-00000-of-00002.tfrecord", records[:2])
    write_records(folder / "Split-eval" / "predictions-00001-of-00002.tfrecord", records[2:])
    return folder


def test_each_crop_is_a_few_numbers(tmp_path: Path) -> None:
    found = doubted.read(write(tmp_path, [crop(number) for number in range(3)]), "eval")
    assert found.shown.truth[:, 0].tolist() == [0, 0, 2]
    assert found.shown.groups.tolist() == [0, 1, 1]
    assert found.shown.training_crops is not None
    assert found.shown.training_crops.tolist() == [30, 30, 2]
    assert {name: (column.codes.tolist(), column.values) for name, column in found.shown.slices.items()} == {
        "category": ([0, 0, 0], ["Drinks"]),
        "family": ([0, 0, 1], ["Cola", "Tea"]),
        "brand": ([0, 0, -1], ["fizz"]),
        "store": ([0, 0, 0], ["north"]),
    }
    plain, sized = (found.answered[name] for name in ("serving_default", "predict_sized"))
    assert plain.decided[:, 0].tolist() == [0, 1, 2]
    assert (plain.after.confidence.tolist(), sized.after.confidence.tolist()) == ([0.5] * 3, [0.75] * 3)
    assert plain.after.losses is not None
    assert (plain.after.losses.brier.tolist(), plain.after.losses.log_loss.tolist()) == ([0.25] * 3, [1.5] * 3)
    assert plain.before is not None
    assert plain.before.losses is not None
    assert (plain.before.confidence[0], plain.before.losses.brier[0], plain.before.losses.log_loss[0]) == (1.0, 2.0, 3.0)
    assert plain.accepted is not None
    assert (plain.accepted.sku.tolist(), plain.accepted.family.tolist()) == ([True, False, False], [True] * 3)
    assert plain.accepted.score.tolist() == [0.5] * 3


def test_signatures_are_measured_apart(tmp_path: Path) -> None:
    found = doubted.measure(doubted.read(write(tmp_path, [crop(number) for number in range(3)]), "eval"))
    assert found["serving_default"].after.calibration.plugin == pytest.approx(1 / 6)  # two of three right, sure by half
    assert found["predict_sized"].after.calibration.plugin == pytest.approx(1 / 12)
    assert found["serving_default"].precision is not None
    assert found["serving_default"].precision.value == 1.0


@pytest.mark.parametrize("lacking", ["score", "accepted"])
def test_files_of_earlier_code_lack_what_is_accepted(tmp_path: Path, lacking: str) -> None:
    records = [crop(number, lacking=[lacking]) for number in range(3)]
    answered = doubted.read(write(tmp_path, records), "eval").answered["serving_default"]
    assert answered.accepted is None
    assert answered.before is not None


def test_files_of_earlier_code_lack_losses_and_training_crops(tmp_path: Path) -> None:
    facts = {name: value for name, value in FACTS.items() if name != "training_crops"}
    records = [crop(number, lacking=["losses", "before", "score", "accepted"]) for number in range(3)]
    found = doubted.read(write(tmp_path, records, facts), "eval")
    assert found.shown.training_crops is None
    assert (found.answered["predict_sized"].after.losses, found.answered["predict_sized"].before) == (None, None)
    measured = doubted.measure(found)["predict_sized"]
    assert measured.after.calibration.crops == 3
    assert len(measured.missing) == 4


def test_a_role_without_crops_lacks_nothing(tmp_path: Path) -> None:
    found = doubted.measure(doubted.read(write(tmp_path, []), "eval"))
    assert found["serving_default"].crops == 0
    assert found["serving_default"].missing == []
    assert doubted.read(tmp_path, "calibration").shown.truth.shape == (0, 4)


@pytest.mark.parametrize("lacking", ["score", "losses", "before", "accepted", "decided", "confidences"])
def test_a_crop_that_lacks_its_numbers_is_damage_and_shifts_no_other(tmp_path: Path, lacking: str) -> None:
    records = [crop(0), crop(1, lacking=[lacking]), crop(2)]
    with pytest.raises(ValueError, match=rf"serving_default/{lacking}: \d values for 3 crops; the files of predictions are damaged"):
        doubted.read(write(tmp_path, records), "eval")


def test_numbers_are_float64(tmp_path: Path) -> None:
    found = doubted.read(write(tmp_path, [crop(number) for number in range(3)]), "eval")
    assert found.answered["serving_default"].after.confidence.dtype == np.float64
