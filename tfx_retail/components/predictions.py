"""The Predictions node: what the new model, the last blessed one and the pinned one say of every crop that calibrates or judges."""

import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils

from tfx_retail import evaluation, features, labels, preprocessing, records, reliability
from tfx_retail.answers import Hierarchy
from tfx_retail.components import artifacts
from tfx_retail.errors import UserError
from tfx_retail.evaluation import SIGNATURES, Decisions, Indices
from tfx_retail.prediction_files import (
    BASELINE,
    FAMILY_SCORES,
    REFERENCE,
    SKU_SCORES,
    UNKNOWN_SCORE,
    PredictionFacts,
    file_path,
    write_facts,
)
from tfx_retail.predictions import Answers, Doubt, encode
from tfx_retail.signatures import BATCH
from tfx_retail.versions import EXTRA

ROLES = ("calibration", "eval")  # train and validation have shaped the model: what it says of them proves nothing


class _Trained(msgspec.Struct, frozen=True):
    """What `model.json` says of the training."""

    examples: dict[str, int]  # SKU -> crops


class Predictor(NamedTuple):
    """A loaded model and its label lists."""

    predict_both: Any  # encoded images, heights and widths in mm to the raw scores by signature
    lists: Hierarchy
    model: Any  # kept, as its functions do not keep its variables alive


@component
def SkuPredictions(  # noqa: N802  # TFX names a component after its function
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    predictions: OutputArtifact[artifacts.Predictions],
    baseline: Parameter[str],
    code: Parameter[str],
    reference: Parameter[str] = "",
) -> None:
    """Writes the answers of `model` and of the versions in the folders `baseline` and `reference`, if given, to the crops of ROLES."""
    del code  # read by the cache alone
    candidate = Path(path_utils.serving_model_path(model.uri))
    earlier, pinned = (Path(folder) if folder else None for folder in (baseline, reference))
    predict(Path(examples.uri), candidate, earlier, Path(predictions.uri), reference=pinned)


def predict(examples: Path, candidate: Path, baseline: Path | None, folder: Path, *, reference: Path | None = None) -> PredictionFacts:
    """Writes the prediction files of all ROLES, holding two batches in memory at a time, and returns what they hold."""
    begun = time.monotonic()
    paths = {"": candidate, BASELINE: baseline, REFERENCE: reference}
    predictors = {prefix: load(path) for prefix, path in paths.items() if path}
    gone = _retired(candidate)
    written = _write(_parts(examples, folder), predictors, gone)
    lists = predictors[""].lists
    earlier = predictors[BASELINE].lists.skus if baseline else lists.skus
    facts = PredictionFacts(
        counts={role: of_role.crops for role, of_role in written.items()},
        sized={role: of_role.sized for role, of_role in written.items()},
        left_out={role: of_role.left_out for role, of_role in written.items()},
        skus=list(lists.skus),
        looks=list(lists.looks),
        families=list(lists.families),
        categories=list(lists.categories),
        never_answered=[sku for sku, active in zip(lists.skus, lists.active, strict=True) if not active],
        top=lists.top,
        baseline=str(baseline or ""),
        baseline_lacks=[sku for sku in lists.skus if sku not in set(earlier)],
        candidate_lacks=[sku for sku in earlier if sku not in set(lists.skus)],
        reference=str(reference or ""),
        added={prefix.rstrip("/"): _only(lists, predictors[prefix].lists) for prefix in predictors if prefix},
        removed={prefix.rstrip("/"): _only(predictors[prefix].lists, lists) for prefix in predictors if prefix},
        same_look=_same_look(lists),
        training_crops=_training_crops(candidate),
        seconds=round(time.monotonic() - begun, 3),
    )
    write_facts(folder, facts)
    return facts


def load(folder: Path) -> Predictor:
    """Returns the model of a folder.

    Raises:
      UserError: there is none.
    """
    if not (folder / "saved_model.pb").is_file():
        raise UserError(f"{folder}: no model in it (saved_model.pb); it was removed since the run began; run again")
    model = tf.saved_model.load(str(folder))
    return Predictor(model.predict_both, evaluation.lists_of(folder), model)


def _retired(folder: Path) -> list[str]:
    """Returns the SKUs that have left the catalogue: crops of them are from before, and no catalogue could answer them."""
    return [label.sku for label in labels.read(folder / EXTRA / "labels.csv") if label.status == "retired"]


class _Written(NamedTuple):
    """Crops of one role."""

    crops: int = 0
    sized: int = 0  # of them, those with a measured side
    left_out: int = 0  # that show SKUs that have left the catalogue

    def plus(self, batch: Mapping[str, Any]) -> "_Written":
        return _Written(
            self.crops + len(batch["serialized"]), self.sized + int(batch["sized"].sum()), self.left_out + int(batch["left_out"])
        )


class _Part(NamedTuple):
    """One file of examples, and the file that its answers go to."""

    role: str
    source: Path
    target: Path


def _parts(examples: Path, folder: Path) -> list[_Part]:
    parts = []
    for role in ROLES:
        source = examples / f"Split-{role}"
        files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else []
        parts += [_Part(role, file, file_path(folder, role, number, len(files))) for number, file in enumerate(files)]
    return parts


def _write(parts: list[_Part], predictors: Mapping[str, Predictor], gone: list[str]) -> dict[str, _Written]:
    """Writes one file for each file of examples and returns what each role has; `gone` names the SKUs that are left out."""
    written = dict.fromkeys(ROLES, _Written())
    for part in parts:
        part.target.parent.mkdir(parents=True, exist_ok=True)
        part.target.touch()
    for number, batches in groupby(_scored([part.source for part in parts], predictors, gone), key=lambda batch: int(batch["file"])):
        role, source, target = parts[number]
        with tf.io.TFRecordWriter(str(target)) as writer:
            for batch in batches:
                for example in _encoded(batch, predictors, source):
                    writer.write(example)
                written[role] = written[role].plus(batch)
    return written


def _scored(files: list[Path], predictors: Mapping[str, Predictor], gone: list[str]) -> Iterator[dict[str, Any]]:
    """Yields batches with the raw scores of every predictor and the file's number; the next batch is computed while one is written."""
    # one data set for all files: each that has a model in it takes a second to make
    spec = {
        features.IMAGE.name: tf.io.FixedLenFeature([], tf.string),
        features.SKU.name: tf.io.FixedLenFeature([], tf.string),
        features.MEASURED_HEIGHT_MM.name: tf.io.FixedLenFeature([], tf.float32, default_value=float("nan")),
        features.MEASURED_WIDTH_MM.name: tf.io.FixedLenFeature([], tf.float32, default_value=float("nan")),
    }

    def read(number: Any, name: Any) -> Any:
        return records.of_file(name).batch(BATCH).map(lambda serialized: (number, serialized))

    def score(number: Any, serialized: Any) -> dict[str, Any]:
        everything = tf.io.parse_example(serialized, spec)
        here = tf.reduce_all(everything[features.SKU.name][:, None] != tf.constant(gone, tf.string, shape=(len(gone),)), axis=1)
        parsed = {name: tf.boolean_mask(values, here) for name, values in everything.items()}
        height = preprocessing.known_mm(parsed[features.MEASURED_HEIGHT_MM.name])
        width = preprocessing.known_mm(parsed[features.MEASURED_WIDTH_MM.name])
        scores = {name: predictor.predict_both(parsed[features.IMAGE.name], height, width) for name, predictor in predictors.items()}
        known = tf.math.is_finite(height) | tf.math.is_finite(width)
        kept = {"serialized": tf.boolean_mask(serialized, here), "sku": parsed[features.SKU.name], "sized": known, "scores": scores}
        return kept | {"file": number, "left_out": tf.math.count_nonzero(~here)}

    names = tf.constant([str(file) for file in files], tf.string, shape=(len(files),))
    yield from tf.data.Dataset.from_tensor_slices(names).enumerate().flat_map(read).map(score).prefetch(1).as_numpy_iterator()


def _encoded(batch: dict[str, Any], predictors: Mapping[str, Predictor], file: Path) -> Iterator[bytes]:
    lists = predictors[""].lists
    skus = [sku.decode("utf-8") for sku in batch["sku"]]
    label = _places(skus, lists.skus)
    if (label < 0).any():
        raise UserError(f"{file}: SKU {skus[int(label.argmin())]!r} is not in the model's labels.csv; run again with the cache off")
    answers: dict[str, Answers] = {}
    for name, predictor in predictors.items():
        for signature in SIGNATURES:
            own = _answers(batch["scores"][name][signature], predictor.lists, _places(skus, predictor.lists.skus))
            answers[name + signature] = own if predictor.lists is lists else translated(own, predictor.lists, lists)
    truth, masked = evaluation.truth(label, lists), _masked(batch["scores"], predictors)
    for row, serialized in enumerate(batch["serialized"]):
        yield encode(serialized, row, truth, answers, masked)


def _answers(scores: Mapping[str, NDArray[Any]], lists: Hierarchy, label: Indices) -> Answers:
    sku_scores = scores[SKU_SCORES]
    decisions = evaluation.decide(sku_scores, scores[FAMILY_SCORES], lists)
    decided = decisions.indices[:, 0]
    return Answers(
        sku_scores,
        scores[FAMILY_SCORES],
        scores[UNKNOWN_SCORE],
        decisions,
        evaluation.in_top(sku_scores, decided, label, lists),
        losses=_losses(sku_scores, label),
        doubt=_doubt(scores, decided, label) if "uncalibrated" in scores else None,
    )


def _losses(sku_scores: NDArray[np.float32], label: Indices) -> NDArray[np.float32]:
    """Returns [N, 2], Brier score and log loss."""
    return np.stack(reliability.losses(sku_scores, label), axis=1).astype(np.float32)


def _doubt(scores: Mapping[str, NDArray[Any]], decided: Indices, label: Indices) -> Doubt:
    """Returns what the model says of its own answers; models of earlier code have no `uncalibrated` and say nothing."""
    accepted = np.stack([scores["accepted"], scores["family_accepted"]], axis=1).astype(np.int64)
    before = scores["uncalibrated"]
    confidence = before[np.arange(len(decided)), decided]
    return Doubt(accepted, scores["score"], np.column_stack([confidence, _losses(before, label)]))


def _masked(scores: Mapping[str, Mapping[str, Any]], predictors: Mapping[str, Predictor]) -> dict[str, Indices]:
    """Returns `<against>/<signature>` -> [N, 2, 4] for those earlier models that do not answer the same SKUs."""
    new = predictors[""].lists
    found = {}
    for prefix, predictor in predictors.items():
        common = _answered(new) & _answered(predictor.lists)
        if common == _answered(new) | _answered(predictor.lists):
            continue
        for signature in SIGNATURES:
            mine, theirs = (
                evaluation.decide_among(scores[name][signature][SKU_SCORES], np.array([sku in common for sku in lists.skus]), lists).indices
                for name, lists in (("", new), (prefix, predictor.lists))
            )
            found[prefix + signature] = np.stack([mine, _renamed(theirs, predictor.lists, new)], axis=1)
    return found


def _answered(lists: Hierarchy) -> set[str]:
    return {sku for sku, active in zip(lists.skus, lists.active, strict=True) if active}


def _only(lists: Hierarchy, others: Hierarchy) -> list[str]:
    """Returns the SKUs that the one answers and the other does not, in label order."""
    answered = _answered(lists) - _answered(others)
    return [sku for sku in lists.skus if sku in answered]


def _training_crops(folder: Path) -> dict[str, int]:
    return msgspec.json.decode((folder / EXTRA / "model.json").read_bytes(), type=_Trained).examples


def _same_look(lists: Hierarchy) -> list[str]:
    looks = np.bincount(lists.look_of_sku[lists.active], minlength=len(lists.looks))
    return [sku for sku, look, active in zip(lists.skus, lists.look_of_sku, lists.active, strict=True) if active and looks[look] > 1]


def translated(given: Answers, own: Hierarchy, lists: Hierarchy) -> Answers:
    """Returns one model's answers in the label lists of another; what was decided and what was right stay as they were."""
    return given._replace(
        sku_scores=_reordered(given.sku_scores, _places(own.skus, lists.skus), len(lists.skus)),
        family_scores=_reordered(given.family_scores, _places(own.families, lists.families), len(lists.families)),
        decisions=Decisions(_renamed(given.decisions.indices, own, lists), given.decisions.confidences),
    )


def _renamed(indices: Indices, own: Hierarchy, lists: Hierarchy) -> Indices:
    """Returns [N, 4] indices of LEVELS of one model's lists as those of another's; -1 for what that one lacks."""
    places = [_places(a, b) for a, b in zip(own[:4], lists[:4], strict=True)]  # skus, looks, families, categories
    return np.stack([place[indices[:, level]] for level, place in enumerate(places)], axis=1)


def _places(names: Any, order: Any) -> Indices:
    """Returns [N] where each name stands in the order, -1 for one that it lacks."""
    place = {name: index for index, name in enumerate(order)}
    return np.array([place.get(name, -1) for name in names], np.int64)


def _reordered(scores: NDArray[np.float32], places: Indices, columns: int) -> NDArray[np.float32]:
    result = np.zeros((len(scores), columns), np.float32)
    result[:, places[places >= 0]] = scores[:, places >= 0]
    return result
