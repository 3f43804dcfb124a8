"""Which SKU is taken for which: counts, shares, order, and the CSV."""

import csv
from pathlib import Path

import numpy as np

from tfx_retail import look_alikes
from tfx_retail.look_alikes import FamilyPair, LookAlikes, Names, Pair
from tfx_retail.measured_doubt import Accepted, Answered, Sureness

NAMES = Names(["cola", "lime", '可乐, "red"'], ["soda", "teas"])
# SKUs 0 and 1 are of family 0, SKU 2 of family 1
TRUTH = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [2, 2, 1, 0], [1, 1, 0, 0]])
DECIDED = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [2, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [-1, -1, -1, -1]])
CONFIDENCE = np.array([0.9, 0.5, 0.4, 1.0, 0.25, 0.3])
TAKEN = np.array([True, False, False, True, True, False])


ACCEPTED = Accepted(TAKEN, TAKEN, CONFIDENCE)


def found(accepted: Accepted | None = ACCEPTED) -> LookAlikes:
    return look_alikes.find(TRUTH, Answered(DECIDED, Sureness(CONFIDENCE, None), None, accepted), NAMES)


def pair(sku: int, answered: int, crops: int, share: float, accepted: int | None, confidence: float) -> Pair:
    family = [0, 0, 1]
    return Pair(
        sku=NAMES.skus[sku],
        answered=NAMES.skus[answered],
        family=NAMES.families[family[sku]],
        family_answered=NAMES.families[family[answered]],
        crops=crops,
        share=share,
        accepted=accepted,
        confidence=confidence,
    )


def test_pairs_come_with_their_share_their_confidence_and_how_often_they_were_accepted() -> None:
    assert found().pairs == [pair(0, 1, 2, 0.5, 1, 0.7), pair(0, 2, 1, 0.25, 0, 0.4), pair(2, 0, 1, 1.0, 1, 0.25)]


def test_families_add_their_pairs_up() -> None:
    assert found().families == [
        FamilyPair(family="soda", answered="soda", crops=2, pairs=1),
        FamilyPair(family="soda", answered="teas", crops=1, pairs=1),
        FamilyPair(family="teas", answered="soda", crops=1, pairs=1),
    ]


def test_a_model_that_does_not_say_what_it_accepts_has_its_pairs_all_the_same() -> None:
    assert [one.accepted for one in found(None).pairs] == [None, None, None]


def test_a_model_without_mistakes_has_no_look_alikes() -> None:
    right = Answered(TRUTH, Sureness(CONFIDENCE, None))
    assert look_alikes.find(TRUTH, right, NAMES) == LookAlikes(pairs=[], families=[])
    empty = np.zeros((0, 4), np.int64)
    assert look_alikes.find(empty, Answered(empty, Sureness(np.zeros(0), None)), NAMES) == LookAlikes(pairs=[], families=[])


def test_the_csv_has_all_pairs_of_all_signatures_and_any_name(tmp_path: Path) -> None:
    look_alikes.write(tmp_path / "look_alikes.csv", {"serving_default": found(), "predict_sized": found(None)})
    with (tmp_path / "look_alikes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == look_alikes.COLUMNS
    assert rows[2] == ["serving_default", "cola", '可乐, "red"', "soda", "teas", "1", "0.2500", "0", "0.4000"]
    assert [row[7] for row in rows[4:]] == ["", "", ""]


def test_the_json_has_the_first_of_them() -> None:
    many = LookAlikes(pairs=found().pairs * 100, families=[])
    assert look_alikes.shortened(many).pairs == many.pairs[:200]
