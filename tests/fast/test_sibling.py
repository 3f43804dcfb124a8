"""Which SKUs a sibling is not taught, which unknown score it chooses, and what its files hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfx_retail import sibling
from tfx_retail.calibration import Calibration
from tfx_retail.errors import UserError
from tfx_retail.sibling import HeldOut, Seen, Training

TRAINING = Training(epochs=3, seconds=1.5, val_accuracy=0.9, calibration=Calibration())
HELD = HeldOut(("u1",), ("u2",))


def seen(*rows: tuple[str, str, float, float, float]) -> Seen:
    """Returns crops of (SKU, scene, score of each kind); SKU number n points along axis n."""
    skus, groups, *scores = (np.array(column) for column in zip(*rows, strict=True))
    axes = np.array([int(sku[-1]) for sku in skus])
    kinds: dict[Any, Any] = dict(zip(("confidence", "energy", "distance"), scores, strict=True))
    return Seen(skus, skus, groups, 1 - kinds["confidence"], kinds, np.eye(10, dtype=np.float32)[axes])


CALIBRATION = seen(("k4", "a", 0.1, 1.0, 0.2), ("k5", "b", 0.3, 2.0, 0.3))
EVALUATION = seen(("k4", "c", 0.2, 1.0, 0.3), ("k5", "d", 0.2, 2.0, 0.2))
UNKNOWN = seen(  # energy tells u1 best; of u2 it does not
    ("u1", "e", 0.2, 5.0, 0.25), ("u1", "f", 0.9, 5.0, 0.25), ("u2", "g", 0.9, 1.5, 0.9), ("u2", "h", 0.1, 2.5, 0.9)
)


def judged(unknown: Seen = UNKNOWN, calibration: Seen = CALIBRATION) -> sibling.Sibling:
    return sibling.judged(unknown, calibration, EVALUATION, HELD, TRAINING, known=2)


def test_the_share_is_of_skus_in_whole_looks_and_both_parts_have_one() -> None:
    looks = {f"s{number}": f"look{number // 2}" for number in range(40)}
    held = sibling.held_out(looks, 0.2, seed=1)
    assert len(held.all) == 8
    assert (len(held.choosing), len(held.reporting)) == (4, 4)
    for part in held:
        assert {looks[sku] for sku in part}.isdisjoint(looks[sku] for sku in set(looks) - set(part))


def test_the_choice_depends_on_the_seed_and_on_names_alone() -> None:
    looks = {f"s{number}": f"s{number}" for number in range(30)}
    turned = dict(reversed(looks.items()))
    assert sibling.held_out(looks, 0.3, seed=1) == sibling.held_out(turned, 0.3, seed=1) != sibling.held_out(looks, 0.3, seed=2)


def test_of_few_looks_two_are_held_out_and_two_are_left() -> None:
    four = {name: name for name in "abcd"}
    for share in (0.01, 0.5):
        assert len(sibling.held_out(four, share, seed=1).all) == 2


def test_three_looks_are_refused() -> None:
    with pytest.raises(UserError, match=r"unknowns\.hold_out: 3 looks have photos in train.*set unknowns\.hold_out to 0"):
        sibling.held_out({"a": "a", "b": "b", "c": "c", "d": "c"}, 0.3, seed=1)


def test_the_kind_is_chosen_on_one_part_and_reported_on_the_other() -> None:
    found = judged()
    assert found.kind == "energy"
    assert (found.chosen["energy"].auroc, found.chosen["confidence"].auroc) == (1.0, 0.75)
    assert found.detection.auroc == 0.75  # 1.5 and 2.5 against 1.0 and 2.0
    assert found.reported["distance"].auroc == 1.0  # would have been better, but nobody could know
    assert found.threshold == 2.0  # keeps both known crops of the calibration role


def test_of_equally_good_kinds_the_simplest_is_chosen() -> None:
    equal = seen(("u1", "e", 0.9, 5.0, 0.9), ("u2", "f", 0.9, 5.0, 0.9))
    assert judged(equal).kind == "confidence"


def test_held_out_looks_are_found_by_their_references() -> None:
    by_key = {(one.references, one.gallery): (one.value, one.skus) for one in judged().recalls}
    assert by_key[1, "unseen"] == by_key[1, "joint"] == (1.0, 2)


def test_crops_without_a_direction_are_left_out_of_retrieval() -> None:
    vectors = UNKNOWN.vectors.copy()
    vectors[0] = 0.0
    assert [one.skus for one in judged(UNKNOWN._replace(vectors=vectors)).recalls if one.references == 1] == [1, 1]


def test_nothing_to_choose_on_is_refused() -> None:
    nothing = np.zeros(2, bool)
    with pytest.raises(UserError, match="no crop of the SKUs it was taught, in the calibration role"):
        judged(calibration=CALIBRATION.rows(nothing))
    with pytest.raises(UserError, match=r"no crop of the held-out SKUs that choose.*unknowns\.seed"):
        judged(unknown=UNKNOWN.rows(UNKNOWN.sku == "u2"))


def test_files_hold_figures_and_evidence(tmp_path: Path) -> None:
    found = judged()
    sibling.write(tmp_path / "new", found, sibling.evidence(UNKNOWN, CALIBRATION, found))
    assert sibling.read(tmp_path / "new") == found
    evidence = sibling.read_evidence(tmp_path / "new")
    assert evidence.sku.tolist() == ["u1", "u1", "u2", "u2"]
    assert evidence.reports.tolist() == [False, False, True, True]
    assert evidence.score.tolist() == [5.0, 5.0, 1.5, 2.5]
    assert evidence.known.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(evidence.best, [0.8, 0.1, 0.1, 0.9])


def test_what_is_accepted_of_unknown_crops_is_told_by_skus_that_did_not_choose() -> None:
    found = judged()
    evidence = sibling.accepted(sibling.evidence(UNKNOWN, CALIBRATION, found))
    # known energies are 1 and 2: usual up to 1.95, odd from 2.4 on; u2's crops have 1.5, which costs nothing, and 2.5
    np.testing.assert_allclose(evidence.score, [0.1, 0.0], atol=1e-9)
    assert not evidence.right.any()
    assert evidence.groups.tolist() == [0, 1]
