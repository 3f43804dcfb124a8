"""A search for settings as TFX's Tuner runs it, and what the Trainer makes of its result."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import search, tuned, tuning
from tfx_retail.config import Config, TuneConfig
from tfx_retail.search import Search

pytestmark = pytest.mark.filterwarnings("ignore:(currentThread|getName)")  # keras-tuner 1.4 on Python 3.10's names
SPACE = TuneConfig(space={"train.learning_rate": (0.001, 0.01, 0.03), "train.optimizer": ("adamw",)}, trials=3, epochs=1)


def losses(folder: Path, by_rate: dict[str, float]) -> list[str]:
    """Runs a search whose trials come to these losses, NaN for one that fails; returns the rates that were tried."""
    tried: list[str] = []

    def attempt(values: dict[str, str], _: str) -> float:
        tried.append(values["train.learning_rate"])
        if values["train.learning_rate"] not in by_rate:
            raise ValueError("diverged")
        return by_rate[values["train.learning_rate"]]

    Search(SPACE, attempt, folder / "state", folder / "tuned.yaml").search()
    return tried


def test_each_combination_is_tried_once_and_the_best_is_written_down(tmp_path: Path) -> None:
    assert sorted(losses(tmp_path, {"0.001": 0.9, "0.01": 0.4, "0.03": 0.7})) == ["0.001", "0.01", "0.03"]
    text = (tmp_path / "tuned.yaml").read_text()
    assert text.startswith("# The best of 3 trials: a validation loss of 0.4000.\n")
    assert yaml.safe_load(text) == {"train": {"learning_rate": 0.01, "optimizer": "adamw"}}


def test_a_trial_that_diverges_does_not_end_the_search(tmp_path: Path) -> None:
    losses(tmp_path, {"0.001": 0.9, "0.03": 0.7})
    assert yaml.safe_load((tmp_path / "tuned.yaml").read_text())["train"]["learning_rate"] == 0.03


def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    assert len(losses(tmp_path, {"0.001": 0.9, "0.01": 0.4, "0.03": 0.7})) == 3
    assert losses(tmp_path, {}) == []


def test_a_trial_is_a_training_by_the_trainers_own_code(packs: RetailSet, tmp_path: Path) -> None:
    config: Config = msgspec.structs.replace(retail_set.config({"max_steps": 2}), tune=SPACE)
    arguments: Any = packs.arguments(tmp_path, config, fragment=str(tmp_path / "tuned.yaml"), progress=str(tmp_path / "progress.jsonl"))
    arguments.transform_graph_path, arguments.base_model = arguments.transform_output, None
    found = tuning.tuner_fn(arguments)
    assert isinstance(found.tuner, search.Search)
    trial = found.tuner.oracle.create_trial("tuner0")
    assert 0 < found.tuner.run_trial(trial)["val_loss"] < 10
    assert (tmp_path / "checkpoints" / trial.trial_id / "run" / "history.json").is_file()
    assert tuned.applied(config, trial.hyperparameters.values).train.learning_rate in (0.001, 0.01, 0.03)
