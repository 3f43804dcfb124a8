"""Self-supervised pre-training: a trunk learns to tell crops apart that nobody has labelled, before it is taught names.

Two random changes of one crop are to be nearer each other than to any change of another crop of the batch.
Source: Chen, Kornblith, Norouzi and Hinton, A simple framework for contrastive learning (SimCLR, arXiv:2002.05709).
"""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import msgspec
import numpy as np
import tensorflow as tf
from keras import layers

from tfx_retail import checkpoints, embedding_loss, fitting, model, preprocessing, schedules, training, training_data
from tfx_retail.augment import augment
from tfx_retail.checkpoints import Progress, State
from tfx_retail.config import AugmentConfig, Config, DataConfig, PretrainConfig, TrainConfig
from tfx_retail.errors import UserError
from tfx_retail.ingest import images
from tfx_retail.ingest.paths import IMAGE_SUFFIXES, read_bytes, require_folder, walk
from tfx_retail.ingest.record import Annotation, Fault, Photo, Record, Rejection

PROJECTION = 128  # Source: SimCLR, section 2.1; the trunk's own features serve better than what stands behind two layers more
_WAITING = 10_000  # crops that wait in the shuffle


class Pretrained(msgspec.Struct, frozen=True, kw_only=True):
    """`pretrain.json`."""

    images: int
    refused: int  # files that are no image, or none that can be decoded
    epochs: int
    losses: list[float]  # of each epoch
    seconds: float


class _Crops(NamedTuple):
    """The unlabelled crops."""

    decoded: Any  # data set of [side, side, 3] uint8
    total: int
    refused: int


class _Loop(NamedTuple):
    """What stays the same from the first epoch to the last."""

    crops: _Crops
    contrast: keras.Model  # pixels to projections
    optimizer: keras.Optimizer
    config: Config
    train: TrainConfig  # of this training, not of the classifier's

    @property
    def batch_size(self) -> int:
        return min(self.train.batch_size, self.crops.total)

    @property
    def steps(self) -> int:
        return self.crops.total // self.batch_size

    @property
    def variables(self) -> list[Any]:
        return [*self.contrast.variables, *self.optimizer.variables]


@tf.autograph.experimental.do_not_convert  # as in the Trainer: no tensor decides a Python branch here
def run(config: Config, settings: PretrainConfig, folder: Path, *, checkpoint_dir: Path) -> Pretrained:
    """Trains a trunk, or goes on training it from the checkpoint, and writes `pretrain.json` and its weights, `model.TRUNK`, to `folder`.

    Raises:
      UserError: the folder of crops is not there, or has fewer than two that can be decoded.
      ValueError: the loss is not a number, or the backbone cannot be built.
    """
    train = msgspec.structs.replace(
        config.train,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_epochs=min(config.train.warmup_epochs, settings.epochs / 10),
        max_steps=0,
    )
    keras.utils.set_random_seed(train.seed)
    progress = str(checkpoint_dir / "progress.jsonl")
    with training.precision(config), training.scratch_folder(checkpoint_dir) as scratch, training.reporter(progress, folder) as report:
        crops = _crops(config, settings, scratch)
        trunk = model.trunk(config.model)
        contrast = _contrast(trunk)
        loop = _Loop(crops, contrast, fitting.built_optimizer(train, contrast), config, train)
        done = _trained(loop, settings.temperature, checkpoint_dir, report)
    folder.mkdir(parents=True, exist_ok=True)
    model.write_trunk(trunk, folder / model.TRUNK)
    losses = [entry["loss"] for entry in done.history]
    found = Pretrained(images=crops.total, refused=crops.refused, epochs=done.epoch, losses=losses, seconds=round(done.seconds, 1))
    (folder / "pretrain.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return found


def views(pixels: Any, seed: Any, config: AugmentConfig, *, side: int) -> tuple[Any, Any]:
    """Returns two random changes of a batch, each [B, side, side, 3] float32 in [0, 1].

    Stronger ones than a classifier is trained with, else the colours alone would tell which two belong together; mirrored only as it is.
    """
    strong = msgspec.structs.replace(
        config,
        min_area=min(config.min_area, 0.2),
        max_aspect=max(config.max_aspect, 1.33),
        brightness=max(config.brightness, 0.3),
        contrast=max(config.contrast, 0.4),
        saturation=max(config.saturation, 0.4),
        hue=max(config.hue, 0.1),
        erase=0.0,
    )
    first, second = (augment(preprocessing.to_unit(pixels), seed + tf.constant([0, way], tf.int64), strong, side=side) for way in (0, 1))
    return first, second


def _crops(config: Config, settings: PretrainConfig, scratch: Path) -> _Crops:
    root, refused = settings.path, 0
    require_folder(root)

    def encoded() -> Iterator[tuple[bytes, int]]:
        nonlocal refused
        refused = 0
        for path in walk(root, IMAGE_SUFFIXES):
            image = path if isinstance(path, Rejection) else _image(root, path)
            if isinstance(image, bytes):
                yield image, 0
            else:
                refused += 1

    side = training_data.source_side(msgspec.structs.replace(config, train=_cropped(config.train)))
    pairs = tf.data.Dataset.from_generator(encoded, output_signature=(tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int64)))
    files = sum(not isinstance(path, Rejection) for path in walk(root, IMAGE_SUFFIXES))
    pixels = training_data.decodable(pairs, side).map(lambda found, _: found)
    place = training_data.cache_place(files * side * side * 3, scratch)
    pixels = pixels if place is None else pixels.cache(place)
    count = int(pixels.reduce(np.int64(0), lambda total, _: total + 1))
    if count < 2:
        raise UserError(
            f"pretrain.path: {root} has {count} images that can be decoded, of {files}; two at least, and thousands to be of use"
        )
    return _Crops(pixels, count, refused)


def _cropped(train: TrainConfig) -> TrainConfig:
    """Returns settings by which images are decoded large enough for crops."""
    return msgspec.structs.replace(train, augment=msgspec.structs.replace(train.augment, min_area=min(train.augment.min_area, 0.2)))


def _image(root: str, path: str) -> bytes | Rejection:
    """Returns the whole image, upright and encoded as examples are."""
    try:
        photo = Photo(photo_id=path, image=read_bytes(root, path), annotations=(Annotation(""),), source_file=path)
    except Fault as fault:
        return Rejection(path, str(fault))
    (found,) = images.records(photo, DataConfig(path=root, format="image_folder"))
    return found.image if isinstance(found, Record) else found


def _contrast(trunk: keras.Model) -> keras.Model:
    width = trunk.output.shape[-1]
    head = [layers.Dense(width, activation="relu", name="hidden"), layers.Dense(PROJECTION, use_bias=False, name="projection")]
    network = keras.Sequential([trunk, *head], name="contrast")
    network.build((None, *trunk.input.shape[1:]))
    return network


def _trained(loop: _Loop, temperature: float, folder: Path, report: Callable[[dict[str, float]], None]) -> Progress:
    state = checkpoints.load(folder) or State(Progress(), (), ())
    if state.variables:
        fitting.assign(loop.variables, state.variables)
    step = _step(loop, temperature)
    while state.progress.epoch < loop.train.epochs:
        state = State(_epoch(loop, state.progress, step, report), fitting.values(loop.variables), ())
        checkpoints.save(folder, state)
    return state.progress


def _step(loop: _Loop, temperature: float) -> Callable[..., Any]:
    contrast, optimizer = loop.contrast, loop.optimizer

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def step(first: Any, second: Any) -> Any:
        with tf.GradientTape() as tape:
            projected = contrast(tf.concat([first, second], axis=0), training=True)
            count = tf.shape(projected)[0]
            pairs = tf.roll(tf.eye(count), count // 2, axis=1)  # a crop's one positive is its other view
            loss = tf.reduce_mean(embedding_loss.supcon(projected, pairs, temperature))
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, contrast.trainable_variables), contrast.trainable_variables)
        return loss

    return step


def _epoch(loop: _Loop, before: Progress, step: Callable[..., Any], report: Callable[[dict[str, float]], None]) -> Progress:
    started, total = time.monotonic(), loop.steps * loop.train.epochs
    losses: list[float] = []
    for first, second in _batches(loop, before.epoch):
        number = before.step + len(losses)
        loop.optimizer.learning_rate.assign(schedules.rate(loop.train, number, epoch_steps=loop.steps, total_steps=total))
        losses.append(_finite(float(step(first, second)), number))
    seconds = before.seconds + time.monotonic() - started
    entry = {"epoch": before.epoch + 1, "loss": float(np.mean(losses)), "seconds": seconds}
    report(entry | {"epochs": loop.train.epochs, "step": before.step + len(losses), "steps": total})
    return Progress(epoch=before.epoch + 1, step=before.step + len(losses), history=(*before.history, entry), seconds=seconds)


def _batches(loop: _Loop, number: int) -> Any:
    order = int(np.random.default_rng((loop.train.seed, number)).integers(2**31))
    side = loop.config.model.image_size

    def both(batch: Any, pixels: Any) -> tuple[Any, Any]:
        seed = tf.stack([tf.constant(order, tf.int64), 2 * batch])
        return views(pixels, seed, loop.train.augment, side=side)

    shuffled = loop.crops.decoded.shuffle(min(loop.crops.total, _WAITING), seed=order)
    batches = shuffled.batch(loop.batch_size, drop_remainder=True).enumerate()
    return batches.map(both, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def _finite(loss: float, step: int) -> float:
    if math.isfinite(loss):
        return loss
    raise ValueError(f"pretrain: the loss of step {step + 1} is {loss}; lower pretrain.learning_rate to a third, and run again")
