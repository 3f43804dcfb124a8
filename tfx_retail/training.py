"""What TFX's Trainer runs: examples in, a network with its history out; the Calibrator makes a model of it.

TFX reloads this module (`run_fn` is named by dotted path), so it holds functions only.
"""

import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_retail import answers, catalog, fitting, handover, labels, measurements, model, team, teamwork, training_data, tuned
from tfx_retail.answers import Hierarchy
from tfx_retail.config import Config
from tfx_retail.digests import text_digest
from tfx_retail.errors import UserError
from tfx_retail.fitting import Fitted
from tfx_retail.runs import Workspace
from tfx_retail.teamwork import Job
from tfx_retail.trained import Taught, Trained
from tfx_retail.training_data import WHOLE, Counts, Part, Sources

_log = logging.getLogger(__name__)


@tf.autograph.experimental.do_not_convert  # no tensor decides a Python branch here, and converting all of Keras takes seconds
def run_fn(fn_args: Any) -> None:
    """Trains on `train_files`, stops by `eval_files` (the validation role), writes the network to `serving_model_dir`.

    `custom_config`: `config` (Config as JSON), `labels` and `catalog` (paths), `checkpoints` (a folder of trainings of this config and data
    only; `checkpoints.remove` it once the export is safe), and maybe `progress` (a file that gets a line of JSON every few seconds).

    Raises:
      ValueError: train has fewer than two SKUs, validation is empty, the loss is not a number, or the backbone cannot be built.
    """
    settings = fn_args.custom_config
    config = msgspec.json.decode(settings["config"], type=Config)
    chosen = (getattr(fn_args, "hyperparameters", None) or {}).get("values", {})
    config = begun_with(tuned.applied(config, chosen), getattr(fn_args, "base_model", None))
    graph = tft.TFTransformOutput(fn_args.transform_output)
    lists, counted = counted_of(graph, settings, config)
    # a search that is run anew may choose otherwise: a training never goes on from one with other settings
    checkpoints = Path(settings["checkpoints"], *([text_digest(json.dumps(chosen, sort_keys=True))] if chosen else []))
    run_dir = Path(fn_args.model_run_dir)
    sources = Sources(fn_args.train_files, fn_args.eval_files, graph)
    meet = meeting_place(Path(settings["checkpoints"]))
    fitted = trained(config, counted, sources, checkpoints=checkpoints, run_dir=run_dir, progress=settings.get("progress"), meet=meet)
    _hand_over(config, fitted, lists, counted, fn_args)


def begun_with(config: Config, base_model: str | None) -> Config:
    """Returns the settings of a network that begins with the trunk in a folder, if one is given."""
    if not base_model:
        return config
    return msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, weights=str(Path(base_model) / model.TRUNK)))


def meeting_place(checkpoints: Path) -> Path:
    """Returns the folder where workers of several machines meet, for the folder of checkpoints that the pipeline gives to a node."""
    return Workspace(checkpoints.parents[1]).team


def trained(
    config: Config, counted: Counts, sources: Sources, *, checkpoints: Path, run_dir: Path, progress: str | None, meet: Path
) -> Fitted:
    """Returns the trained network, and writes `history.json` and TensorBoard's files to `run_dir`; SKUs without a count are left out.

    Args:
      meet: where the workers of `train.strategy: multi_worker` meet, if they are on several machines.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    if config.train.strategy == "multi_worker":
        fitted = _trained_together(config, counted, sources, checkpoints, run_dir, progress, meet)
    else:
        with reporter(progress, run_dir) as report:
            fitted = fitted_on(config, counted, sources, checkpoints, report)
    _write_history(fitted, run_dir)
    return fitted


def fitted_on(
    config: Config,
    counted: Counts,
    sources: Sources,
    checkpoints: Path,
    report: fitting.Report,
    *,
    part: Part = WHOLE,
    scratch_of: Path | None = None,
    **together: Any,
) -> Fitted:
    """Returns what `fitting.fit` makes of a part of the examples, with its own scratch folder where several processes share `checkpoints`.

    Args:
      together: what `fitting.fit` takes besides, where several processes train together.
    """
    validation = training_data.validation_batches(sources.validation, sources.graph, config, counted, part)
    with precision(config), scratch_folder(scratch_of or checkpoints) as scratch:
        batches = training_data.training_batches(sources.train, sources.graph, config, counted, scratch, part)
        return fitting.fit(config, batches, validation, checkpoint_dir=checkpoints, report=report, **together)


def _trained_together(
    config: Config, counted: Counts, sources: Sources, checkpoints: Path, run_dir: Path, progress: str | None, meet: Path
) -> Fitted:
    """Lets the workers train, in processes of their own, and takes the end from their checkpoint."""
    files, workers = training_data.files_of(sources.train), config.train.workers
    if files < workers:
        raise UserError(
            f"train.workers: {workers} workers read different files of the train split, and it has {files}; "
            f"set beam.shards to {workers} or more, or train.workers to {files}"
        )
    named = team.of_pipeline(os.environ, workers)
    job = _job(config, counted, sources, checkpoints, run_dir, progress)
    folder = meet if named else checkpoints / "team"
    resumed_from = teamwork.lead(named or team.on_this_machine(workers), folder, job, local=named is None, say=_log.warning)
    return fitted_on(config, counted, sources, checkpoints, lambda _: None)._replace(resumed_from=resumed_from)


def _job(config: Config, counted: Counts, sources: Sources, checkpoints: Path, run_dir: Path, progress: str | None) -> Job:
    return Job(
        config=config,
        train=tuple(sources.train),
        validation=tuple(sources.validation),
        transform=str(Path(sources.graph.transform_savedmodel_dir).parent),
        checkpoints=str(checkpoints),
        run_dir=str(run_dir),
        progress=progress,
        examples=tuple(counted.examples.tolist()),
        weights=tuple(counted.weights.tolist()),
        look_of_sku=tuple(counted.look_of_sku.tolist()),
        family_of_look=tuple(counted.family_of_look.tolist()),
    )


def counted_of(graph: tft.TFTransformOutput, settings: dict[str, Any], config: Config) -> tuple[Hierarchy, Counts]:
    """Returns the label lists and what is to be learnt of them, for the `labels` and `catalog` of `custom_config`."""
    order, products = labels.read(Path(settings["labels"])), catalog.read(Path(settings["catalog"]), "csv")
    examples = training_data.examples(graph, [label.sku for label in order])
    lists = answers.hierarchy(order, products, examples > 0)
    weights = training_data.balanced(examples, config.train)
    return lists, Counts(examples, weights, lists.look_of_sku, lists.family_of_look)


def _hand_over(config: Config, fitted: Fitted, lists: Hierarchy, counted: Counts, fn_args: Any) -> None:
    """Writes the network and what it was taught, for the node that makes a model of it."""
    network = in_float32(config, fitted.network, counted)
    looks = [lists.looks[look] for look in lists.look_of_sku]
    families = [lists.families[family] for family in lists.family_of_look[lists.look_of_sku]]
    rows = zip(lists.skus, looks, families, counted.examples.tolist(), counted.weights.tolist(), strict=True)
    known = Trained(
        image_size=config.model.image_size,
        crop_context=config.data.crop_context,
        parameters=network.count_params(),
        embedder_id=handover.embedder_id(network),
        products=tuple(Taught(sku=sku, look=look, family=family, examples=seen, weight=weight) for sku, look, family, seen, weight in rows),
        size_model=measurements.fitted(fn_args.train_files, lists),
    )
    handover.save(handover.of_keras(network, config.model.image_size), known, Path(fn_args.serving_model_dir))


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
def scratch_folder(checkpoints: Path) -> Iterator[Path]:
    """Yields an empty folder for a while; what a killed training left in it is removed."""
    folder = checkpoints / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# what `tf.summary.scalar` writes; itself it needs TensorBoard, which TensorFlow 2.21 no longer brings along
_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"))


@contextmanager
def reporter(progress: str | None, run_dir: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """Yields the function that tells of progress: a line of JSON for the runner, and TensorBoard's scalars after each epoch."""
    writer = tf.summary.create_file_writer(str(run_dir))
    lines = os.devnull if progress is None else progress
    Path(lines).parent.mkdir(parents=True, exist_ok=True)
    with open(lines, "w", encoding="utf-8", buffering=1) as file, writer.as_default():

        def report(facts: dict[str, float]) -> None:
            file.write(json.dumps({name: _rounded(value) for name, value in facts.items()}) + "\n")
            if "val_loss" in facts:
                for name in ("loss", "val_loss", "val_accuracy", "learning_rate"):
                    tf.summary.write(name, np.float32(facts[name]), step=int(facts["epoch"]), metadata=_SCALAR)
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
