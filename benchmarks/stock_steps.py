"""What the stock pipeline's Transform and Trainer call, in the style of TFX's image examples. Functions only: TFX reloads this module."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

from benchmarks.keras_layers import of_keras
from tfx_retail.augment import augment
from tfx_retail.config_file import load
from tfx_retail.model import build, decayed


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Returns images decoded, resized and encoded again, as TFX's examples do, and labels."""
    side = custom_config["side"]

    def shrunk(image_bytes: Any) -> Any:
        image = tf.image.resize(tf.io.decode_jpeg(image_bytes, channels=3), (side, side), antialias=True)
        return tf.io.encode_jpeg(tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8), quality=95)

    images = tf.map_fn(shrunk, tf.reshape(inputs["image"], [-1]), fn_output_signature=tf.string)
    return {"image": images, "label": tf.reshape(inputs["label"], [-1])}


def run_fn(fn_args: Any) -> None:
    """Trains the project's network and exports it with one signature over serialized examples."""
    config = load(Path(fn_args.custom_config["config"]))
    classes, side, size = fn_args.custom_config["classes"], fn_args.custom_config["side"], config.model.image_size
    transformed = tft.TFTransformOutput(fn_args.transform_output)
    model = of_keras(build(config.model, range(classes)))
    per_epoch = fn_args.custom_config["train_examples"] // config.train.batch_size
    steps = per_epoch * config.train.epochs
    warmup = round(config.train.warmup_epochs * per_epoch)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=config.train.learning_rate, warmup_steps=warmup)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.train.weight_decay, global_clipnorm=config.train.clip_norm)
    optimizer.exclude_from_weight_decay([variable for variable in model.trainable_variables if not decayed(variable)])
    classifier = keras.Model(model.input, model.output["logits"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.train.label_smoothing)
    classifier.compile(optimizer, loss, metrics=["accuracy"])

    def pixels(images: Any) -> Any:
        decoded = tf.map_fn(lambda data: tf.io.decode_jpeg(data, channels=3), tf.reshape(images, [-1]), fn_output_signature=tf.uint8)
        return tf.cast(tf.ensure_shape(decoded, (None, side, side, 3)), tf.float32) / 255.0

    def batches(files: Any, *, changed: bool) -> Any:
        options = tfxio.TensorFlowDatasetOptions(batch_size=config.train.batch_size, label_key="label", num_epochs=None if changed else 1)
        rows = fn_args.data_accessor.tf_dataset_factory(files, options, transformed.transformed_metadata.schema)

        def prepared(step: Any, row: Any) -> Any:
            images = pixels(row[0]["image"])
            if changed:
                seed = tf.stack([tf.constant(config.train.seed, tf.int64), step])
                images = tf.ensure_shape(augment(images, seed, config.train.augment, side=size), (None, size, size, 3))
            else:
                images = tf.image.resize(images, (size, size))
            return images, tf.one_hot(tf.reshape(row[1], [-1]), classes)

        return rows.enumerate().map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    train, validation = batches(fn_args.train_files, changed=True), batches(fn_args.eval_files, changed=False)
    classifier.fit(train, epochs=config.train.epochs, steps_per_epoch=per_epoch, validation_data=validation, verbose=2)
    _export(model, transformed, pixels, size, fn_args.serving_model_dir)


def _export(model: Any, transformed: Any, pixels: Any, size: int, folder: str) -> None:
    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.transform = transformed.transform_features_layer()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, examples: Any) -> dict[str, Any]:
            spec = transformed.raw_feature_spec()
            spec = {"image": spec["image"], "label": spec["label"]}
            features = self.transform(tf.io.parse_example(examples, spec))
            images = tf.image.resize(pixels(features["image"]), (size, size))
            return {"scores": tf.nn.softmax(self.model(images, training=False)["logits"])}

    served = Served()
    tf.saved_model.save(served, folder, signatures={"serving_default": served.serve})
