"""Examples on disk to batches of pixels and targets, in an order that the seed alone decides."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft

from tfx_retail import features, preprocessing, records
from tfx_retail.augment import augment, mixed
from tfx_retail.config import AugmentConfig, Config, TrainConfig

MEMORY_BYTES = 256 * 2**20  # decoded images above this are kept on disk, so that memory does not grow with their number
DISK_BYTES = 8 * 2**30  # and above this, or half of what is free, they are decoded anew each epoch
SHUFFLE_BYTES = 128 * 2**20  # encoded images that wait in the shuffle; the shards' own order is shuffled too
DECODED_AT_ONCE = 32
SOURCE_MARGIN = 1.25  # crops are cut from images this much larger than what the network sees: less blur


class Counts(NamedTuple):
    """How many training examples each SKU has, in label order, what one of them weighs in the loss, and what is to be learnt of it."""

    examples: npt.NDArray[np.int64]  # [S]
    weights: npt.NDArray[np.float32]  # [S]
    look_of_sku: npt.NDArray[np.int64]  # [S]; the network tells looks, sizes tell the SKUs of a look
    family_of_look: npt.NDArray[np.int64]  # [L]

    @property
    def total(self) -> int:
        return int(self.examples.sum())


class Part(NamedTuple):
    """What one of the processes reads that train together: each `parts`-th file, from number `number` on."""

    number: int = 0
    parts: int = 1

    def of(self, names: Sequence[str]) -> list[str]:
        """Returns this process's files of all."""
        return list(names[self.number :: self.parts])


WHOLE = Part()


class Sources(NamedTuple):
    """Where examples come from: patterns of files, and Transform's graph for them."""

    train: Sequence[str]
    validation: Sequence[str]
    graph: tft.TFTransformOutput


def examples(graph: tft.TFTransformOutput, skus: Sequence[str]) -> npt.NDArray[np.int64]:
    """Returns how many training examples Transform counted of each SKU, [S].

    Raises:
      ValueError: fewer than two SKUs have examples.
    """
    found = _counted(graph)
    counted = np.array([found.get(sku, 0) for sku in skus], np.int64)
    if np.count_nonzero(counted) < 2:
        names = ", ".join(sku for sku, count in zip(skus, counted, strict=True) if count) or "none"
        raise ValueError(
            f"train: {counted.sum()} examples of one SKU at most ({names}); a classifier needs two SKUs or more with photos in train"
        )
    return counted


def training_batches(
    files: Sequence[str], graph: tft.TFTransformOutput, config: Config, counted: Counts, scratch: Path, part: Part = WHOLE
) -> "TrainingBatches":
    """Returns the train split, or one process's part of it, ready to be asked for its epochs.

    Args:
      scratch: an empty folder; decoded images that do not fit in memory are kept there.
    """
    side = source_side(config)
    names = part.of(_names(files))
    image_bytes = side * side * 3
    place = cache_place(image_bytes * counted.total // part.parts, scratch)
    decoded = None if place is None else decodable(taught(names, graph, counted), side).cache(place)
    if decoded is None:
        image_bytes = sum(tf.io.gfile.stat(name).length for name in names) * part.parts // counted.total + 1
    buffer = counted.total if place == "" else min(counted.total, SHUFFLE_BYTES // image_bytes + 1)
    if decoded is not None and place and part.parts > 1:
        # an epoch may end before the files do, and a file that is half written cannot be gone on with
        decoded.reduce(np.int64(0), lambda count, _: count + 1)
    return TrainingBatches(names, graph, config, counted, decoded, buffer, part)


def files_of(patterns: Sequence[str]) -> int:
    """Returns how many files there are: as many processes can train together."""
    return len(_names(patterns))


def cache_place(total_bytes: int, scratch: Path) -> str | None:
    """Returns where decoded images are kept: a file's name, empty for memory; None where they are not."""
    if total_bytes <= MEMORY_BYTES:
        return ""
    fits = total_bytes <= min(DISK_BYTES, shutil.disk_usage(scratch).free // 2)
    return str(scratch / "train") if fits else None


class TrainingBatches(NamedTuple):
    """The train split. Images are decoded once and kept as bytes where there is room, else decoded anew for each epoch."""

    names: list[str]
    graph: tft.TFTransformOutput
    config: Config
    counted: Counts
    decoded: Any  # data set of decoded examples; None where there is no room for them
    buffer: int
    part: Part = WHOLE

    @property
    def batch_size(self) -> int:
        return min(self.config.train.batch_size, self.counted.total)

    @property
    def steps(self) -> int:
        """Steps of an epoch; the rest that fills no batch is another one each epoch."""
        return self.counted.total // self.batch_size

    def epoch(self, number: int, replicas: int = 1) -> Any:
        """Returns the data set of epoch `number`, from 0 on: images [B, S, S, 3] float32, targets [B, L] and weights [B] float32.

        A part of the train split never ends: the parts differ in length, and all processes have to take the same steps.

        Args:
          replicas: devices that share a batch, of all processes; each is given batches of its own if there are several.

        Raises:
          ValueError: they cannot share it evenly.
        """
        train, side = self.config.train, side_in(self.config, number)
        order = int(np.random.default_rng((train.seed, number, *([self.part.number] if self.part.number else []))).integers(2**31))
        examples = self._shuffled(order).batch(self._shared_by(replicas), drop_remainder=True).enumerate()
        weights, look_of_sku = tf.constant(self.counted.weights), tf.constant(self.counted.look_of_sku)
        looks = len(self.counted.family_of_look)

        def finish(batch: Any, example: Any) -> tuple[Any, Any, Any]:
            pixels, labels = example
            seed = tf.stack([tf.constant(order, tf.int64), batch])
            images = _augmented(preprocessing.to_unit(pixels), seed, train.augment, side=side)
            targets = smoothed(tf.gather(look_of_sku, labels), train.label_smoothing, looks)
            return *mixed(images, targets, seed, train.augment), tf.gather(weights, labels)

        return examples.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)

    def _shared_by(self, replicas: int) -> int:
        if self.batch_size % replicas:
            raise ValueError(
                f"train.batch_size: {self.batch_size} crops cannot be shared by {replicas} devices; take a multiple of {replicas}"
            )
        return self.batch_size // replicas

    def _shuffled(self, seed: int) -> Any:
        examples = self._in_order(seed)
        return examples.repeat() if self.part.parts > 1 else examples

    def _in_order(self, seed: int) -> Any:
        if self.decoded is not None:
            return self.decoded.shuffle(self.buffer, seed=seed)
        names = [self.names[i] for i in np.random.default_rng(seed).permutation(len(self.names))]
        return decodable(taught(names, self.graph, self.counted).shuffle(self.buffer, seed=seed), source_side(self.config))


def validation_batches(files: Sequence[str], graph: tft.TFTransformOutput, config: Config, counted: Counts, part: Part = WHOLE) -> Any:
    """Returns images [B, S, S, 3] float32 as serving makes them, and looks [B] int64; SKUs without training examples are left out.

    Raises:
      ValueError: nothing is left; of a part of the split nothing may be.
    """
    rows = taught(part.of(_names(files)), graph, counted)
    count, side = int(rows.reduce(np.int64(0), lambda count, _: count + 1)), config.model.image_size
    if not count and part.parts == 1:
        raise nothing_to_validate()
    decoded = decodable(rows, side)
    decoded = decoded.cache() if count * side * side * 3 <= MEMORY_BYTES // 4 else decoded
    look_of_sku = tf.constant(counted.look_of_sku)
    batches = decoded.batch(config.train.batch_size).map(
        lambda pixels, labels: (preprocessing.to_unit(pixels), tf.gather(look_of_sku, labels))
    )
    return batches.prefetch(2)


def nothing_to_validate() -> ValueError:
    """Returns what to raise where no process has found an example in validation."""
    return ValueError(
        "validation: no example of a SKU that has examples in train; training cannot tell when to stop."
        " Give the validation role a larger share (split.shares or split.carve)"
    )


def source_side(config: Config) -> int:
    """Returns the side in pixels at which training images are decoded: larger than the network's where crops are cut from them."""
    side = config.model.image_size
    return round(side * SOURCE_MARGIN) if config.train.augment.min_area < 1 else side


def side_in(config: Config, epoch: int) -> int:
    """Returns the side in pixels of the images that the network learns from in an epoch, counted from 0.

    Source: Tan and Le 2021, arXiv:2104.00298, section 4: what is learnt from small images is kept at full size, for a part of the cost.
    """
    train = config.train
    return train.small_size if train.small_size and epoch < train.small_share * train.epochs else config.model.image_size


def smoothed(looks: Any, smoothing: float, count: int) -> Any:
    """Returns targets [B, count]: `smoothing` of each spread over all looks. Source: Szegedy et al. 2015, arXiv:1512.00567."""
    return tf.one_hot(looks, count) * (1 - smoothing) + smoothing / count


def balanced(examples: npt.NDArray[np.int64], config: TrainConfig) -> npt.NDArray[np.float32]:
    """Returns the weight in the loss of an example of each label, [S]: 1 on average over the examples."""
    if config.class_balance == "none":
        return np.ones(len(examples), np.float32)
    seen = examples > 0
    mean = examples[seen].mean()
    weights = np.where(seen, np.minimum(mean / np.maximum(examples, 1), config.class_balance_limit), 0.0)
    return (weights * examples.sum() / (weights * examples).sum()).astype(np.float32)


def _augmented(images: Any, seed: Any, config: AugmentConfig, *, side: int) -> Any:
    return tf.ensure_shape(augment(images, seed, config, side=side), (None, side, side, 3))


def _names(patterns: Sequence[str]) -> list[str]:
    return sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))


def taught(names: Sequence[str], graph: tft.TFTransformOutput, counted: Counts) -> Any:
    """Returns a data set of (image_bytes, label) of the SKUs that are trained on; one that labels.csv lacks, -1, cannot be a target."""
    known = tf.constant(np.insert(counted.examples > 0, 0, False))
    pairs = _transformed(names, graph).map(lambda row: (row[features.IMAGE.name], row[preprocessing.LABEL]))
    return pairs.filter(lambda _, label: known[label + 1])


def _transformed(names: Sequence[str], graph: tft.TFTransformOutput) -> Any:
    """Returns a data set of what Transform's graph makes of each example, shards interleaved in a fixed order."""
    read = tf.data.Dataset.from_tensor_slices(tf.constant(names, tf.string)).interleave(records.of_file, cycle_length=4, block_length=16)
    wanted = {feature.name for feature in preprocessing.INPUTS}
    spec = {name: value for name, value in graph.raw_feature_spec().items() if name in wanted}
    transform = graph.transform_features_layer()
    batches = read.batch(64)  # one by one, the graph's own cost would be most of the work
    return batches.map(lambda serialized: transform(tf.io.parse_example(serialized, spec))).unbatch()


def decodable(examples: Any, side: int) -> Any:
    """Returns the data set with images decoded, [side, side, 3] uint8; those that cannot be are left out."""

    def decode(images: Any, labels: Any) -> tuple[Any, Any, Any]:
        return *preprocessing.decode_bytes(images, side), labels

    # in batches, as serving does: an error in reading the files is not taken for an image that cannot be decoded
    decoded = examples.batch(DECODED_AT_ONCE).map(decode, num_parallel_calls=2, deterministic=True).unbatch()
    return decoded.filter(lambda _pixels, ok, _label: ok).map(lambda pixels, _ok, label: (pixels, label))


def _counted(graph: tft.TFTransformOutput) -> dict[str, int]:
    """Returns the counts in the vocabulary that Transform wrote, lines of `<count> <sku>`."""
    with tf.io.gfile.GFile(graph.vocabulary_file_by_name(preprocessing.COUNTS)) as file:
        lines = (line.rstrip("\n").split(" ", 1) for line in file)
        return {sku: int(count) for count, sku in lines}
