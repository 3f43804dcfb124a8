"""Scenes in folds: every photo is judged by a network that was trained on other scenes only.

The folds are dealt within each SKU, the largest scenes first. A SKU with one scene alone is always learnt from and never judged: without it
no network would know that SKU.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail import calibration, features, intervals, records, reliability
from tfx_retail.calibration import Outputs, Truth

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Example(NamedTuple):
    """One photo of a role."""

    serialized: bytes  # tf.Example
    image: bytes
    sku: str
    scene: str


class Judged(NamedTuple):
    """N photos and what networks that never saw their scenes say of them."""

    logits: Floats  # [N, L]
    look: Indices  # [N]
    scene: Indices  # [N]
    fold: Indices  # [N]
    family_of_look: Indices  # [L]


def read(folder: Path) -> Iterator[Example]:
    """Yields the photos of a role."""
    names = (features.IMAGE.name, features.SKU.name, features.GROUP.name)
    for file in sorted(folder.iterdir()):
        for serialized in records.of_file(str(file)).as_numpy_iterator():
            feature = tf.train.Example.FromString(serialized).features.feature
            image, sku, scene = (feature[name].bytes_list.value[0] for name in names)
            yield Example(serialized, image, sku.decode(), scene.decode())


def write(examples: Sequence[Example], folder: Path) -> str:
    """Writes photos for a training, and returns the pattern of their files."""
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "photos")) as writer:
        for example in examples:
            writer.write(example.serialized)
    return str(folder / "*")


def deal(skus: Sequence[str], scenes: Sequence[str], folds: int) -> Indices:
    """Returns the fold of each of N photos, from 0 on; -1: always learnt from."""
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (sku, scene) in enumerate(zip(skus, scenes, strict=True)):
        members[sku][scene].append(index)
    found, total = np.full(len(skus), -1), np.zeros(folds, np.int64)
    for sku in sorted(members):
        own = np.zeros(folds, np.int64)
        for scene in sorted(members[sku], key=lambda name: (-len(members[sku][name]), name)) if len(members[sku]) > 1 else ():
            photos = members[sku][scene]
            # of the folds with the fewest photos of this SKU, the one with the fewest of all
            fold = min(range(folds), key=lambda number: (own[number], total[number]))
            found[photos] = fold
            own[fold] += len(photos)
            total[fold] += len(photos)
    return found


def figures(judged: Judged) -> str:
    """Returns a table's cells: SKU with the interval of such sets of scenes, family; log loss and calibration error, before and after.

    The temperatures of a fold are fitted on the other folds.
    """
    plain = _probabilities(judged, calibrated=False)
    right = plain[1].argmax(axis=1) == judged.look
    right_family = plain[0].argmax(axis=1) == judged.family_of_look[judged.look]
    between = intervals.mean(right.astype(float), judged.scene).interval
    cells = [f"{right.mean():.3f}{_between(between)}", f"{right_family.mean():.3f}"]
    return " | ".join([*cells, _doubt(plain[1], judged), _doubt(_probabilities(judged, calibrated=True)[1], judged)])


def _probabilities(judged: Judged, *, calibrated: bool) -> tuple[Floats, Floats]:
    """Returns [N, F] P(family) and [N, L] P(look)."""
    outputs = _outputs(judged)
    families, looks = np.empty_like(outputs.family_logits), np.empty_like(outputs.look_logits)
    for fold in np.unique(judged.fold):
        inside = judged.fold == fold
        fitted = calibration.fit(_rows(outputs, ~inside), _truth(judged, ~inside)) if calibrated else calibration.Calibration()
        families[inside], looks[inside] = calibration.apply(_rows(outputs, inside), fitted)
    return families, looks


def _outputs(judged: Judged) -> Outputs:
    looks = len(judged.family_of_look)
    return calibration.of_looks(judged.logits, np.ones(looks, bool), judged.family_of_look, int(judged.family_of_look.max()) + 1)


def _rows(outputs: Outputs, kept: Any) -> Outputs:
    return Outputs(outputs.family_logits[kept], outputs.look_logits[kept], outputs.family_of_look)


def _truth(judged: Judged, kept: Any) -> Truth:
    return Truth(judged.family_of_look[judged.look[kept]], judged.look[kept], intervals.number(judged.scene[kept].tolist()))


def _doubt(looks: Floats, judged: Judged) -> str:
    """Returns log loss and calibration error."""
    loss = reliability.losses(looks, judged.look).log_loss.mean()
    error = reliability.calibration_error(looks.max(axis=1), looks.argmax(axis=1) == judged.look, judged.scene)
    return f"{loss:.3f} | {error.debiased or 0.0:.3f}{_between(error.interval)}"


def _between(ends: tuple[float, float] | None) -> str:
    return f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
