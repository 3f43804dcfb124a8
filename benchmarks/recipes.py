"""What each ingredient of training is worth: the same network with one thing changed, on photos of other scenes than it was trained on.

python -m benchmarks.recipes configs/grocery_store.yaml --run output/grocery_store --recipe base --recipe "no mixup: train.augment.mixup=0"
    [--set train.epochs=40] [--seeds 1 2 3] [--state FOLDER]

`--run` is the pipeline's folder after `tfx-retail run CONFIG --to Transform`: every recipe trains on the same examples.
Judged on calibration and eval together (eval's official list is few photos). With `--state` a training that was killed goes on.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_retail import config_file, features, fitting, intervals, preprocessing, training, training_data
from tfx_retail.answers import Hierarchy
from tfx_retail.config import Config
from tfx_retail.training_data import Counts

JUDGED = ("calibration", "eval")


class Photos(NamedTuple):
    """The crops of the roles that judge."""

    images: list[bytes]
    look: np.ndarray[Any, Any]  # [N]
    role: np.ndarray[Any, Any]  # [N] text
    scene: np.ndarray[Any, Any]  # [N] number


def main() -> None:
    """Prints a line for each recipe and seed as soon as it is trained."""
    print("| recipe | seed | SKU on eval | family on eval | SKU on both (over scenes) | family | SKU in families of several | log loss | |")
    print("| --- " * 9 + "|")
    options = _options()
    for recipe in options.recipe:
        name, _, changes = recipe.partition(":")
        for seed in options.seeds:
            config = config_file.load(options.config, (*options.set, *changes.split(), f"train.seed={seed}"))
            run(name, config, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", action="append", default=[], help="name: key=value key=value ...")
    parser.add_argument("--set", action="append", default=[], help="key=value for all recipes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--state", type=Path, help="keep checkpoints here")
    return parser.parse_args()


@tf.autograph.experimental.do_not_convert
def run(name: str, config: Config, options: argparse.Namespace) -> None:
    """Trains one recipe and prints how it does."""
    examples, transformed = (_newest(options.run / "nodes" / part) for part in ("ExampleGen/examples", "Transform/transform_graph"))
    graph = tft.TFTransformOutput(str(transformed))
    lists, counted = _counted(graph, options.run, config)
    photos, begun = _photos(examples, lists), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, training.precision(config):
        batches = training_data.training_batches([str(examples / "Split-train/*")], graph, config, counted, Path(folder))
        validation = training_data.validation_batches([str(examples / "Split-validation/*")], graph, config, counted)
        state = (options.state or Path(folder)) / f"{name.strip()}-{config.train.seed}"
        found = fitting.fit(config, batches, validation, checkpoint_dir=state, report=_say)
    network = training.in_float32(config, found.network, counted)
    minutes = (time.monotonic() - begun) / 60
    logits = _logits(network, photos.images, config.model.image_size)
    print(f"| {name} | {config.train.seed} | {_figures(logits, photos, lists)} | {minutes:.1f} min |", flush=True)


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
    look = {sku: lists.look_of_sku[index] for index, sku in enumerate(lists.skus)}
    rows = [(*row, role) for role in JUDGED for row in _rows(examples / f"Split-{role}")]
    scenes = np.unique([f"{role}/{scene}" for _, _, scene, role in rows], return_inverse=True)[1]
    return Photos([row[0] for row in rows], np.array([look[row[1]] for row in rows]), np.array([row[3] for row in rows]), scenes)


def _rows(folder: Path) -> Iterator[tuple[bytes, str, str]]:
    names = (features.IMAGE.name, features.SKU.name, features.GROUP.name)
    for file in sorted(folder.iterdir()):
        for serialized in tf.data.TFRecordDataset(str(file), "GZIP" if file.suffix == ".gz" else "").as_numpy_iterator():
            feature = tf.train.Example.FromString(serialized).features.feature
            image, sku, scene = (feature[name].bytes_list.value[0] for name in names)
            yield image, sku.decode(), scene.decode()


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
