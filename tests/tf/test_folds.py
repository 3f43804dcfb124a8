"""Cross-validation by scene: whole scenes in folds, and figures that are worked out by hand."""

from pathlib import Path

import numpy as np

from benchmarks import folds
from benchmarks.folds import Judged
from tests.tf import retail_set


def test_scenes_stay_whole_and_each_skus_photos_are_spread() -> None:
    skus = ["cola"] * 6 + ["lime"] * 3
    scenes = ["a", "a", "a", "b", "c", "c", "d", "e", "f"]
    # cola: the scene of three goes to fold 0, the two others, of two and of one, to fold 1, which has fewer of cola; lime then evens out
    assert folds.deal(skus, scenes, 2).tolist() == [0, 0, 0, 1, 1, 1, 0, 1, 0]


def test_a_sku_of_one_scene_is_always_learnt_from() -> None:
    assert folds.deal(["cola", "cola", "lime", "lime"], ["a", "a", "b", "c"], 2).tolist() == [-1, -1, 0, 1]


def test_photos_that_are_written_are_read_again(tmp_path: Path) -> None:
    made = retail_set.example(b"pixels", "cola", group="scene 1")
    (example,) = [folds.Example(made, b"pixels", "cola", "scene 1")]
    folds.write([example], tmp_path / "train")
    assert list(folds.read(tmp_path / "train")) == [example]


def test_figures_count_right_answers_and_calibrate_by_the_other_folds() -> None:
    sure = np.log(np.array([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]]))
    judged = Judged(np.tile(sure, (5, 1)), np.tile([0, 1, 1, 2], 5), np.arange(20), np.arange(20) % 5, np.array([0, 0, 1]))
    sku, family, loss, _, calibrated, _ = (cell.split(" ")[0] for cell in folds.figures(judged).split(" | "))
    # three of four right, and the wrong one is of the right family; the loss is (3 * -ln 0.9 - ln 0.05) / 4
    assert (sku, family, loss) == ("0.750", "1.000", "0.828")
    assert float(calibrated) < 0.828
