"""What TFX's Tuner runs: a search for settings of the training, each trial of which is a short training.

TFX reloads this module (`tuner_fn` is named by dotted path), so it holds functions only.
"""

from pathlib import Path
from typing import Any

import msgspec
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from tfx_retail import training, tuned
from tfx_retail.config import Config
from tfx_retail.search import Search
from tfx_retail.training_data import Sources


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the search that TFX's Tuner runs.

    `custom_config`: as the Trainer's, and `fragment`, the file that gets the best values.

    Raises:
      ValueError: as the Trainer.
    """
    settings = fn_args.custom_config
    config = msgspec.json.decode(settings["config"], type=Config)
    assert config.tune, "the Tuner is a node only where the configuration has `tune`"
    search, config = config.tune, training.begun_with(config, fn_args.base_model)
    folder = Path(settings["checkpoints"])
    sources = Sources(fn_args.train_files, fn_args.eval_files, tft.TFTransformOutput(fn_args.transform_graph_path))

    @tf.autograph.experimental.do_not_convert
    def attempt(values: dict[str, str], name: str) -> float:
        return _trained(tuned.applied(config, values), sources, settings, folder / name)

    return TunerFnResult(tuner=Search(search, attempt, folder, Path(settings["fragment"])), fit_kwargs={})


def _trained(config: Config, sources: Sources, settings: dict[str, Any], folder: Path) -> float:
    """Returns the lowest validation loss of a training of `tune.epochs`."""
    assert config.tune, "a trial is one of a search"
    warmup = min(config.train.warmup_epochs, config.tune.epochs / 10)
    train = msgspec.structs.replace(config.train, epochs=config.tune.epochs, warmup_epochs=warmup)
    config = msgspec.structs.replace(config, train=train)
    _, counted = training.counted_of(sources.graph, settings, config)
    meet = training.meeting_place(Path(settings["checkpoints"]))
    done = training.trained(config, counted, sources, checkpoints=folder, run_dir=folder / "run", progress=settings["progress"], meet=meet)
    return min(epoch["val_loss"] for epoch in done.progress.history)
