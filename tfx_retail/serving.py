"""The SavedModel that is pushed: what its signatures do, and what lies beside them."""

import hashlib
import inspect
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import msgspec
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfx_retail import answers, decisions, features, preprocessing
from tfx_retail.answers import Corrections, Hierarchy, Scores
from tfx_retail.decisions import Decided, Thresholds
from tfx_retail.signatures import HEIGHT, SIGNATURES, WIDTH, requests
from tfx_retail.size_model import SizeModel
from tfx_retail.sizing import Evidence
from tfx_retail.versions import EXTRA

PREDICT_BOTH = features.SIGNATURES  # `predict_both` answers as each of these does


class Contents(NamedTuple):
    """All that a pushed model is made from."""

    network: keras.Model  # as `model.build` makes it, with the weights to serve
    lists: Hierarchy
    corrections: Corrections
    thresholds: Mapping[str, Thresholds]  # of `serving_default` and of `predict_sized`
    image_size: int
    crop_context: float
    labels: Path  # labels.csv and catalog.csv as they were in training
    catalog: Path
    examples: dict[str, int]  # SKU -> training examples
    size_model: SizeModel = SizeModel()


def module(contents: Contents) -> tf.Module:
    """Returns the model as one object whose functions are the signatures; `network` maps pixels to embedding and logits."""
    served = tf.Module()
    network, size, lists = contents.network, contents.image_size, contents.lists
    served.weights = [variable.value for variable in network.variables]
    identity = tf.constant(embedder_id(network))
    sides = tf.TensorSpec([None, size, size, 3], tf.float32)
    image, measured_image = ([_spec(name) for name in SIGNATURES[signature]] for signature in ("serving_default", "predict_sized"))

    @_graph(sides)
    def answered(images: Any) -> Any:
        return network(images, training=False)

    # what several signatures share is a function of the graph, traced once, not copied into each of them
    @_graph(*image)
    def seen(image_bytes: Any) -> tuple[dict[str, Any], Any]:
        images, ok = preprocessing.decode(image_bytes, size)
        count = tf.shape(images)[0]
        # some CPU kernels refuse a batch of no images: it gets one here, whose answer is cut off again
        filled = tf.pad(images, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        return {name: value[:count] for name, value in answered(filled).items()}, ok

    @_graph(*measured_image)
    def scored(image_bytes: Any, height_mm: Any, width_mm: Any) -> tuple[Scores, Scores, Any, Evidence]:
        outputs, ok = seen(image_bytes)
        measured = answers.evidence(height_mm, width_mm, lists, contents.size_model)
        return *_weighed(outputs["logits"], ok, measured, contents.corrections, lists), ok, measured

    @_graph(*measured_image)
    def predict_sized(image_bytes: Any, measured_height_mm: Any, measured_width_mm: Any) -> dict[str, Any]:
        _, sized, ok, measured = scored(image_bytes, measured_height_mm, measured_width_mm)
        return decisions.decided(sized, ok, measured, lists, contents.thresholds["predict_sized"])

    @_graph(*image)
    def serving_default(image_bytes: Any) -> dict[str, Any]:
        unknown = tf.fill(tf.shape(image_bytes), math.nan)
        unsized, _, ok, nothing = scored(image_bytes, unknown, unknown)
        return decisions.decided(unsized, ok, nothing, lists, contents.thresholds["serving_default"])

    @_graph(*measured_image)
    def predict_all(image_bytes: Any, measured_height_mm: Any, measured_width_mm: Any) -> dict[str, Any]:
        _, sized, _, _ = scored(image_bytes, measured_height_mm, measured_width_mm)
        return _raw(sized)

    @_graph(*measured_image)
    def predict_both(image_bytes: Any, measured_height_mm: Any, measured_width_mm: Any) -> dict[str, Any]:
        outputs, ok = seen(image_bytes)
        return _both(outputs, ok, measured_height_mm, measured_width_mm, contents)

    @_graph(*[_spec(name) for name in SIGNATURES["serve_examples"]])
    def serve_examples(examples: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(examples, _example_spec())
        return predict_sized(parsed[features.IMAGE.name], parsed[HEIGHT], parsed[WIDTH])

    @_graph(*image)
    def embed(image_bytes: Any) -> dict[str, Any]:
        outputs, ok = seen(image_bytes)
        # an image that cannot be decoded has no direction: zeros are like nothing in a gallery
        embedding = tf.where(ok[:, None], tf.math.l2_normalize(outputs["embedding"], axis=1), 0.0)
        return {"embedding": embedding, "embedder_id": tf.fill(tf.shape(image_bytes), identity)}

    served.network, served.predict_sized, served.serving_default, served.predict_all = answered, predict_sized, serving_default, predict_all
    served.serve_examples, served.embed = serve_examples, embed
    served.predict_both = predict_both  # no signature: for the Predictions node, so that a crop with a size is looked at once
    return served


def _graph(*specs: tf.TensorSpec) -> Callable[[Callable[..., Any]], Any]:
    """Returns the decorator that makes a graph of a function as it stands: no tensor decides a Python branch in any of these, and
    converting all of Keras to look for such branches takes seconds.
    """
    return lambda function: tf.function(tf.autograph.experimental.do_not_convert(function), input_signature=specs)


def _both(outputs: Mapping[str, Any], ok: Any, height_mm: Any, width_mm: Any, contents: Contents) -> dict[str, dict[str, Any]]:
    """Returns what each of PREDICT_BOTH scores and accepts, and what it would score if nothing had been calibrated."""
    lists = contents.lists
    unknown = tf.fill(tf.shape(height_mm), math.nan)
    nothing, measured = (answers.evidence(*sizes, lists, contents.size_model) for sizes in ((unknown, unknown), (height_mm, width_mm)))
    neutral = answers.uncorrected(lists, np.array([contents.examples[sku] for sku in lists.skus]))
    given, plain = (_weighed(outputs["logits"], ok, measured, corrections, lists) for corrections in (contents.corrections, neutral))
    cases = zip(PREDICT_BOTH, given, plain, (nothing, measured), strict=True)
    return {
        name: _judged(one, other, decisions.decide(one, ok, sizes, lists, contents.thresholds[name])) for name, one, other, sizes in cases
    }


def _weighed(logits: Any, ok: Any, measured: Evidence, corrections: Corrections, lists: Hierarchy) -> tuple[Scores, Scores]:
    """Returns the scores without sizes and with them."""
    unsized = answers.scores(logits, ok, lists, corrections)
    return unsized, answers.sized(unsized, measured, lists)


def _raw(given: Scores) -> dict[str, Any]:
    return {"sku_scores": given.sku, "family_scores": given.family, "unknown_score": given.unknown}


def _judged(given: Scores, uncalibrated: Scores, found: Decided) -> dict[str, Any]:
    return _raw(given) | {
        "accepted": found.accepted,
        "family_accepted": found.family_accepted,
        "score": found.score,
        "uncalibrated": uncalibrated.sku,
    }


def export(contents: Contents, folder: Path) -> tf.Module:
    """Writes the SavedModel with its assets, and returns what was written, to be asked without loading it again.

    Beside the label lists: `model.json`, warm-up requests, and copies of labels.csv and catalog.csv in assets.extra, where TensorFlow
    Serving does not look. Golden images are the caller's to add, with `golden.write`.
    """
    served = module(contents)
    with tempfile.TemporaryDirectory() as scratch:
        served.assets = [tf.saved_model.Asset(str(path)) for path in _write_lists(contents, Path(scratch))]
        signatures = {name: getattr(served, name).get_concrete_function() for name in SIGNATURES}
        tf.saved_model.save(served, str(folder), signatures=signatures)
        shutil.copytree(scratch, folder / EXTRA, dirs_exist_ok=True)
    facts = json.dumps(_facts(contents), ensure_ascii=False, indent=1)
    (folder / EXTRA / "model.json").write_text(facts + "\n", encoding="utf-8")
    _write_warmup(folder / EXTRA / "tf_serving_warmup_requests", contents.image_size)
    return served


def embedder_id(network: keras.Model) -> str:
    """Returns a digest of what decides embeddings: trunk weights, preprocessing and length; the last layer is not among it."""
    total = hashlib.sha256(inspect.getsource(preprocessing).encode())
    for layer in network.layers:
        for variable in layer.variables if layer.name not in ("logits", "dropout") else ():
            array = np.ascontiguousarray(variable.numpy())
            total.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:16]


def _spec(name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None], tf.float32 if name in (HEIGHT, WIDTH) else tf.string, name=name)


def _example_spec() -> dict[str, Any]:
    size = tf.io.FixedLenFeature([], tf.float32, default_value=math.nan)
    return {features.IMAGE.name: tf.io.FixedLenFeature([], tf.string, default_value=""), HEIGHT: size, WIDTH: size}


def _write_lists(contents: Contents, folder: Path) -> list[Path]:
    """Writes the label lists, one name a line in the order of the scores, and the files that they come from."""
    shutil.copyfile(contents.labels, folder / "labels.csv")
    shutil.copyfile(contents.catalog, folder / "catalog.csv")
    lists = contents.lists
    named: Mapping[str, Sequence[str]] = {"families": lists.families, "categories": lists.categories, "looks": lists.looks}
    for name, values in named.items():
        (folder / f"{name}.txt").write_text("".join(f"{value}\n" for value in values), encoding="utf-8")
    return sorted(folder.iterdir())


def _facts(contents: Contents) -> dict[str, Any]:
    return {
        "image_size": contents.image_size,
        "crop_context": contents.crop_context,
        "thresholds": {name: _limits(of_signature) for name, of_signature in contents.thresholds.items()},
        "size_model": msgspec.to_builtins(contents.size_model),
        "k": contents.lists.top,
        "signatures": list(SIGNATURES),
        "embedder_id": embedder_id(contents.network),
        "parameters": contents.network.count_params(),
        "examples": contents.examples,
        "never_answered": [sku for sku, active in zip(contents.lists.skus, contents.lists.active, strict=True) if not active],
    }


def _limits(thresholds: Thresholds) -> dict[str, Any]:
    """Returns them for JSON, which has no infinity: null accepts nothing."""
    values = {"accept_above": thresholds.accept_above, "family_accept_above": thresholds.family_accept_above}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _write_warmup(path: Path, size: int) -> None:
    """Writes a request for each signature that TensorFlow Serving sends itself before it answers others.

    Source: tensorflow.org/tfx/serving/saved_model_warmup
    """
    grey = np.full((size, size, 3), 128, np.uint8)
    image = tf.io.encode_png(grey).numpy()
    inputs = requests([image], np.array([math.nan], np.float32), np.array([math.nan], np.float32))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, names in SIGNATURES.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name in names:
                request.inputs[name].CopyFrom(tf.make_tensor_proto(inputs[name].numpy()))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
