"""The job without TFX, as a good engineer would write it in an afternoon: read, decode, train, evaluate, export.

It trains the project's network, made of Keras's own layers in Keras's default arithmetic, with the project's augmentation. What it leaves
out is what the pipeline is for: statistics, schema, data checks, leakage, blessing, versions, cache, lineage, resuming.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score

from benchmarks.keras_layers import of_keras
from tfx_retail.augment import augment
from tfx_retail.config import Config
from tfx_retail.config_file import load
from tfx_retail.model import build, decayed

MARGIN = 1.25  # random crops are cut from larger images, as in the pipeline


def main(config_path: Path, data: Path, out: Path) -> None:
    """Writes a SavedModel to `out` and prints the figures."""
    config = load(config_path, (f"data.path={data}/photos", f"catalog.path={data}/catalog.csv"))
    keras.utils.set_random_seed(config.train.seed)
    files = {role: [] for role in config.split.shares}  # type: dict[Any, list[Path]]
    for path in sorted(data.glob("photos/*/*/*/*.jpg")):
        files[_role(path, config)].append(path)
    skus = sorted({path.parent.name for paths in files.values() for path in paths})
    side = config.model.image_size
    sets = {role: _decoded(paths, skus, round(side * MARGIN) if role == "train" else side) for role, paths in files.items()}
    model = of_keras(build(config.model, range(len(skus))))
    steps = _train(model, sets["train"], sets["validation"], len(files["train"]), config)
    figures = _evaluate(model, sets["eval"], files["eval"], config)
    _export(model, skus, config, out)
    print(json.dumps({"steps": steps, **figures}))


def _role(path: Path, config: Config) -> str:
    place = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:8], "big") / 2**64
    for role, share in config.split.shares.items():
        place -= share
        if place < 0:
            return role
    return "eval"


def _decoded(paths: list[Path], skus: list[str], side: int) -> tf.data.Dataset:
    labels = [skus.index(path.parent.name) for path in paths]
    rows = tf.data.Dataset.from_tensor_slices(([str(path) for path in paths], labels))
    # decoded once: the small images of a run fit in memory as bytes
    rows = rows.map(lambda path, label: (_pixels(tf.io.read_file(path), side), label), num_parallel_calls=tf.data.AUTOTUNE)
    return rows.cache()


def _pixels(image_bytes: Any, side: int) -> Any:
    image = tf.image.resize(tf.io.decode_jpeg(image_bytes, channels=3), (side, side), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def _train(model: Any, train: Any, validation: Any, count: int, config: Config) -> int:
    settings = config.train
    per_epoch = count // settings.batch_size
    steps = per_epoch * settings.epochs
    warmup = round(settings.warmup_epochs * per_epoch)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else settings.learning_rate, steps - warmup, warmup_target=settings.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, global_clipnorm=settings.clip_norm)
    optimizer.exclude_from_weight_decay([variable for variable in model.trainable_variables if not decayed(variable)])
    classifier = keras.Model(model.input, model.output["logits"])
    classes = classifier.output.shape[-1]
    classifier.compile(
        optimizer, keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing), metrics=["accuracy"]
    )

    def changed(step: Any, batch: Any) -> Any:
        images, labels = batch
        seed = tf.stack([tf.constant(settings.seed, tf.int64), step])
        unit = tf.cast(images, tf.float32) / 255.0
        return augment(unit, seed, settings.augment, side=config.model.image_size), tf.one_hot(labels, classes)

    batches = train.shuffle(count, seed=settings.seed).batch(settings.batch_size, drop_remainder=True).repeat().enumerate()
    batches = batches.map(changed, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    plain = _batched(validation, config).map(lambda images, labels: (images, tf.one_hot(labels, classes)))
    classifier.fit(batches, epochs=settings.epochs, steps_per_epoch=per_epoch, validation_data=plain, verbose=2)
    return steps


def _batched(rows: Any, config: Config) -> Any:
    return rows.batch(config.train.batch_size).map(lambda images, labels: (tf.cast(images, tf.float32) / 255.0, labels)).prefetch(2)


def _evaluate(model: Any, rows: Any, paths: list[Path], config: Config) -> dict[str, Any]:
    labels = np.concatenate([batch for _, batch in _batched(rows, config)])
    scores = model.predict(_batched(rows, config).map(lambda images, _: images), verbose=0)["logits"]
    found = scores.argmax(1)
    families = np.array([path.parts[-3] for path in paths])
    by_family = {str(family): float((found == labels)[families == family].mean()) for family in np.unique(families)}
    return {
        "sku_accuracy": float((found == labels).mean()),
        "macro_f1": float(f1_score(labels, found, average="macro")),
        "by_family": by_family,
    }


def _export(model: Any, skus: list[str], config: Config, out: Path) -> None:
    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.skus = tf.constant(skus)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, image_bytes: Any) -> dict[str, Any]:
            images = tf.map_fn(lambda data: _pixels(data, config.model.image_size), image_bytes, fn_output_signature=tf.uint8)
            scores = tf.nn.softmax(self.model(tf.cast(images, tf.float32) / 255.0, training=False)["logits"])
            return {"sku": tf.gather(self.skus, tf.argmax(scores, 1)), "confidence": tf.reduce_max(scores, 1)}

    served = Served()
    tf.saved_model.save(served, str(out), signatures=served.serve)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), Path(sys.argv[3]))
