"""A search for settings by keras-tuner, each trial of which is a training by the Trainer's own code.

Apart from `tuning`, whose module TFX loads twice: a class would not be itself then.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import base_tuner

from tfx_retail import tuned
from tfx_retail.config import TuneConfig
from tfx_retail.runs import write_atomically

OBJECTIVE = "val_loss"
Try = Callable[[dict[str, str], str], float]  # from values and the trial's name to its validation loss
_log = logging.getLogger(__name__)


class Search(base_tuner.BaseTuner):
    """Tries settings at random, each combination once, and writes the best ones down. It goes on where a killed one was."""

    def __init__(self, settings: TuneConfig, attempt: Try, folder: Path, fragment: Path) -> None:
        """Args: `folder` keeps the trials; `fragment` is the file that gets the best values."""
        space = keras_tuner.HyperParameters()
        for key, texts in tuned.choices(settings).items():
            space.Choice(key, texts)
        oracle = keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective(OBJECTIVE, "min"),
            max_trials=settings.trials,
            hyperparameters=space,
            seed=settings.seed,
            tune_new_entries=False,
            allow_new_entries=False,
        )
        super().__init__(oracle, directory=str(folder), project_name="trials")
        self._attempt, self._fragment = attempt, fragment

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Returns the measure of one trial."""
        loss = self._attempt(dict(trial.hyperparameters.values), trial.trial_id)
        _log.info("trial %s: %s %.4f with %s", trial.trial_id, OBJECTIVE, loss, trial.hyperparameters.values)
        return {OBJECTIVE: loss}

    def search(self, *arguments: Any, **settings: Any) -> None:
        """Runs the trials, and writes the fragment.

        Raises:
          RuntimeError: no trial came to an end.
        """
        super().search(*arguments, **settings)
        best = self.oracle.get_best_trials(1)
        if not best:
            raise RuntimeError("tune: no trial came to an end; the log tells why; lower the rates in tune.space")
        done = sum(trial.status == "COMPLETED" for trial in self.oracle.trials.values())
        words = f"The best of {done} trials: a validation loss of {best[0].score:.4f}.\nCopy it into the configuration and take `tune` out."
        write_atomically(self._fragment, tuned.fragment(best[0].hyperparameters.values, words).encode())

    def save_model(self, *_: Any, **__: Any) -> None:
        """Keeps nothing: the Trainer trains the best settings at full length."""

    def load_model(self, trial: Any) -> Any:
        """Args: `trial`: of which nothing is kept."""
        raise NotImplementedError("trials keep no model")
