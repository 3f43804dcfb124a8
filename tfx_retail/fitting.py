"""The training loop: steps, validation, early stopping, and going on from a checkpoint.

A loop of our own around a Keras model rather than `fit`: Keras 3's `fit` fails when several machines train one model, this does not.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfx_retail import checkpoints, embedding_loss, model, schedules, training_data
from tfx_retail.checkpoints import Arrays, Progress, State
from tfx_retail.config import Config, TrainConfig
from tfx_retail.replicas import Replicas
from tfx_retail.training_data import TrainingBatches

REPORT_SECONDS = 2.0  # between two reports within an epoch

Report = Callable[[dict[str, float]], None]


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


class Loop(NamedTuple):
    """What stays the same from the first epoch to the last."""

    config: TrainConfig
    learner: Learner
    batches: TrainingBatches
    validation: Any  # data set of images and looks
    place: tf.distribute.Strategy
    take_step: Callable[..., Any]
    measure: Callable[..., Any]
    replicas: Replicas
    report: Report

    @property
    def total_steps(self) -> int:
        return schedules.total_steps(self.config, self.batches.steps)

    def ended(self, progress: Progress) -> bool:
        """Tells whether all steps are done, or the validation loss has not fallen for as many epochs as the config allows."""
        patience = self.config.early_stopping_epochs
        return progress.step >= self.total_steps or bool(patience and progress.epoch - progress.best_epoch >= patience)


def strategy(config: TrainConfig) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy of a process that trains by itself; those of `multi_worker` bring theirs."""
    return tf.distribute.MirroredStrategy() if config.strategy == "mirrored" else tf.distribute.get_strategy()


def fit(
    config: Config,
    batches: TrainingBatches,
    validation: Any,
    *,
    checkpoint_dir: Path,
    report: Report,
    place: tf.distribute.Strategy | None = None,
    began: Callable[[int], None] = lambda _: None,
) -> Fitted:
    """Trains the network, or goes on training it from the folder's checkpoint.

    Where several processes train together, each calls this with its part of the batches; all come to the same, the first one keeps it.

    Args:
      report: called within epochs every few seconds, and after each with `val_loss` and `val_accuracy` too.
      place: the strategy, where it is not the configuration's own.
      began: told the epoch of the checkpoint that all go on from.

    Raises:
      ValueError: the loss is not a number, no image can be decoded, or the backbone cannot be built.
      OutOfStep: other processes have another checkpoint.
    """
    loop = _loop(config, batches, validation, report, place or strategy(config.train))
    state = checkpoints.load(checkpoint_dir) or State(Progress(), (), ())
    loop.replicas.check_in_step(state.progress.step)
    if state.variables:
        assign(loop.learner.variables, state.variables)
    resumed_from = state.progress.epoch
    began(resumed_from)
    while not loop.ended(state.progress):
        state = _epoch(loop, state)
        due = state.progress.epoch % config.train.checkpoint_epochs == 0 or loop.ended(state.progress)
        if due and batches.part.number == 0:
            checkpoints.save(checkpoint_dir, state)
    return _finished(loop, state, resumed_from)


def _loop(config: Config, batches: TrainingBatches, validation: Any, report: Report, place: tf.distribute.Strategy) -> Loop:
    keras.utils.set_random_seed(config.train.seed)
    with place.scope():
        learner = _learner(config, batches.counted.family_of_look)
    step, measure = _step(learner, place, config.train), _measure(learner.network)
    replicas = Replicas(place, batches.part.parts)
    return Loop(config.train, learner, batches, validation, place, step, measure, replicas, report)


def _learner(config: Config, family_of_look: Any) -> Learner:
    network = model.build(config.model, family_of_look)
    optimizer = built_optimizer(config.train, network)
    average = [tf.Variable(variable.value, trainable=False) for variable in network.weights] if config.train.ema else []
    return Learner(network, optimizer, average)


def built_optimizer(config: TrainConfig, network: keras.Model) -> keras.Optimizer:
    """Returns the optimizer with its variables for the network's weights."""
    optimizer = _optimizer(config)
    optimizer.exclude_from_weight_decay([variable for variable in network.trainable_variables if not model.decayed(variable)])
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients would vanish in half floats
    optimizer.build(network.trainable_variables)
    return optimizer


def _optimizer(config: TrainConfig) -> keras.Optimizer:
    common = {
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm or None,
    }
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=0.9, nesterov=True, **common)
    # second moments over 100 steps instead of 1,000: a small set is trained in few thousand steps
    return keras.optimizers.AdamW(beta_2=0.99, **common | {"weight_decay": config.weight_decay})


def _step(learner: Learner, place: tf.distribute.Strategy, config: TrainConfig) -> Callable[..., Any]:
    """Returns the function that takes one step on a batch over all replicas and returns its loss."""
    network, optimizer = learner.network, learner.optimizer

    def replica_step(images: Any, targets: Any, weights: Any) -> Any:
        replica, total = tf.distribute.get_replica_context(), tf.distribute.ReduceOp.SUM
        with tf.GradientTape() as tape:
            losses = weights * _losses(network(images, training=True), targets, config)
            # by the size of the whole batch, so that the replicas' gradients add up to its gradient
            loss = tf.reduce_sum(losses) / replica.all_reduce(total, tf.cast(tf.size(losses), tf.float32))
            scaled = optimizer.scale_loss(loss)
        gradients = replica.all_reduce(total, tape.gradient(scaled, network.trainable_variables))
        optimizer.apply(gradients, network.trainable_variables)
        return loss

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def step(batch: Any, number: Any) -> Any:
        loss = place.reduce(tf.distribute.ReduceOp.SUM, place.run(replica_step, args=batch), axis=None)
        # early on the average follows closely, else it would long hold the random weights that training began with
        momentum = tf.minimum(config.ema, (1.0 + number) / (10.0 + number))
        for average, variable in zip(learner.average, network.weights, strict=False):
            average.assign_add((1.0 - momentum) * (tf.cast(variable.value, average.dtype) - average))
        return loss

    return step


def _losses(outputs: dict[str, Any], targets: Any, config: TrainConfig) -> Any:
    """Returns [B] losses of the network's outputs."""
    losses = tf.nn.softmax_cross_entropy_with_logits(targets, outputs["logits"])
    if config.embedding_loss == "none":
        return losses
    overlap = embedding_loss.overlaps(targets, config.label_smoothing)
    beside = embedding_loss.LOSSES[config.embedding_loss]
    return losses + config.embedding_weight * beside(outputs["embedding"], overlap, config.embedding_temperature)


def _measure(network: keras.Model) -> Callable[..., Any]:
    """Returns the function from images and looks to the sum of their plain losses and the number of right answers."""

    @tf.function(reduce_retracing=True)
    @tf.autograph.experimental.do_not_convert
    def measure(images: Any, looks: Any) -> tuple[Any, Any]:
        logits = network(images, training=False)["logits"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(looks, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == looks, tf.float32))

    return measure


def _epoch(loop: Loop, state: State) -> State:
    """Returns the state after one more epoch."""
    before, started = state.progress, time.monotonic()
    step, entry = _steps(loop, before)
    loop.replicas.even_out(_of_own_batches(loop.learner))
    with _exported_weights(loop.learner):
        entry |= _validated(loop)
        better = entry["val_loss"] < before.best_loss
        # without early stopping the last weights are exported, so the best need not be kept
        best = values(loop.learner.network.weights) if better and loop.config.early_stopping_epochs else state.best
    seconds = before.seconds + time.monotonic() - started
    loop.report(_facts(loop, before, step) | entry | {"seconds": seconds})
    progress = Progress(
        epoch=before.epoch + 1,
        step=step,
        history=(*before.history, {"epoch": before.epoch + 1} | entry | {"seconds": seconds - before.seconds}),
        best_epoch=before.epoch + 1 if better else before.best_epoch,
        best_loss=entry["val_loss"] if better else before.best_loss,
        seconds=seconds,
    )
    return State(progress, values(loop.learner.variables), best)


def _steps(loop: Loop, before: Progress) -> tuple[int, dict[str, float]]:
    """Takes the steps of one epoch; returns the number of steps since training began, and the epoch's mean loss and last rate."""
    step, losses, rate = before.step, [], 0.0
    started, reported = time.monotonic(), -math.inf
    for batch in _batches(loop, before):
        rate = schedules.rate(loop.config, step, epoch_steps=loop.batches.steps, total_steps=loop.total_steps)
        loop.learner.optimizer.learning_rate.assign(rate)
        losses.append(_finite(float(loop.take_step(batch, tf.constant(step, tf.float32))), step, loop.config))
        step += 1
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            loop.report(_facts(loop, before, step) | {"loss": float(np.mean(losses)), "seconds": before.seconds + reported - started})
    if not losses:
        raise ValueError(f"train: epoch {before.epoch + 1} had no batch; its images cannot be decoded")
    return step, {"loss": float(np.mean(losses)), "learning_rate": rate}


def _batches(loop: Loop, before: Progress) -> Iterable[Any]:
    """Returns an epoch's batches; in all of several processes they are as many, for each waits for the others in every step."""
    left = loop.total_steps - before.step
    if loop.batches.part.parts == 1:
        return loop.place.experimental_distribute_dataset(loop.batches.epoch(before.epoch).take(left))
    own = loop.batches.epoch(before.epoch, loop.place.num_replicas_in_sync)
    return itertools.islice(loop.place.distribute_datasets_from_function(lambda _: own), min(left, loop.batches.steps))


def _of_own_batches(learner: Learner) -> list[tf.Variable]:
    """Returns what a replica learns from its own batches alone: statistics of batch normalization, and the moving averages of these."""
    averages = [average for variable, average in zip(learner.network.weights, learner.average, strict=False) if not variable.trainable]
    return [variable.value for variable in learner.network.non_trainable_weights] + averages


def _facts(loop: Loop, before: Progress, step: int) -> dict[str, float]:
    epochs = math.ceil(loop.total_steps / loop.batches.steps)
    return {"epoch": before.epoch + 1, "epochs": epochs, "step": step, "steps": loop.total_steps}


def _validated(loop: Loop) -> dict[str, float]:
    loss = correct = count = 0.0
    for images, looks in loop.validation:
        batch_loss, batch_correct = loop.measure(images, looks)
        loss, correct, count = loss + float(batch_loss), correct + float(batch_correct), count + len(looks)
    loss, correct, count = loop.replicas.total([loss, correct, count])
    if not count:
        raise training_data.nothing_to_validate()
    return {"val_loss": loss / count, "val_accuracy": correct / count}


def _finite(loss: float, step: int, config: TrainConfig) -> float:
    if math.isfinite(loss):
        return loss
    precision = " or float16 overflows (train.mixed_precision)," if config.mixed_precision else ""
    raise ValueError(
        f"train: the loss of step {step + 1} is {loss}. Most likely the steps are too large (train.learning_rate {config.learning_rate:g},"
        f" train.clip_norm {config.clip_norm:g}, train.warmup_epochs {config.warmup_epochs:g}),{precision} or weights from a"
        " file are broken; lower the learning rate to a third, or set train.clip_norm to 1, and run again"
    )


@contextmanager
def _exported_weights(learner: Learner) -> Iterator[None]:
    """Holds the moving averages in the network for a while, where there are any."""
    if not learner.average:
        yield
        return
    kept = values(learner.network.weights)
    assign(learner.network.weights, values(learner.average))
    try:
        yield
    finally:
        assign(learner.network.weights, kept)


def _finished(loop: Loop, state: State, resumed_from: int) -> Fitted:
    progress, learner = state.progress, loop.learner
    if state.best or learner.average:
        assign(learner.network.weights, state.best or values(learner.average))
    return Fitted(
        network=learner.network,
        progress=progress,
        exported_epoch=progress.best_epoch if state.best else progress.epoch,
        resumed_from=resumed_from,
        early_stopped=progress.step < loop.total_steps,
        images_per_second=progress.step * loop.batches.batch_size / max(progress.seconds, 1e-9),
    )


def assign(variables: list[Any], values: Arrays) -> None:
    if len(variables) != len(values):
        raise ValueError(f"checkpoint: {len(values)} variables, the network and its optimizer have {len(variables)}; remove its folder")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def values(variables: list[Any]) -> list[Any]:
    return [np.asarray(variable.numpy()) for variable in variables]
