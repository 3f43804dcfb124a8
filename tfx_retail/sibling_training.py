"""Trains a model's sibling by the Trainer's own code, and looks with it at crops of SKUs that it was taught and that it was not."""

from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_retail import (
    answers,
    calibration,
    features,
    intervals,
    preprocessing,
    priors,
    records,
    shown,
    sibling,
    training,
    training_data,
    unknown_score,
    unknowns,
)
from tfx_retail.answers import Corrections, Hierarchy
from tfx_retail.calibration import Calibration
from tfx_retail.config import Config
from tfx_retail.errors import UserError
from tfx_retail.fitting import Fitted
from tfx_retail.sibling import Evidence, HeldOut, Seen, Sibling, Training
from tfx_retail.training_data import Counts, Sources

_ROWS = 64
_SPEC = {feature.name: tf.io.FixedLenFeature([], tf.string) for feature in (features.IMAGE, features.SKU, features.GROUP)}


class Given(NamedTuple):
    """What the sibling is made from: the Trainer's own inputs."""

    examples: Path
    transform_graph: Path
    labels: Path
    catalog: Path
    checkpoints: Path
    trunk: Path | None = None  # folder of a pre-trained one

    def files(self, role: str) -> str:
        """Returns the pattern of one role's files."""
        return str(self.examples / f"Split-{role}" / "*")


class Judge(NamedTuple):
    """The trained sibling with what turns its outputs into scores."""

    network: keras.Model
    lists: Hierarchy  # only SKUs that it was taught are active
    corrections: Corrections
    size: int  # of the images that it sees
    taught: dict[str, int]  # SKU -> number of its look
    means: unknown_score.Floats | None = None

    def look_at(self, images: Any) -> tuple[Any, Any, Any]:
        """Returns logits [B, L] and embeddings [B, d] of [B] encoded images, and which could be decoded."""
        pixels, ok = preprocessing.decode(images, self.size)
        outputs = self.network(pixels, training=False)
        return outputs["logits"], outputs["embedding"], ok


class Crops(NamedTuple):
    """Some crops of a file of examples."""

    images: Any  # [B] bytes
    sku: Any  # [B] str
    group: Any  # [B] str


@tf.autograph.experimental.do_not_convert  # as in the Trainer: no tensor decides a Python branch, and converting all of Keras takes seconds
def run(config: Config, given: Given, folder: Path) -> Sibling:
    """Trains the sibling, measures, and writes the Sibling artifact.

    Raises:
      UserError: too few looks have photos, or the calibration role has nothing to choose an unknown score on.
      ValueError: as the Trainer.
    """
    config = training.begun_with(config, str(given.trunk) if given.trunk else None)
    graph = tft.TFTransformOutput(str(given.transform_graph))
    everything, held, counted = _counted(graph, given, config)
    sources = Sources([given.files("train")], [given.files("validation")], graph)
    progress = str(given.checkpoints / "progress.jsonl")
    meet = training.meeting_place(given.checkpoints)
    fitted = training.trained(config, counted, sources, checkpoints=given.checkpoints, run_dir=folder, progress=progress, meet=meet)
    judge, calibrated = _judge(config, given, fitted, everything, counted)
    found, evidence = _measured(judge, given, held, fitted, calibrated)
    sibling.write(folder, found, evidence)
    return found


def _counted(graph: tft.TFTransformOutput, given: Given, config: Config) -> tuple[Hierarchy, HeldOut, Counts]:
    """Returns the lists of all SKUs, those that are held out, and what is left to train on."""
    lists, counted = training.counted_of(graph, {"labels": given.labels, "catalog": given.catalog}, config)
    looks = {sku: lists.looks[look] for sku, look, active in zip(lists.skus, lists.look_of_sku, lists.active, strict=True) if active}
    held = sibling.held_out(looks, config.unknowns.hold_out, config.unknowns.seed)
    kept = np.where(np.isin(lists.skus, list(held.all)), 0, counted.examples)
    return lists, held, counted._replace(examples=kept, weights=training_data.balanced(kept, config.train))


def _judge(config: Config, given: Given, fitted: Fitted, everything: Hierarchy, counted: Counts) -> tuple[Judge, Calibration]:
    lists = everything._replace(active=everything.active & (counted.examples > 0))
    taught = {lists.skus[sku]: int(lists.look_of_sku[sku]) for sku in np.flatnonzero(lists.active)}
    undone = priors.undone(lists.look_of_sku, counted.examples, counted.weights, len(lists.looks))
    corrections = answers.uncorrected(lists, counted.examples)._replace(undone=undone.astype(np.float32))
    plain = Judge(training.in_float32(config, fitted.network, counted), lists, corrections, config.model.image_size, taught)
    calibrated = _calibrated(plain, given)
    corrections = corrections._replace(family_temperature=calibrated.family.value, look_temperature=calibrated.look.value)
    return plain._replace(corrections=corrections, means=_means(plain, given)), calibrated


def _means(judge: Judge, given: Given) -> unknown_score.Floats:
    @tf.function(reduce_retracing=True)
    def embed(images: Any) -> Any:
        _, embedding, ok = judge.look_at(images)
        return tf.where(ok[:, None], embedding, 0.0)

    crops = shown.labelled(given.examples / "Split-train")
    return unknown_score.class_means(embed, ((image, judge.taught[sku]) for image, sku in crops if sku in judge.taught))


def _calibrated(judge: Judge, given: Given) -> Calibration:
    """Returns temperatures fitted on the calibration role's crops of SKUs that the sibling was taught.

    Raises:
      UserError: there are none.
    """
    look_at = tf.function(judge.look_at, reduce_retracing=True)
    logits: list[Any] = []
    look: list[int] = []
    group: list[str] = []
    for crops in _crops(given, ("calibration",), judge.taught):
        found, _, decoded = look_at(tf.constant(crops.images))
        ok = decoded.numpy()
        logits.append(found.numpy()[ok])
        look.extend(judge.taught[sku] for sku in crops.sku[ok])
        group.extend(crops.group[ok])
    if not look:
        raise UserError(
            "sibling: the calibration role has no crop of a SKU that the sibling was taught, to choose an unknown score on; "
            "give it a larger share (split.shares or split.carve), or change unknowns.seed"
        )
    return _temperatures(judge, np.concatenate(logits), np.array(look), intervals.number(group))


def _temperatures(judge: Judge, logits: Any, look: Any, groups: Any) -> Calibration:
    lists = judge.lists
    undone = (logits + judge.corrections.undone).astype(np.float64)
    outputs = calibration.of_looks(undone, lists.may_win, lists.family_of_look, len(lists.families))
    truth = calibration.Truth(lists.family_of_look[look], look, groups)
    return calibration.fit(outputs, truth)


def _measured(judge: Judge, given: Given, held: HeldOut, fitted: Fitted, calibrated: Calibration) -> tuple[Sibling, Evidence]:
    """Returns the figures, and what the model's own threshold can be set by."""
    unknown = _seen(judge, _crops(given, features.ROLES, held.all))
    known, judging = (_seen(judge, _crops(given, (role,), judge.taught)) for role in ("calibration", "eval"))
    progress = fitted.progress
    facts = Training(
        epochs=progress.epoch,
        seconds=round(progress.seconds, 1),
        val_accuracy=progress.history[fitted.exported_epoch - 1]["val_accuracy"],
        calibration=calibrated,
    )
    found = sibling.judged(unknown, known, judging, held, facts, known=len(judge.taught))
    return found, sibling.evidence(unknown, known, found)


def _seen(judge: Judge, batches: Iterable[Crops]) -> Seen:
    """Returns what the sibling says of crops; those that cannot be decoded are left out."""

    @tf.function(reduce_retracing=True)
    def say(images: Any) -> tuple[Any, ...]:
        logits, embedding, ok = judge.look_at(images)
        best = tf.reduce_max(answers.scores(logits, ok, judge.lists, judge.corrections).sku, axis=1)
        scores = tf.stack([unknown_score.score(kind, best, logits, embedding, judge.means) for kind in unknowns.KINDS])
        return ok, best, tf.math.l2_normalize(embedding, axis=1), scores

    look_of = dict(zip(judge.lists.skus, (judge.lists.looks[look] for look in judge.lists.look_of_sku), strict=True))
    parts = [_none(judge)]
    for crops in batches:
        ok, best, vectors, scores = (value.numpy() for value in say(tf.constant(crops.images)))
        look = np.array([look_of[sku] for sku in crops.sku], object)
        kinds = dict(zip(unknowns.KINDS, scores.astype(np.float64), strict=True))
        parts.append(Seen(crops.sku, look, crops.group, best.astype(np.float64), kinds, vectors).rows(ok))
    return sibling.together(parts)


def _none(judge: Judge) -> Seen:
    texts, numbers = np.zeros(0, object), np.zeros(0)
    vectors = np.zeros((0, judge.network.output["embedding"].shape[-1]), np.float32)
    return Seen(texts, texts, texts, numbers, dict.fromkeys(unknowns.KINDS, numbers), vectors)


def _crops(given: Given, roles: Iterable[str], skus: Container[str]) -> Iterator[Crops]:
    """Yields the crops of some roles that show some SKUs."""
    for name in (name for role in roles for name in sorted(tf.io.gfile.glob(given.files(role)))):
        for batch in records.of_file(name).batch(_ROWS).map(lambda serialized: tf.io.parse_example(serialized, _SPEC)).as_numpy_iterator():
            image, sku, group = (batch[feature] for feature in _SPEC)
            named, scene = (np.array([text.decode() for text in texts], object) for texts in (sku, group))
            kept = np.array([one in skus for one in named], bool)
            if kept.any():
                yield Crops(image[kept], named[kept], scene[kept])
