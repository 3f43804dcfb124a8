"""The slice rules, by hand and by property."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fast.scene_crops import Shown, crops, scenes
from tfx_retail import comparison
from tfx_retail.comparison import Earlier, SliceResult
from tfx_retail.config import Gate, Rule, VerdictConfig
from tfx_retail.slices import Crops

BASELINE = {"baseline": Earlier(version=3)}
FAMILIES = Gate(feature="family")


def config(*gating: Gate, margin: float = 0.05) -> VerdictConfig:
    return VerdictConfig(rules=(Rule(metric="sku_accuracy", at_least=0.5),), gating=gating, margin=margin)


def judged(shown: list[Shown], *gating: Gate) -> dict[str, SliceResult]:
    found, _ = comparison.compare(crops(shown), BASELINE, config(*gating))
    return {result.key.value: result for result in found}


@pytest.mark.parametrize(
    ("shown", "result"),
    [
        (scenes(100, "a", new=True, old=True), "pass"),
        (scenes(100, "a", new=False, old=False), "pass"),  # as bad as before is not worse
        (scenes(20, "a", new=True, old=False), "pass"),
        (scenes(10, "a", new=False, old=True), "fail"),
        (scenes(4, "a", new=False, old=True), "too_few"),
        (scenes(20, "a", new=True, old=True), "too_few"),
        (scenes(1, "a", new=False, old=True, each=500), "too_few"),  # one scene is one piece of evidence
        (scenes(96, "a", new=True, old=True) + scenes(4, "a", new=False, old=True, first=96), "too_few"),  # 4 % is neither
    ],
)
def test_a_slice_fails_passes_or_has_too_few_groups(shown: list[Shown], result: str) -> None:
    assert judged(shown, FAMILIES)["a"].result == result


def test_what_is_told_of_a_slice() -> None:
    shown = scenes(12, "a", new=False, old=True, each=2) + scenes(4, "a", new=True, old=False, each=2, first=12)
    (result,) = judged(shown, FAMILIES).values()
    assert (result.plain.value, result.plain.baseline_value, result.plain.loss) == (0.25, 0.75, 0.5)
    assert (result.examples, result.groups) == (32, 16)
    assert result.plain.interval[0] < 0.5 < result.plain.interval[1]
    assert result.masked is None


def test_a_family_that_got_worse_is_found_among_many() -> None:
    shown = [crop for name in "abcdefgh" for crop in scenes(100, name, new=name != "f", old=True)]
    assert {name: result.result for name, result in judged(shown, FAMILIES).items()} == {
        **dict.fromkeys("abcdegh", "pass"),
        "f": "fail",
    }


def test_many_gating_slices_make_a_loss_harder_to_prove() -> None:
    lost = scenes(6, "f", new=False, old=True)
    assert judged(lost, FAMILIES)["f"].result == "fail"
    others = [crop for name in "abcdefgh" for crop in scenes(6, f"other {name}", new=True, old=True)]
    assert judged(lost + others, FAMILIES)["f"].result == "too_few"


def test_a_gain_elsewhere_does_not_make_up_for_a_loss() -> None:
    shown = scenes(50, "a", new=False, old=True) + scenes(50, "b", new=True, old=False)
    assert {name: result.result for name, result in judged(shown, Gate(feature="all"), FAMILIES).items()} == {
        "all": "too_few",
        "a": "fail",
        "b": "pass",
    }


def test_one_value_a_metric_and_a_signature_can_be_named() -> None:
    shown = scenes(10, "a", new=False, old=True) + scenes(10, "b", new=True, old=True)
    gate = Gate(feature="sku", value="b", metric="look_accuracy", signature="predict_sized")
    (result,) = judged(shown, gate).values()
    assert result.key == ("baseline", "sku", "b", "look_accuracy", "predict_sized")


def test_a_named_slice_without_crops_has_too_few_and_costs_the_others_nothing() -> None:
    found = judged(scenes(6, "a", new=False, old=True), *(Gate(feature="family", value=name) for name in ("a", "b", "c", "d")))
    assert {name: result.result for name, result in found.items()} == {"a": "fail", "b": "too_few", "c": "too_few", "d": "too_few"}
    assert (found["b"].plain.value, found["b"].groups, found["b"].smallest_loss) == (None, 0, None)


def test_sizes_and_top_facings_are_slices() -> None:
    shown = scenes(9, "a", new=True, old=True, each=3) + scenes(9, "b", new=True, old=True, each=2) + scenes(9, "c", new=True, old=True)
    gates = (Gate(feature="size_pairs"), Gate(feature="top_facings", value=1))
    found, _ = comparison.compare(crops(shown, same_look=("b", "c")), BASELINE, config(*gates))
    assert [(result.key.value, result.examples) for result in found] == [("size_pairs", 27), ("1", 27)]


def test_all_other_slices_are_listed_and_not_judged() -> None:
    shown = scenes(10, "a", new=False, old=True, store="north", look="x") + scenes(10, "b", new=True, old=True, store="south", look="x")
    _, listed = comparison.compare(crops(shown, same_look=("a", "b")), BASELINE, config(FAMILIES))
    assert {result.result for result in listed} == {"listed"}
    assert {(result.key.feature, result.key.value) for result in listed} == {
        ("all", "all"),
        ("category", "a"),
        ("category", "b"),
        ("look", "x"),
        ("sku", "a"),
        ("sku", "b"),
        ("size_pairs", "size_pairs"),
        ("store", "north"),
        ("store", "south"),
    }


def test_crops_of_a_new_sku_are_left_out_so_that_they_hide_no_loss() -> None:
    shown = scenes(10, "a", new=False, old=True, family="f") + scenes(10, "b", new=True, old=False, family="f")
    found, _ = comparison.compare(crops(shown), {"baseline": Earlier(version=3, added=["b"])}, config(FAMILIES))
    assert [(result.key.value, result.result, result.examples) for result in found] == [("f", "fail", 10)]


def test_a_changed_catalogue_is_compared_among_common_skus_too() -> None:
    shown = scenes(10, "a", new=False, old=True) + scenes(10, "b", new=True, old=False)
    plain = crops(shown)
    right = np.ones((20, 4), bool)  # without `b` to confuse it with, `a` is right
    changed = plain._replace(masked={"baseline/serving_default": (right, right)})
    (result,), _ = comparison.compare(changed, {"baseline": Earlier(version=3, added=["b"])}, config(Gate(feature="family", value="a")))
    assert result.plain.loss == 1.0
    assert result.masked is not None
    assert (result.masked.value, result.masked.loss) == (1.0, 0.0)


def test_the_pinned_reference_is_compared_with_too() -> None:
    shown = scenes(12, "a", new=False, old=False)
    both = crops(shown, against=("baseline", "reference"))
    both.right["reference/serving_default"][:] = True
    found, _ = comparison.compare(both, {**BASELINE, "reference": Earlier(version=1)}, config(FAMILIES))
    assert [(result.key.against, result.result) for result in found] == [("baseline", "too_few"), ("reference", "fail")]


def test_an_evaluation_without_crops_judges_nothing() -> None:
    found, listed = comparison.compare(crops([]), BASELINE, config(Gate(feature="all"), FAMILIES))
    assert [(result.key.feature, result.result, result.plain.loss) for result in found] == [("all", "too_few", None)]
    assert listed == []
    assert comparison.interval(crops([]), "sku_accuracy", "serving_default", 0.05) == (0.0, 1.0)


def test_a_share_of_right_answers_has_bounds_over_scenes_and_another_metric_has_none() -> None:
    found = crops(scenes(50, "a", new=True, old=True, each=7))
    low, high = comparison.interval(found, "sku_accuracy", "serving_default", 0.05) or (0.0, 0.0)
    assert 0.92 < low < 0.05 ** (1 / 50)  # Clopper and Pearson's for 50 of 50
    assert high == 1.0
    assert comparison.interval(found, "macro_f1", "serving_default", 0.05) is None
    assert comparison.groups(found) == 50


KINDS = [Shown(f"g{scene}", sku, new, old) for scene in range(20) for sku in "abc" for new in (False, True) for old in (False, True)]
CROPS = st.lists(st.sampled_from(KINDS), min_size=1, max_size=60)
MARGIN_0 = config(Gate(feature="all"), FAMILIES, margin=0.0)


def results(found: Crops, settings: VerdictConfig = MARGIN_0) -> dict[str, SliceResult]:
    return {result.key.value: result for result in comparison.compare(found, BASELINE, settings)[0]}


@settings(max_examples=20)
@given(CROPS)
def test_a_model_that_is_right_wherever_the_earlier_one_is_is_never_refused(shown: list[Shown]) -> None:
    better = [crop._replace(new=crop.new or crop.old) for crop in shown]
    assert "fail" not in {result.result for result in results(crops(better)).values()}


@settings(max_examples=20)
@given(CROPS, st.randoms())
@pytest.mark.long
def test_the_order_of_crops_and_slices_does_not_matter(shown: list[Shown], order: random.Random) -> None:
    shuffled = list(shown)
    order.shuffle(shuffled)
    turned = config(FAMILIES, Gate(feature="all"), margin=0.0)
    assert results(crops(shuffled), turned) == results(crops(shown))


@settings(max_examples=20)
@given(CROPS, st.data())
@pytest.mark.long
def test_more_losses_never_turn_fail_into_pass(shown: list[Shown], data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.integers(0, len(shown) - 1)))
    worse = [crop._replace(new=crop.new and place not in lost) for place, crop in enumerate(shown)]
    rank = {"pass": 0, "too_few": 1, "fail": 2}
    after = results(crops(worse))
    assert all(rank[after[name].result] >= rank[result.result] for name, result in results(crops(shown)).items())


def test_equal_models_are_refused_in_fewer_than_alpha_of_all_cases_over_all_slices() -> None:
    rng, refused = np.random.default_rng(11), 0
    for _ in range(20):
        shown = [Shown(f"g{scene}", sku, bool(rng.random() < 0.8), bool(rng.random() < 0.8)) for scene in range(30) for sku in "abcdefgh"]
        refused += any(result.result == "fail" for result in results(crops(shown)).values())
    assert refused <= 1  # 20 * 0.05
