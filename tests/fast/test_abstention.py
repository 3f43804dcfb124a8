"""What is accepted and what that promises: by hand, by property and by simulation."""

import math
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import abstention, binomial, trials
from tfx_retail.abstention import Abstention
from tfx_retail.config import AbstainConfig
from tfx_retail.trials import Evidence

CONFIG = AbstainConfig()


class Scenes(NamedTuple):
    """Scenes that are all alike."""

    number: int
    score: float = 0.9
    crops: int = 1
    wrong: int = 0  # of the crops of each


def choose(*judge: Scenes, guide: tuple[Scenes, ...] = (), config: AbstainConfig = CONFIG, unknown: Evidence | None = None) -> Abstention:
    """Returns what comes of scenes that test, and others that say where to start: as they are, if not given."""
    second, first = evidence(*judge), evidence(*(guide or judge))
    both = Evidence(*(np.concatenate(pair) for pair in zip(first, second._replace(groups=second.groups + 10_000), strict=True)))
    return abstention.choose(both, np.arange(len(both.score)) < len(first.score), config, seed=1, unknown=unknown)


def evidence(*scenes: Scenes) -> Evidence:
    each = [kind for kind in scenes for _ in range(kind.number)]
    score = [kind.score for kind in each for _ in range(kind.crops)]
    right = [crop >= kind.wrong for kind in each for crop in range(kind.crops)]
    groups = [number for number, kind in enumerate(each) for _ in range(kind.crops)]
    return Evidence(np.array(score), np.array(right, bool), np.array(groups, np.int64))


@pytest.mark.parametrize("crops", [1, 20])
def test_98_percent_needs_149_scenes_without_an_error_however_many_crops_each_has(crops: int) -> None:
    found = choose(Scenes(149, crops=crops))
    assert (found.threshold, found.trials, found.wrong, found.coverage) == (0.9, 149, 0, 1.0)
    assert found.bound == pytest.approx(0.05 ** (1 / 149))
    assert choose(Scenes(148, crops=crops)).threshold is None


def test_one_error_takes_236_scenes() -> None:
    assert choose(Scenes(235), Scenes(1, wrong=1)).threshold == 0.9  # 0.98^236 + 236 * 0.02 * 0.98^235 = 0.0494
    assert choose(Scenes(234), Scenes(1, wrong=1)).threshold is None  # 0.0502


def test_where_nothing_qualifies_it_says_how_many_scenes_are_needed_and_what_can_be_reached() -> None:
    found = choose(Scenes(100))
    assert (found.threshold, found.bound, found.precision, found.accepted, found.coverage) == (None, None, None, 0, 0.0)
    assert (found.trials_needed, found.groups_needed, found.groups) == (149, 298, 100)  # half of the scenes here are for the temperatures
    assert found.reachable == 0.97  # 0.97^100 = 0.048, 0.975^100 = 0.080
    assert found.text == (
        "nothing is accepted: 98.0% needs at least 149 scenes with an accepted answer and no error, beside those that temperatures are "
        "fitted on; here are 100, and about 298 scenes in the calibration role would do; these can prove 97.0% (abstain.precision)"
    )


def test_scenes_that_fell_short_by_chance_are_not_asked_for_again() -> None:
    found = choose(Scenes(298), Scenes(2, wrong=1), guide=(Scenes(100),))  # 2 errors take 313 scenes, but 2 in 400 are rare enough for 149
    assert (found.threshold, found.groups_needed, found.groups) == (None, 199, 300)
    assert "here are 300, and at the error rates that were seen these could have been enough" in found.text


def test_a_model_that_errs_too_often_is_not_helped_by_photos() -> None:
    found = choose(Scenes(30), Scenes(1, wrong=1))
    assert found.groups_needed is None
    assert "no number of scenes would do" in found.text


def test_the_promise_is_said_in_words() -> None:
    assert choose(Scenes(149, crops=2)).text == (
        "accepted from a score of 0.9 on: at least 98.0% right, but for a probability of 0.05; 298 of 298 crops are accepted; one was "
        "drawn from each of 149 scenes, 0 of these were wrong, which proves 98.01%"
    )


def test_the_threshold_goes_as_low_as_the_promise_holds() -> None:
    found = choose(Scenes(200, 0.9), Scenes(50, 0.8), Scenes(40, 0.5, wrong=1), Scenes(20, 0.3))
    assert (found.threshold, found.accepted, found.precision) == (0.8, 250, 1.0)
    assert found.coverage == pytest.approx(250 / 310)


def test_a_start_that_the_other_scenes_promised_and_that_fails_accepts_nothing() -> None:
    found = choose(Scenes(200, 0.9), Scenes(20, 0.8, wrong=1), Scenes(40, 0.7), guide=(Scenes(60, 0.8), Scenes(60, 0.7)))
    assert found.threshold is None


def test_a_score_of_zero_is_never_accepted() -> None:
    assert choose(Scenes(200, 0.9), Scenes(200, 0.0)).threshold == 0.9
    assert choose(Scenes(400, 0.0)).threshold is None


def test_large_scenes_that_are_harder_than_small_ones_are_not_hidden_by_them() -> None:
    # 2 of 404 scenes are drawn wrong, on average, and that is proven to be under 2 %; but a fourth of the crops are wrong
    assert binomial.at_most(3, 404, 0.02) < 0.05
    assert choose(Scenes(400), Scenes(4, crops=100, wrong=50)).threshold is None


def test_an_unknown_product_is_taken_to_be_accepted_where_nobody_measured_it() -> None:
    config = AbstainConfig(unknown_rate=0.005)
    found = choose(Scenes(500), config=config)
    assert (found.threshold, found.unknown_accepted) == (0.9, 1.0)
    # 0.8 of delta is left: 1 - p = 1 - 0.04^(1/500) = 0.0064; all but 1 in 200 are known, and of these at least 1 - x are accepted
    coverage = 1 - _smallest_refuted_by_silence(500, 0.005)
    assert found.bound == pytest.approx(0.04 ** (1 / 500) / (1 + 0.005 / 0.995 / coverage), abs=1e-4)
    assert choose(Scenes(5000), config=AbstainConfig(unknown_rate=0.021)).threshold is None  # 2.1 % of errors, whatever the model does


def _smallest_refuted_by_silence(groups: int, level: float) -> float:
    """Returns the share that a stake refutes that grows by 1 / (1 - share) with each group and is half of all."""
    return 1 - (level / 0.5) ** (1 / groups)


def test_unknown_products_that_are_refused_do_not_harm() -> None:
    refused = Evidence(np.full(2000, 0.1), np.zeros(2000, bool), np.arange(2000))
    found = choose(Scenes(500), config=AbstainConfig(unknown_rate=0.05), unknown=refused)
    assert found.threshold == 0.9
    assert found.unknown_accepted is not None
    assert found.unknown_accepted < 0.005
    accepted = refused._replace(score=np.full(2000, 0.95))
    assert choose(Scenes(500), config=AbstainConfig(unknown_rate=0.05), unknown=accepted).threshold is None


@pytest.mark.parametrize("groups", [0, 1, 2])
def test_hardly_any_scene_accepts_nothing(groups: int) -> None:
    few = evidence(Scenes(groups, crops=30))
    found = abstention.choose(few, trials.tuning_part(few.groups, 0.3, 1), CONFIG, seed=1)
    assert found.threshold is None
    assert found.reachable is None


def test_without_scenes_that_test_nothing_is_accepted() -> None:
    some = evidence(Scenes(300))
    assert abstention.choose(some, np.ones(300, bool), CONFIG, seed=1).threshold is None


def test_a_score_that_is_not_a_number_is_refused() -> None:
    broken = evidence(Scenes(3, math.nan))
    with pytest.raises(ValueError, match="3 of 3 scores are NaN; give crops that cannot be accepted the score 0"):
        abstention.choose(broken, np.zeros(3, bool), CONFIG, seed=1)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"have \[2, 3\] rows"):
        abstention.choose(evidence(Scenes(3)), np.zeros(2, bool), CONFIG, seed=1)


def test_what_it_rests_on_goes_into_json_and_back() -> None:
    found = choose(Scenes(149))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Abstention) == found


def test_parts_hold_whole_scenes_and_do_not_depend_on_the_order_of_crops() -> None:
    groups = np.array([f"scene {number}" for number in range(100) for _ in range(3)])
    tuning = trials.tuning_part(groups, 0.3, seed=1)
    assert tuning.reshape(100, 3).all(axis=1).sum() == 30
    assert tuning.sum() == 90
    assert (trials.tuning_part(groups[::-1], 0.3, seed=1)[::-1] == tuning).all()
    assert (trials.tuning_part(groups, 0.3, seed=2) != tuning).any()


@pytest.mark.parametrize(("groups", "tuning"), [(0, 0), (1, 0), (2, 1), (3, 1), (10, 3)])
def test_each_part_has_a_scene_if_there_are_two(groups: int, tuning: int) -> None:
    assert trials.tuning_part(np.arange(groups), 0.3, seed=1).sum() == tuning


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 80), st.sampled_from([0.2, 0.5, 0.9]), st.integers(1, 4), st.integers(0, 1)), max_size=5))
@pytest.mark.long
def test_what_is_accepted_is_proven_and_counted(kinds: list[tuple[int, float, int, int]]) -> None:
    scenes = [Scenes(*kind) for kind in kinds]
    config = AbstainConfig(precision=0.8)
    found = choose(*scenes, config=config)
    if found.threshold is None:
        assert (found.accepted, found.trials) == (0, 0)
        return
    accepted = [kind for kind in scenes if kind.score >= found.threshold]
    assert found.trials == sum(kind.number for kind in accepted)
    assert found.accepted == sum(kind.number * kind.crops for kind in accepted)
    assert found.bound is not None
    assert found.precision is not None
    assert 0.8 <= found.bound <= found.precision + 1e-12
    assert found.reachable is not None
    assert found.reachable >= 0.8 - 0.005


def alike(rng: np.random.Generator, scenes: int, error: np.ndarray | float, score: np.ndarray | float) -> Evidence:  # type: ignore[type-arg]
    """Returns scenes of 20 crops whose errors have a correlation of 0.2: a crop shares its luck with its scene in 45 % of all cases."""
    groups = np.repeat(np.arange(scenes), 20)
    luck = np.where(rng.random(len(groups)) < math.sqrt(0.2), rng.random(scenes)[groups], rng.random(len(groups)))
    return Evidence(np.broadcast_to(score, len(groups)).astype(float), luck >= error, groups)


@pytest.mark.long
def test_a_precision_that_just_misses_the_promise_is_let_through_in_fewer_than_delta_of_all_cases() -> None:
    rng, config, repetitions = np.random.default_rng(5), AbstainConfig(precision=0.95), 60
    let_through = by_crops = 0
    for number in range(repetitions):
        drawn = alike(rng, 130, 0.05, 0.9)
        judge = ~trials.tuning_part(drawn.groups, 0.3, number)
        let_through += abstention.choose(drawn, ~judge, config, seed=number).threshold is not None
        by_crops += binomial.at_most(int((~drawn.right[judge]).sum()), int(judge.sum()), 0.05) <= 0.05
    assert let_through <= 0.05 * repetitions
    assert by_crops >= 0.15 * repetitions  # what counting crops as if they were independent would have let through


@pytest.mark.long
def test_a_threshold_below_which_the_promise_breaks_is_passed_in_fewer_than_delta_of_all_cases() -> None:
    # a crop of score s is wrong with a probability of 0.2 (1 - s): above t it is 0.1 (1 - t), so 0.95 holds from 0.5 on
    rng, config, repetitions = np.random.default_rng(6), AbstainConfig(precision=0.95), 20
    found = []
    for number in range(repetitions):
        score = rng.random(300 * 20)
        drawn = alike(rng, 300, 0.2 * (1 - score), score)
        found.append(abstention.choose(drawn, trials.tuning_part(drawn.groups, 0.3, number), config, seed=number).threshold or 1.0)
    assert sum(threshold < 0.5 for threshold in found) <= 0.05 * repetitions
    assert np.median(found) < 0.8  # and it is of use: every fifth crop at least is accepted, of the half that could be
