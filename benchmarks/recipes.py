"""What each ingredient of training is worth: the same network with one thing changed, on photos of other scenes than it was trained on.

python -m benchmarks.recipes configs/grocery_store.yaml --run output/grocery_store --recipe base --recipe "no mixup: train.augment.mixup=0"
    [--set train.epochs=40] [--seeds 1 2 3] [--state FOLDER] [--folds 5]

`--run` is the pipeline's folder after `tfx-retail run CONFIG --to Transform`: every recipe trains on the same examples.
Judged on calibration and eval together (eval's official list is few photos). With `--folds` each recipe is trained once for each fold of
the scenes of train, validation and calibration, without it, and judged on it. With `--state` a training that was killed goes on.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import keras
import msgspec
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from benchmarks import folds
from benchmarks.folds import Example, Judged
from tfx_retail import config_file, fitting, intervals, preprocessing, training, training_data
from tfx_retail.answers import Hierarchy
from tfx_retail.config import Config
from tfx_retail.training_data import Counts

JUDGED = ("calibration", "eval")
_COLUMNS = "SKU on eval | family on eval | SKU on both (over scenes) | family | SKU in families of several | log loss"
LEARNT = ("train", "validation", "calibration")  # what folds are made of


class Photos(NamedTuple):
    """The crops of the roles that judge."""

    images: list[bytes]
    look: np.ndarray[Any, Any]  # [N]
    role: np.ndarray[Any, Any]  # [N] text
    scene: np.ndarray[Any, Any]  # [N] number


def main() -> None:
    """Prints a line for each recipe and seed as soon as it is trained."""
    options = _options()
    columns = "SKU | family | log loss | ECE | log loss, calibrated | ECE, calibrated" if options.folds else _COLUMNS
    print(f"| recipe | seed | {columns} | |")
    print("| --- " * (4 + columns.count("|")) + "|")
    for recipe in options.recipe:
        name, _, changes = recipe.partition(":")
        for seed in options.seeds:
            config = config_file.load(options.config, (*options.set, *changes.split(), f"train.seed={seed}"))
            (cross_validate if options.folds else run)(name, config, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", action="append", default=[], help="name: key=value key=value ...")
    parser.add_argument("--set", action="append", default=[], help="key=value for all recipes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--folds", type=int, default=0, help="cross-validate in so many")
    parser.add_argument("--state", type=Path, help="keep checkpoints here")
    return parser.parse_args()


def run(name: str, config: Config, options: argparse.Namespace) -> None:
    """Trains one recipe and prints how it does."""
    given = made_by(config, options.run)
    photos, begun = _photos(given.examples, given.lists), time.monotonic()
    files = [str(given.examples / f"Split-{role}" / "*") for role in ("train", "validation")]
    network = _trained(config, given, files, options.state and options.state / f"{name.strip()}-{config.train.seed}")
    minutes = (time.monotonic() - begun) / 60
    logits = _logits(network, photos.images, config.model.image_size)
    print(f"| {name} | {config.train.seed} | {_figures(logits, photos, given.lists)} | {minutes:.1f} min |", flush=True)


def cross_validate(name: str, config: Config, options: argparse.Namespace) -> None:
    """Trains one recipe once for each fold and prints how it does on photos of scenes that it never saw."""
    # nothing may be chosen by the fold that judges
    config = msgspec.structs.replace(config, train=msgspec.structs.replace(config.train, early_stopping_epochs=0))
    given, begun = made_by(config, options.run), time.monotonic()
    examples = [example for role in LEARNT for example in folds.read(given.examples / f"Split-{role}")]
    fold = folds.deal([example.sku for example in examples], [example.scene for example in examples], options.folds)
    look = _look_of(given.lists)
    logits = np.zeros((len(examples), len(given.lists.looks)))
    for number in range(options.folds):
        state = options.state and options.state / f"{name.strip()}-{config.train.seed}-fold{number}"
        logits[fold == number] = _out_of_fold(config, given, examples, fold == number, state)
    judged = fold >= 0
    shown, scene = np.array([look[example.sku] for example in examples]), np.array([example.scene for example in examples])
    found = Judged(logits[judged], shown[judged], intervals.number(scene[judged]), fold[judged], given.lists.family_of_look)
    minutes = (time.monotonic() - begun) / 60
    print(f"| {name} | {config.train.seed} | {folds.figures(found)} | {minutes:.1f} min |", flush=True)


class Given(NamedTuple):
    """What the pipeline's run made."""

    examples: Path
    graph: tft.TFTransformOutput
    lists: Hierarchy
    counted: Counts


def made_by(config: Config, run_folder: Path) -> Given:
    """Returns what the newest run below a pipeline's folder made."""
    examples, transformed = (_newest(run_folder / "nodes" / part) for part in ("ExampleGen/examples", "Transform/transform_graph"))
    graph = tft.TFTransformOutput(str(transformed))
    return Given(examples, graph, *_counted(graph, run_folder, config))


@tf.autograph.experimental.do_not_convert
def _trained(config: Config, given: Given, files: list[str], state: Path | None) -> keras.Model:
    """Returns the network that learnt from the first pattern of files; the second is its validation."""
    with tempfile.TemporaryDirectory() as folder, training.precision(config):
        batches = training_data.training_batches(files[:1], given.graph, config, given.counted, Path(folder))
        validation = training_data.validation_batches(files[1:], given.graph, config, given.counted)
        found = fitting.fit(config, batches, validation, checkpoint_dir=state or Path(folder), report=_say)
    return training.in_float32(config, found.network, given.counted)


def _out_of_fold(config: Config, given: Given, examples: list[Example], out: np.ndarray[Any, Any], state: Path | None) -> Any:
    """Returns the logits of the photos that `out` marks, of a network that learnt from the others."""
    learnt = [example for example, judged in zip(examples, out, strict=True) if not judged]
    held = [example for example, judged in zip(examples, out, strict=True) if judged]
    seen = Counter(example.sku for example in learnt)
    counts = np.array([seen[sku] for sku in given.lists.skus], np.int64)
    counted = given.counted._replace(examples=counts, weights=training_data.balanced(counts, config.train))
    with tempfile.TemporaryDirectory() as folder:
        files = [folds.write(learnt, Path(folder) / "train"), folds.write(held, Path(folder) / "held")]
        network = _trained(config, given._replace(counted=counted), files, state)
    return _logits(network, [example.image for example in held], config.model.image_size)


def _say(facts: dict[str, float]) -> None:
    if "val_loss" in facts:
        print(
            f"epoch {facts['epoch']} of {facts['epochs']}: {facts['val_accuracy']:.3f}, {facts['seconds']:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def _newest(folder: Path) -> Path:
    return max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _counted(graph: tft.TFTransformOutput, place: Path, config: Config) -> tuple[Hierarchy, Counts]:
    """Returns them for the newest labels and catalogue of the pipeline."""
    kept = {name: max(place.glob(f"inputs/*-{name}.csv"), key=lambda path: path.stat().st_mtime) for name in ("labels", "catalog")}
    return training.counted_of(graph, kept, config)


def _photos(examples: Path, lists: Hierarchy) -> Photos:
    look = _look_of(lists)
    rows = [(example, role) for role in JUDGED for example in folds.read(examples / f"Split-{role}")]
    scenes = np.unique([f"{role}/{example.scene}" for example, role in rows], return_inverse=True)[1]
    shown = np.array([look[example.sku] for example, _ in rows])
    return Photos([example.image for example, _ in rows], shown, np.array([role for _, role in rows]), scenes)


def _look_of(lists: Hierarchy) -> dict[str, int]:
    return {sku: int(lists.look_of_sku[index]) for index, sku in enumerate(lists.skus)}


def _logits(network: Any, images: list[bytes], side: int) -> np.ndarray[Any, Any]:
    parts = []
    for start in range(0, len(images), 64):
        pixels, _ = preprocessing.decode(tf.constant(images[start : start + 64]), side)
        parts.append(network(pixels, training=False)["logits"].numpy())
    return np.concatenate(parts)


def _figures(logits: np.ndarray[Any, Any], photos: Photos, lists: Hierarchy) -> str:
    look = np.exp(logits - logits.max(axis=1, keepdims=True))
    look /= look.sum(axis=1, keepdims=True)
    family = np.stack([look[:, lists.family_of_look == number].sum(axis=1) for number in range(len(lists.families))], axis=1)
    true_family = lists.family_of_look[photos.look]
    within = np.where(lists.family_of_look == family.argmax(axis=1)[:, None], look, -1.0)
    right, right_family = within.argmax(axis=1) == photos.look, family.argmax(axis=1) == true_family
    loss = -np.log(np.maximum(look[np.arange(len(look)), photos.look], 1e-7))
    alone = np.bincount(lists.family_of_look)[true_family] == 1
    ofval = photos.role == "eval"
    both = intervals.mean(right.astype(float), photos.scene)
    cells = [f"{right[ofval].mean():.3f}", f"{right_family[ofval].mean():.3f}"]
    cells += [f"{both.value:.3f} ({both.interval[0]:.3f} to {both.interval[1]:.3f})" if both.interval else f"{both.value:.3f}"]
    return " | ".join([*cells, f"{right_family.mean():.3f}", f"{right[~alone].mean():.3f}", f"{loss.mean():.3f}"])


if __name__ == "__main__":
    main()
