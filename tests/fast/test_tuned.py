"""Settings that a search chooses: checked before it begins, applied, and written so that a person can keep them."""

from pathlib import Path

import pytest
import yaml

from tests.fast.shop import CONFIG
from tfx_retail import config_file, tuned
from tfx_retail.config import Config, TuneConfig


def config(folder: Path, text: str = "") -> Config:
    path = folder / "shop.yaml"
    path.write_text(CONFIG + text, encoding="utf-8")
    return config_file.load(path)


def test_choices_travel_as_json_and_are_applied_as_what_they_were(tmp_path: Path) -> None:
    space = TuneConfig(space={"train.learning_rate": (0.002, 1e-05), "model.blocks": ([1, 1], [2, 2, 2]), "train.augment.flip": (True,)})
    assert tuned.choices(space)["train.learning_rate"] == ["0.002", "1e-05"]
    found = tuned.applied(config(tmp_path), {"train.learning_rate": "1e-05", "model.blocks": "[2, 2, 2]", "train.augment.flip": "true"})
    assert (found.train.learning_rate, found.model.blocks, found.train.augment.flip) == (1e-05, (2, 2, 2), True)


def test_nothing_chosen_changes_nothing(tmp_path: Path) -> None:
    plain = config(tmp_path)
    assert tuned.applied(plain, {}) == plain


def test_the_fragment_is_a_part_of_a_configuration_with_its_story(tmp_path: Path) -> None:
    text = tuned.fragment(
        {"train.learning_rate": "0.004", "train.augment.mixup": "0.2", "model.blocks": "[1, 1]"}, "The best of 3.\nKeep it."
    )
    assert text.startswith("# The best of 3.\n# Keep it.\n")
    assert yaml.safe_load(text) == {"train": {"learning_rate": 0.004, "augment": {"mixup": 0.2}}, "model": {"blocks": [1, 1]}}
    assert config(tmp_path, text).train.learning_rate == 0.004


@pytest.mark.parametrize(
    ("space", "fault"),
    [
        ("{data.voc_origin: [0, 1]}", "tune.space: data.voc_origin is no setting of a training"),
        ("{train.learning_rate: [0.1, -1]}", "tune.space: train.learning_rate: -1 cannot be tried: Expected `float` > 0.0"),
        ("{train.learnrate: [0.1]}", "tune.space: train.learnrate: 0.1 cannot be tried: Object contains unknown field `learnrate`"),
        ("{model.width: []}", "tune.space: model.width has no value to try"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(tmp_path: Path, space: str, fault: str) -> None:
    with pytest.raises(config_file.ConfigError) as caught:
        config(tmp_path, f"tune: {{space: {space}}}")
    assert fault in str(caught.value)


def test_a_search_and_a_sibling_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(config_file.ConfigError, match=r"tune: not together with unknowns\.hold_out"):
        config(tmp_path, "tune: {space: {model.width: [8, 16]}}\nunknowns: {hold_out: 0.2}")
