"""What TFX's Trainer runs: examples in, an exported model with its history out.

TFX reloads this module (`run_fn` is named by dotted path), so it holds functions only.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import msgspec
import tensorflow as tf
import tensorflow_transform as tft

from tfx_retail import answers, catalog, decisions, features, fitting, golden, labels, measurements, model, serving, training_data
from tfx_retail.answers import Hierarchy
from tfx_retail.config import Config
from tfx_retail.fitting import Fitted
from tfx_retail.serving import Contents
from tfx_retail.training_data import Counts, Sources

GOLDEN_IMAGES = 16


@tf.autograph.experimental.do_not_convert  # no tensor decides a Python branch here, and converting all of Keras takes seconds
def run_fn(fn_args: Any) -> None:
    """Trains on `train_files`, stops by `eval_files` (the validation role), exports to `serving_model_dir`.

    `custom_config`: `config` (Config as JSON), `labels` and `catalog` (paths), `checkpoints` (a folder of trainings of this config and data
    only; `checkpoints.remove` it once the export is safe), and maybe `progress` (a file that gets a line of JSON every few seconds).

    Raises:
      ValueError: train has fewer than two SKUs, validation is empty, the loss is not a number, or the backbone cannot be built.
    """
    settings = fn_args.custom_config
    config = msgspec.json.decode(settings["config"], type=Config)
    graph = tft.TFTransformOutput(fn_args.transform_output)
    lists, counted = _counted(graph, settings, config)
    checkpoints, run_dir = Path(settings["checkpoints"]), Path(fn_args.model_run_dir)
    sources = Sources(fn_args.train_files, fn_args.eval_files, graph)
    fitted = trained(config, counted, sources, checkpoints=checkpoints, run_dir=run_dir, progress=settings.get("progress"))
    contents = _contents(config, fitted, lists, counted, fn_args)
    folder = Path(fn_args.serving_model_dir)
    served = serving.export(contents, folder)
    golden.write(folder, served, *training_data.raw_examples(fn_args.eval_files, graph, GOLDEN_IMAGES))


def trained(config: Config, counted: Counts, sources: Sources, *, checkpoints: Path, run_dir: Path, progress: str | None) -> Fitted:
    """Returns the trained network, and writes `history.json` and TensorBoard's files to `run_dir`; SKUs without a count are left out."""
    validation = training_data.validation_batches(sources.validation, sources.graph, config, counted)
    run_dir.mkdir(parents=True, exist_ok=True)
    with precision(config), _scratch(checkpoints) as scratch, _reporter(progress, run_dir) as report:
        batches = training_data.training_batches(sources.train, sources.graph, config, counted, scratch)
        fitted = fitting.fit(config, batches, validation, checkpoint_dir=checkpoints, report=report)
    _write_history(fitted, run_dir)
    return fitted


def _counted(graph: tft.TFTransformOutput, settings: dict[str, Any], config: Config) -> tuple[Hierarchy, Counts]:
    order, products = labels.read(Path(settings["labels"])), catalog.read(Path(settings["catalog"]), "csv")
    examples = training_data.examples(graph, [label.sku for label in order])
    lists = answers.hierarchy(order, products, examples > 0)
    weights = training_data.balanced(examples, config.train)
    return lists, Counts(examples, weights, lists.look_of_sku, lists.family_of_look)


def _contents(config: Config, fitted: Fitted, lists: Hierarchy, counted: Counts, fn_args: Any) -> Contents:
    settings = fn_args.custom_config
    return Contents(
        network=in_float32(config, fitted.network, counted),
        lists=lists,
        corrections=answers.uncorrected(lists, counted.examples),
        thresholds=dict.fromkeys(
            features.SIGNATURES, decisions.Thresholds(config.serving.accept_above, config.serving.family_accept_above)
        ),
        image_size=config.model.image_size,
        crop_context=config.data.crop_context,
        labels=Path(settings["labels"]),
        catalog=Path(settings["catalog"]),
        examples={sku: int(count) for sku, count in zip(lists.skus, counted.examples, strict=True)},
        size_model=measurements.fitted(fn_args.train_files, lists),
    )


def in_float32(config: Config, network: keras.Model, counted: Counts) -> keras.Model:
    """Returns the network computing in float32: few machines that serve are faster in half floats, and all are less exact."""
    if not config.train.mixed_precision:
        return network
    bare = msgspec.structs.replace(config.model, weights="none")
    plain = model.build(bare, counted.family_of_look)
    plain.set_weights(network.get_weights())
    return plain


@contextmanager
def precision(config: Config) -> Iterator[None]:
    """Sets Keras to half floats for a while, where the config wants it and the machine has them."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_policy() if config.train.mixed_precision else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _policy() -> str:
    """Returns the fastest arithmetic of this machine: a CPU without instructions for bfloat16 would be slower in it."""
    if tf.config.list_physical_devices("GPU"):
        return "mixed_float16"
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text(encoding="utf-8").split() if cpu.is_file() else []
    return "mixed_bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"


@contextmanager
def _scratch(checkpoints: Path) -> Iterator[Path]:
    """Yields an empty folder for a while; what a killed training left in it is removed."""
    folder = checkpoints / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reporter(progress: str | None, run_dir: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """Yields the function that tells of progress: a line of JSON for the runner, and TensorBoard's scalars after each epoch."""
    writer = tf.summary.create_file_writer(str(run_dir))
    lines = os.devnull if progress is None else progress
    Path(lines).parent.mkdir(parents=True, exist_ok=True)
    with open(lines, "w", encoding="utf-8", buffering=1) as file, writer.as_default():

        def report(facts: dict[str, float]) -> None:
            file.write(json.dumps({name: _rounded(value) for name, value in facts.items()}) + "\n")
            if "val_loss" in facts:
                for name in ("loss", "val_loss", "val_accuracy", "learning_rate"):
                    tf.summary.scalar(name, facts[name], step=int(facts["epoch"]))
                writer.flush()

        yield report
    writer.close()


def _rounded(value: float) -> float | None:
    if not math.isfinite(value):
        return None  # JSON has no NaN
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _write_history(fitted: Fitted, run_dir: Path) -> None:
    progress = fitted.progress
    history = {
        "epochs": [{name: _rounded(value) for name, value in entry.items()} for entry in progress.history],
        "best_epoch": progress.best_epoch,
        "exported_epoch": fitted.exported_epoch,
        "resumed_from": fitted.resumed_from,
        "early_stopped": fitted.early_stopped,
        "parameters": fitted.network.count_params(),
        "images_per_second": _rounded(fitted.images_per_second),
        "seconds": _rounded(progress.seconds),
    }
    (run_dir / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
