"""The SavedModel that is pushed: what its signatures do, and what lies beside them."""

import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfx_retail import answers, decisions, features, trained, unknown_score
from tfx_retail.answers import Corrections, Hierarchy, Indices, Scores
from tfx_retail.decisions import Decided, Thresholds
from tfx_retail.handover import Network, graph, of_images
from tfx_retail.signatures import HEIGHT, SIGNATURES, WIDTH, requests
from tfx_retail.sizing import Evidence
from tfx_retail.trained import Trained
from tfx_retail.unknown_score import UnknownScore
from tfx_retail.versions import EXTRA

PREDICT_BOTH = features.SIGNATURES  # `predict_both` answers as each of these does


class Contents(NamedTuple):
    """All that a pushed model is made from."""

    network: Network
    trained: Trained
    lists: Hierarchy
    columns: Indices  # [L], of the network's logits for each look
    corrections: Corrections
    neutral: Corrections  # what there would be if nothing were calibrated
    thresholds: Mapping[str, Thresholds]  # of `serving_default` and of `predict_sized`
    labels: Path  # the label order and the catalogue that the lists come from
    catalog: Path
    unknown: UnknownScore | None = None  # none: nobody measured what unknown products look like


def module(contents: Contents) -> tf.Module:
    """Returns the model as one object whose functions are the signatures; `network` maps pixels to embedding and logits."""
    served = tf.Module()
    lists = contents.lists
    served.network, served.weights = contents.network
    identity = tf.constant(contents.trained.embedder_id)
    image, measured_image = ([_spec(name) for name in SIGNATURES[signature]] for signature in ("serving_default", "predict_sized"))

    # what several signatures share is a function of the graph, traced once, not copied into each of them
    seen = of_images(contents.network, contents.trained.image_size)

    @graph(*measured_image)
    def scored(image_bytes: Any, height_mm: Any, width_mm: Any) -> tuple[Scores, Scores, Any, Evidence]:
        outputs, ok = seen(image_bytes)
        measured = compared(height_mm, width_mm, contents)
        return *weighed(outputs, ok, measured, contents.corrections, contents), ok, measured

    @graph(*measured_image)
    def predict_sized(image_bytes: Any, measured_height_mm: Any, measured_width_mm: Any) -> dict[str, Any]:
        _, sized, ok, measured = scored(image_bytes, measured_height_mm, measured_width_mm)
        return decisions.decided(sized, ok, measured, lists, contents.thresholds["predict_sized"])

    @graph(*image)
    def serving_default(image_bytes: Any) -> dict[str, Any]:
        unknown = tf.fill(tf.shape(image_bytes), math.nan)
        unsized, _, ok, nothing = scored(image_bytes, unknown, unknown)
        return decisions.decided(unsized, ok, nothing, lists, contents.thresholds["serving_default"])

    @graph(*measured_image)
    def predict_all(image_bytes: Any, measured_height_mm: Any, measured_width_mm: Any) -> dict[str, Any]:
        _, sized, _, _ = scored(image_bytes, measured_height_mm, measured_width_mm)
        return _raw(sized)

    @graph(*measured_image)
    def predict_both(image_bytes: Any, measured_height_mm: Any, measured_width_mm: Any) -> dict[str, Any]:
        outputs, ok = seen(image_bytes)
        return _both(outputs, ok, measured_height_mm, measured_width_mm, contents)

    @graph(*[_spec(name) for name in SIGNATURES["serve_examples"]])
    def serve_examples(examples: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(examples, _example_spec())
        return predict_sized(parsed[features.IMAGE.name], parsed[HEIGHT], parsed[WIDTH])

    @graph(*image)
    def embed(image_bytes: Any) -> dict[str, Any]:
        outputs, ok = seen(image_bytes)
        # an image that cannot be decoded has no direction: zeros are like nothing in a gallery
        embedding = tf.where(ok[:, None], tf.math.l2_normalize(outputs["embedding"], axis=1), 0.0)
        return {"embedding": embedding, "embedder_id": tf.fill(tf.shape(image_bytes), identity)}

    served.predict_sized, served.serving_default, served.predict_all = predict_sized, serving_default, predict_all
    served.serve_examples, served.embed = serve_examples, embed
    served.predict_both = predict_both  # no signature: for the Predictions node, so that a crop with a size is looked at once
    return served


def compared(height_mm: Any, width_mm: Any, contents: Contents) -> Evidence:
    """Returns what measured sizes [B] in mm, NaN where unknown, say of every SKU."""
    return answers.evidence(height_mm, width_mm, contents.lists, contents.trained.size_model)


def weighed(outputs: Mapping[str, Any], ok: Any, measured: Evidence, corrections: Corrections, contents: Contents) -> tuple[Scores, Scores]:
    """Returns the scores without sizes and with them.

    Args:
      outputs: of the network.
      ok: [B] bool, whether there was an image.
    """
    logits = tf.gather(outputs["logits"], contents.columns, axis=1)
    unsized = answers.scores(logits, ok, contents.lists, corrections)
    chosen, odd = contents.unknown, unsized.unknown
    if chosen and chosen.kind != "confidence":  # which is what the best look leaves, as the scores say already
        odd = unknown_score.score(chosen.kind, None, outputs["logits"], outputs["embedding"], chosen.means)
    unsized = unsized._replace(unknown=tf.where(ok, odd, 1.0))  # without an image there is no product to know
    return unsized, answers.sized(unsized, measured, contents.lists)


def _both(outputs: Mapping[str, Any], ok: Any, height_mm: Any, width_mm: Any, contents: Contents) -> dict[str, dict[str, Any]]:
    """Returns what each of PREDICT_BOTH scores and accepts, and what it would score if nothing had been calibrated."""
    lists = contents.lists
    unknown = tf.fill(tf.shape(height_mm), math.nan)
    nothing, measured = (compared(*sizes, contents) for sizes in ((unknown, unknown), (height_mm, width_mm)))
    given, plain = (weighed(outputs, ok, measured, corrections, contents) for corrections in (contents.corrections, contents.neutral))
    cases = zip(PREDICT_BOTH, given, plain, (nothing, measured), strict=True)
    return {
        name: _judged(one, other, decisions.decide(one, ok, sizes, lists, contents.thresholds[name])) for name, one, other, sizes in cases
    }


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

    Beside the label lists: `model.json`, `trained.json`, warm-up requests, and copies of labels.csv and catalog.csv in assets.extra, where
    TensorFlow Serving does not look. Golden images are the caller's to add, with `golden.write`.
    """
    served = module(contents)
    with tempfile.TemporaryDirectory() as scratch:
        served.assets = [tf.saved_model.Asset(str(path)) for path in _write_lists(contents, Path(scratch))]
        signatures = {name: getattr(served, name).get_concrete_function() for name in SIGNATURES}
        tf.saved_model.save(served, str(folder), signatures=signatures)
        shutil.copytree(scratch, folder / EXTRA, dirs_exist_ok=True)
    facts = json.dumps(_facts(contents), ensure_ascii=False, indent=1)
    (folder / EXTRA / "model.json").write_text(facts + "\n", encoding="utf-8")
    trained.write(folder / EXTRA, contents.trained)
    _write_warmup(folder / EXTRA / "tf_serving_warmup_requests", contents.trained.image_size)
    return served


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
    known, lists = contents.trained, contents.lists
    taught = known.by_sku
    return {
        "image_size": known.image_size,
        "crop_context": known.crop_context,
        "thresholds": {name: _limits(of_signature) for name, of_signature in contents.thresholds.items()},
        "size_model": msgspec.to_builtins(known.size_model),
        "k": lists.top,
        "signatures": list(SIGNATURES),
        "embedder_id": known.embedder_id,
        "parameters": known.parameters,
        "examples": {sku: taught[sku].examples if sku in taught else 0 for sku in lists.skus},
        "never_answered": [sku for sku, active in zip(lists.skus, lists.active, strict=True) if not active],
    }


def _limits(thresholds: Thresholds) -> dict[str, Any]:
    """Returns them for JSON, which has no infinity: null accepts nothing."""
    values = {"accept_above": thresholds.accept_above, "family_accept_above": thresholds.family_accept_above}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {
        "usual": msgspec.to_builtins(thresholds.known)
    }


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
