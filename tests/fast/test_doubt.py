"""From a network's logits to answers that are accepted: temperatures, one score and a threshold, then other scenes that hold them to it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_retail import abstention, acceptance, calibration, reliability, trials
from tfx_retail.acceptance import Answers
from tfx_retail.calibration import Calibration, Outputs, Truth
from tfx_retail.config import AbstainConfig, CalibrationConfig

FAMILY_OF_LOOK = np.repeat(np.arange(6), 2)
TOO_SURE = 2.5  # times the logits that would be right


class Crops(NamedTuple):
    outputs: Outputs
    truth: Truth


def drawn(scenes: int, seed: int) -> Crops:
    """Returns scenes of 10 crops of 6 families with 2 looks each, from a network that is far too sure."""
    random = np.random.default_rng(seed)
    crops = scenes * 10
    families = 6.0 * random.normal(size=(crops, 6)) + np.repeat(random.normal(size=(scenes, 6)), 10, axis=0)
    looks = 6.0 * random.normal(size=(crops, 12))
    _, look = calibration.apply(Outputs(families, looks, FAMILY_OF_LOOK), Calibration())
    shown = (look.cumsum(axis=1) > random.random((crops, 1))).argmax(axis=1)
    truth = Truth(FAMILY_OF_LOOK[shown], shown, np.repeat(np.arange(scenes), 10))
    return Crops(Outputs(TOO_SURE * families, TOO_SURE * looks, FAMILY_OF_LOOK), truth)


def rows(crops: Crops, kept: npt.NDArray[np.bool_]) -> Crops:
    outputs, truth = crops
    return Crops(
        Outputs(outputs.family_logits[kept], outputs.look_logits[kept], FAMILY_OF_LOOK),
        Truth(truth.family[kept], truth.look[kept], truth.groups[kept]),
    )


def answers(crops: Crops, fitted: Calibration) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Returns the confidence of the best look of the best family, and whether it is right."""
    family, look = calibration.apply(crops.outputs, fitted)
    decided = np.where(family.argmax(axis=1)[:, None] == FAMILY_OF_LOOK, look, -1.0).argmax(axis=1)
    return look[np.arange(len(look)), decided], decided == crops.truth.look


def test_what_is_fitted_on_some_scenes_holds_on_others() -> None:
    seen, later = drawn(500, 1), drawn(2000, 2)
    tuning = trials.tuning_part(seen.truth.groups, CalibrationConfig().share, seed=1)
    fitted = calibration.fit(*rows(seen, tuning))
    assert 0.8 * TOO_SURE < fitted.family.value < 1.1 * TOO_SURE  # towards 1, and of two looks there is less to learn
    assert 0.8 * TOO_SURE < fitted.look.value < 1.1 * TOO_SURE

    before, after = (reliability.calibration_error(*answers(later, given), later.truth.groups) for given in (Calibration(), fitted))
    assert before.debiased is not None
    assert after.debiased is not None
    assert after.debiased < 0.02
    assert before.debiased > 0.1

    confidence, right = answers(seen, fitted)
    odd = np.zeros(len(confidence))
    score = acceptance.joint_score(Answers(confidence, odd, np.ones(len(odd), bool)), acceptance.usual(odd[tuning]))
    found = abstention.choose(trials.Evidence(score, right, seen.truth.groups), tuning, AbstainConfig(precision=0.95), seed=1)
    assert found.threshold is not None
    assert found.coverage > 0.2

    confidence, right = answers(later, fitted)
    assert right[confidence >= found.threshold].mean() >= 0.95
