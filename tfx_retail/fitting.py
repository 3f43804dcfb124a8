"""The training loop: steps, validation, early stopping, and going on from a checkpoint.

A loop of our own around a Keras model rather than `fit`: Keras 3's `fit` fails when several machines train one model, this does not.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfx_retail import checkpoints, model, schedules
from tfx_retail.checkpoints import Arrays, Progress, State
from tfx_retail.config import Config, TrainConfig
from tfx_retail.training_data import TrainingBatches

REPORT_SECONDS = 2.0  # between two reports within an epoch


class Fitted(NamedTuple):
    """A trained network, holding the weights to export, and how it came about."""

    network: keras.Model
    progress: Progress
    exported_epoch: int
    resumed_from: int  # epoch; 0: trained in one go
    early_stopped: bool
    images_per_second: float


class Learner(NamedTuple):
    """All variables that training changes."""

    network: keras.Model
    optimizer: keras.Optimizer
    average: list[tf.Variable]  # moving averages of the network's weights; empty where they are off

    @property
    def variables(self) -> list[Any]:
        return [*self.network.variables, *self.optimizer.variables, *self.average]


def strategy(config: TrainConfig) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy; one for several machines has its place here."""
    return {"none": tf.distribute.get_strategy, "mirrored": tf.distribute.MirroredStrategy}[config.strategy]()


def fit(
    config: Config, batches: TrainingBatches, validation: Any, *, checkpoint_dir: Path, report: Callable[[dict[str, float]], None]
) -> Fitted:
    """Trains the network, or goes on training it from the folder's checkpoint.

    Args:
      report: called within epochs every few seconds, and after each with `val_loss` and `val_accuracy` too.

    Raises:
      ValueError: the loss is not a number, or the backbone cannot be built.
    """
    keras.utils.set_random_seed(config.train.seed)
    place = strategy(config.train)
    with place.scope():
        learner = _learner(config, len(batches.counted.examples))
    state = checkpoints.load(checkpoint_dir) or State(Progress(), (), ())
    if state.variables:
        _assign(learner.variables, state.variables)
    resumed_from, started = state.progress.epoch, time.monotonic()
    train, total = config.train, schedules.total_steps(config.train, batches.steps)
    take_step, measure = _step(learner, place, config.train), _measurer(learner.network)
    while state.progress.step < total and not _stopped(state.progress, train):
        seconds = time.monotonic() - started
        state = _epoch(config, learner, batches, validation, state, take_step=take_step, measure=measure, place=place, report=report)
        state = state._replace(progress=state.progress._replace(seconds=state.progress.seconds + time.monotonic() - started - seconds))
        if state.progress.epoch % train.checkpoint_epochs == 0 or state.progress.step >= total:
            checkpoints.save(checkpoint_dir, state)
    return _finished(learner, state, batches.batch_size, resumed_from, early_stopped=state.progress.step < total)


def _learner(config: Config, skus: int) -> Learner:
    network = model.build(config.model, skus=skus)
    optimizer = _optimizer(config.train)
    optimizer.exclude_from_weight_decay([variable for variable in network.trainable_variables if not model.decayed(variable)])
    optimizer.build(network.trainable_variables)
    average = [tf.Variable(variable.value, trainable=False) for variable in network.weights] if config.train.ema else []
    return Learner(network, optimizer, average)


def _optimizer(config: TrainConfig) -> keras.Optimizer:
    common = {
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm or None,
    }
    if config.optimizer == "sgd":
        inner = keras.optimizers.SGD(momentum=0.9, nesterov=True, **common)
    else:
        # second moments over 100 steps instead of 1,000: a small set is trained in few thousand steps
        inner = keras.optimizers.AdamW(beta_2=0.99, **common)
    return keras.optimizers.LossScaleOptimizer(inner) if keras.config.dtype_policy().name == "mixed_float16" else inner


def _step(learner: Learner, place: tf.distribute.Strategy, config: TrainConfig) -> Callable[..., Any]:
    """Returns the function that takes one step on a batch over all replicas and returns its loss."""

    def replica_step(images: Any, targets: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = learner.network(images, training=True)["logits"]
            losses = weights * tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            replica = tf.distribute.get_replica_context()
            count = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(tf.size(losses), tf.float32))
            loss = tf.reduce_sum(losses) / count  # of the whole batch, so that the replicas' gradients add up to its gradient
            scaled = learner.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, learner.network.trainable_variables)
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        learner.optimizer.apply(gradients, learner.network.trainable_variables)
        return loss

    @tf.function
    def step(batch: Any, number: Any) -> Any:
        loss = place.reduce(tf.distribute.ReduceOp.SUM, place.run(replica_step, args=batch), axis=None)
        # early on the average follows closely, else it would long hold the random weights that training began with
        momentum = tf.minimum(config.ema, (1.0 + number) / (10.0 + number))
        for average, variable in zip(learner.average, learner.network.weights, strict=False):
            average.assign_add((1.0 - momentum) * (tf.cast(variable.value, average.dtype) - average))
        return loss

    return step


def _epoch(
    config: Config,
    learner: Learner,
    batches: TrainingBatches,
    validation: Any,
    state: State,
    *,
    take_step: Callable[..., Any],
    measure: Callable[..., Any],
    place: tf.distribute.Strategy,
    report: Callable[[dict[str, float]], None],
) -> State:
    train, before = config.train, state.progress
    total = schedules.total_steps(train, batches.steps)
    step, losses, started, reported = before.step, [], time.monotonic(), 0.0
    facts = {"epoch": before.epoch + 1, "epochs": math.ceil(total / batches.steps), "steps": total}
    for batch in place.experimental_distribute_dataset(batches.epoch(before.epoch).take(total - before.step)):
        rate = schedules.rate(train, step, epoch_steps=batches.steps, total_steps=total)
        learner.optimizer.learning_rate.assign(rate)
        losses.append(_finite(float(take_step(batch, tf.constant(step, tf.float32))), step, train))
        step += 1
        now = time.monotonic()
        if now - reported > REPORT_SECONDS:
            reported = now
            report(facts | {"step": step, "loss": float(np.mean(losses)), "seconds": before.seconds + now - started})
    if not losses:
        raise ValueError(f"train: epoch {before.epoch + 1} had no batch; no image of the train split could be decoded")
    with _exported_weights(learner):
        val_loss, val_accuracy = _validate(measure, validation)
        better = val_loss < before.best_loss
        # without early stopping the last weights are exported, so the best need not be kept
        best = [variable.numpy() for variable in learner.network.weights] if better and train.early_stopping_epochs else state.best
    entry = {"loss": float(np.mean(losses)), "val_loss": val_loss, "val_accuracy": val_accuracy, "learning_rate": rate}
    seconds = time.monotonic() - started
    report(facts | {"step": step} | entry | {"seconds": before.seconds + seconds})
    progress = before._replace(
        epoch=before.epoch + 1,
        step=step,
        history=(*before.history, {"epoch": before.epoch + 1} | entry | {"seconds": seconds}),
        best_epoch=before.epoch + 1 if better else before.best_epoch,
        best_loss=val_loss if better else before.best_loss,
    )
    return State(progress, [_value(variable) for variable in learner.variables], best)


def _measurer(network: keras.Model) -> Callable[..., Any]:
    """Returns the function from images and labels to the sum of their plain losses and the number of right answers."""

    @tf.function(reduce_retracing=True)
    def measure(images: Any, labels: Any) -> tuple[Any, Any]:
        logits = network(images, training=False)["logits"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32))

    return measure


def _validate(measure: Callable[..., Any], validation: Any) -> tuple[float, float]:
    """Returns mean loss and accuracy."""
    loss = correct = count = 0.0
    for images, labels in validation:
        batch_loss, batch_correct = measure(images, labels)
        loss, correct, count = loss + float(batch_loss), correct + float(batch_correct), count + len(labels)
    return loss / count, correct / count


def _finite(loss: float, step: int, config: TrainConfig) -> float:
    if math.isfinite(loss):
        return loss
    precision = " or float16 overflows (train.mixed_precision)," if config.mixed_precision else ""
    raise ValueError(
        f"train: the loss of step {step + 1} is {loss}. Most likely the steps are too large (train.learning_rate {config.learning_rate:g},"
        f" train.clip_norm {config.clip_norm:g}, train.warmup_epochs {config.warmup_epochs:g}),{precision} or weights from a"
        " file are broken; lower the learning rate to a third, or set train.clip_norm to 1, and run again"
    )


def _stopped(progress: Progress, config: TrainConfig) -> bool:
    patience = config.early_stopping_epochs
    return bool(patience) and progress.epoch - progress.best_epoch >= patience


@contextmanager
def _exported_weights(learner: Learner) -> Iterator[None]:
    """Holds the moving averages in the network for a while, where there are any."""
    if not learner.average:
        yield
        return
    kept = [variable.numpy() for variable in learner.network.weights]
    _assign(learner.network.weights, [variable.numpy() for variable in learner.average])
    try:
        yield
    finally:
        _assign(learner.network.weights, kept)


def _finished(learner: Learner, state: State, batch_size: int, resumed_from: int, *, early_stopped: bool) -> Fitted:
    progress = state.progress
    if state.best:
        _assign(learner.network.weights, state.best)
    elif learner.average:
        _assign(learner.network.weights, [variable.numpy() for variable in learner.average])
    return Fitted(
        network=learner.network,
        progress=progress,
        exported_epoch=progress.best_epoch if state.best else progress.epoch,
        resumed_from=resumed_from,
        early_stopped=early_stopped,
        images_per_second=progress.step * batch_size / max(progress.seconds, 1e-9),
    )


def _assign(variables: list[Any], values: Arrays) -> None:
    if len(variables) != len(values):
        raise ValueError(f"checkpoint: {len(values)} variables, the network and its optimizer have {len(variables)}; remove its folder")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _value(variable: Any) -> Any:
    return np.asarray(variable.numpy())
