"""Temperatures of families and looks: by hand, by property, and what happens where there is nothing to fit them on."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import calibration
from tfx_retail.calibration import Calibration, Outputs, Temperature, Truth

ONE_LOOK_EACH = np.array([0, 1])  # family of look, for two families
LOOKS = np.array([1, 0, 1, 0, 0])  # looks 1, 3 and 4 are family 0's


def two_families(right: int, wrong: int, logit: float = 2.0, *, groups: int | None = None) -> tuple[Outputs, Truth]:
    """Returns crops that all say family 0 with the same logit; `wrong` of them show family 1."""
    crops = right + wrong
    logits = np.tile([logit, 0.0], (crops, 1))
    family = np.repeat([0, 1], [right, wrong])
    group = np.arange(crops) if groups is None else np.arange(crops) % groups
    return Outputs(logits, np.zeros((crops, 2)), ONE_LOOK_EACH), Truth(family, family, group)


def test_with_many_scenes_confidence_becomes_the_share_of_right_answers() -> None:
    outputs, truth = two_families(7_500, 2_500)
    fitted = calibration.fit(outputs, truth)
    assert fitted.family.value == pytest.approx(2 / math.log(3), abs=2e-3)  # 1 / (1 + exp(-2 / T)) = 3 / 4
    family, _ = calibration.apply(outputs, fitted)
    assert family[0] == pytest.approx([0.75, 0.25], abs=5e-4)


def test_one_scene_moves_a_temperature_little() -> None:
    # log T = (2 s(2 / T) - 1.5) / T, with s the logistic function: T = 1.176, where the loss alone would choose 1.82
    outputs, truth = two_families(3, 1, groups=1)
    assert calibration.fit(outputs, truth).family.value == pytest.approx(1.176, abs=1e-3)


def test_alike_crops_of_a_scene_do_not_count_as_many() -> None:
    few, many = two_families(3, 1, groups=1), two_families(300, 100, groups=1)
    assert calibration.fit(*many).family.value == pytest.approx(calibration.fit(*few).family.value, abs=1e-6)


def test_an_underconfident_model_is_made_more_confident() -> None:
    fitted = calibration.fit(*two_families(9_900, 100, logit=1.0)).family
    assert fitted.value == pytest.approx(1 / math.log(99), abs=0.01)
    assert fitted.loss_before is not None
    assert fitted.loss_after is not None
    assert fitted.loss_after < fitted.loss_before


def test_a_model_without_an_error_keeps_a_finite_temperature() -> None:
    outputs, truth = two_families(50, 0)
    mixed = outputs.family_logits.copy()
    mixed[25:] = mixed[25:, ::-1]
    label = np.repeat([0, 1], 25)
    fitted = calibration.fit(outputs._replace(family_logits=mixed), truth._replace(family=label, look=label))
    assert 0.2 < fitted.family.value < 1.0


def test_looks_are_fitted_within_the_true_family_and_apart_from_families() -> None:
    # family 0 has the looks 1, 3 and 4; of 8,000 crops that give look 1 a logit of ln 4 and 0 to the others, a half show it
    crops = 8_000
    looks = np.zeros((crops, 5))
    looks[:, 1], looks[:, 0] = math.log(4), 50.0  # look 0 is another family's: its logit says nothing
    look = np.repeat([1, 3, 4], [crops // 2, crops // 4, crops // 4])
    outputs = Outputs(np.zeros((crops, 2)), looks, LOOKS)
    fitted = calibration.fit(outputs, Truth(np.zeros(crops, np.int64), look, np.arange(crops)))
    assert fitted.look.value == pytest.approx(2.0, abs=0.01)  # exp(ln 4 / T) : 1 : 1 as 2 : 1 : 1
    assert fitted.family == Temperature(crops=crops, groups=crops, reason="all crops of the calibration role show one family")
    _, share = calibration.apply(outputs, fitted)
    assert share[0] == pytest.approx([0.5, 0.25, 0.0, 0.125, 0.125], abs=1e-3)


def test_families_of_one_look_leave_nothing_to_fit() -> None:
    fitted = calibration.fit(*two_families(3, 1))
    assert fitted.look == Temperature(reason="no crop of the calibration role leaves a choice of look")


def test_an_empty_calibration_split_changes_nothing_and_says_so() -> None:
    empty = np.zeros(0, np.int64)
    fitted = calibration.fit(Outputs(np.zeros((0, 2)), np.zeros((0, 5)), LOOKS), Truth(empty, empty, empty))
    assert (fitted.family.value, fitted.look.value) == (1.0, 1.0)
    assert fitted.family.reason == "no crop of the calibration role leaves a choice of family"


def test_a_product_that_the_lists_lack_and_one_that_may_not_win_are_left_out() -> None:
    outputs, truth = two_families(30, 10)
    more = Outputs(np.concatenate([outputs.family_logits, [[2.0, 0.0], [2.0, -math.inf]]]), np.zeros((42, 2)), outputs.family_of_look)
    shown = np.concatenate([truth.family, [-1, 1]])
    fitted = calibration.fit(more, Truth(shown, shown, np.arange(42)))
    assert fitted.family.crops == 40
    assert fitted.family.value == pytest.approx(calibration.fit(outputs, truth).family.value)


def test_weights_undo_what_the_calibration_split_has_more_of() -> None:
    # every third crop shows family 1; with three times the weight it is as if each second did, and a logit of 2 is worth nothing
    outputs, truth = two_families(3_000, 1_000)
    weighted = truth._replace(weights=np.where(truth.family == 1, 3.0, 1.0))
    assert calibration.fit(outputs, weighted).family.value > 15


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_logits_of_a_network_that_diverged_are_refused(broken: float) -> None:
    outputs, truth = two_families(3, 1)
    outputs.family_logits[1, 0] = broken
    with pytest.raises(ValueError, match="1 of 4 crops have family logits that are NaN or infinite: the network has diverged"):
        calibration.fit(outputs, truth)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    outputs, truth = two_families(3, 1)
    with pytest.raises(ValueError, match=r"have \[3, 4\] rows"):
        calibration.fit(outputs, truth._replace(groups=np.arange(3)))


def test_joint_shares_add_up_and_a_look_that_may_not_win_gets_none() -> None:
    rng = np.random.default_rng(2)
    looks = rng.normal(size=(50, 5))
    looks[:, 3] = -math.inf
    outputs = Outputs(rng.normal(size=(50, 2)), looks, LOOKS)
    family, look = calibration.apply(outputs, Calibration(family=Temperature(value=0.5), look=Temperature(value=3.0)))
    assert family.sum(axis=1) == pytest.approx(np.ones(50))
    assert look[:, [1, 3, 4]].sum(axis=1) == pytest.approx(family[:, 0])
    assert look[:, [0, 2]].sum(axis=1) == pytest.approx(family[:, 1])
    assert (look[:, 3] == 0).all()


def test_a_family_none_of_whose_looks_may_win_has_none() -> None:
    outputs = Outputs(np.array([[0.0, -math.inf]]), np.array([[-math.inf, 0.0, -math.inf, 1.0, 2.0]]), LOOKS)
    family, look = calibration.apply(outputs, Calibration())
    assert family.tolist() == [[1.0, 0.0]]
    assert look.sum() == pytest.approx(1.0)


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 6.0), st.integers(1, 80))
@pytest.mark.long
def test_fewer_scenes_never_move_it_further(right: int, wrong: int, logit: float, groups: int) -> None:
    def moved(count: int) -> float:
        return math.log(calibration.fit(*two_families(right, wrong, logit, groups=count)).family.value)

    few, more = moved(min(groups, right + wrong)), moved(right + wrong)
    assert abs(few) <= abs(more) + 1e-6
    assert few * more >= -1e-12
    assert abs(more) <= 3.0


def test_temperatures_go_into_json_and_back() -> None:
    fitted = calibration.fit(*two_families(3, 1))
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=Calibration) == fitted
