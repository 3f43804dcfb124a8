"""The files of predictions that every later figure reads: who was photographed, what the model said, with all scores.

What they are called and hold is said in `prediction_files`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.evaluation import LEVELS, SIGNATURES, Decisions, Floats, Indices
from tfx_retail.features import Feature, Kind
from tfx_retail.prediction_files import (
    ACCEPTED,
    BEFORE,
    CONFIDENCES,
    DECIDED,
    FAMILY_SCORES,
    IN_TOP,
    LABEL,
    LOSSES,
    MASKED,
    SCORE,
    SKU_SCORES,
    TRUTH,
    UNKNOWN_SCORE,
    file_pattern,
    read_facts,
)

_ABSENT = [float("nan")] * 3

FACTS = tuple(feature for feature in features.ALL if feature is not features.IMAGE)


class Doubt(NamedTuple):
    """How sure one signature of one model is of N crops, as three numbers and two flags each: the scores themselves are slow to read."""

    accepted: Indices  # [N, 2], 0 or 1: SKU and family
    score: Floats  # [N], the one that decides
    before: Floats  # [N, 3], as BEFORE says


class Answers(NamedTuple):
    """What one signature of one model says of N crops."""

    sku_scores: Floats  # [N, S]
    family_scores: Floats  # [N, F]
    unknown_score: Floats  # [N]
    decisions: Decisions
    in_top: NDArray[np.bool_]  # [N]
    losses: Floats | None = None  # [N, 2], as LOSSES says
    doubt: Doubt | None = None  # None: the model is of earlier code, and does not say


class Chunk(NamedTuple):
    """Some crops of one role."""

    facts: dict[str, NDArray[Any]]  # feature -> [N]; texts as str, absent numbers as NaN, absent texts as ""
    label: Indices  # [N]
    truth: Indices  # [N, 4]
    answers: dict[str, Answers]  # by signature; the earlier models' under `baseline/<signature>` and `reference/<signature>`


def read(folder: Path, role: str, *, rows: int = 1024) -> Iterator[Chunk]:
    """Yields the predictions of one role, at most `rows` at a time: with thousands of SKUs all of them do not fit in memory."""
    facts = read_facts(folder)
    signatures = [prefix + signature for prefix in ("", *facts.prefixes) for signature in SIGNATURES]
    spec = _spec(signatures, len(facts.skus), len(facts.families))
    paths = sorted(tf.io.gfile.glob(file_pattern(folder, role)))
    parsed = tf.data.TFRecordDataset(paths).batch(rows).map(lambda serialized: tf.io.parse_example(serialized, spec)).prefetch(1)
    for batch in parsed.as_numpy_iterator():
        yield _chunk(batch, signatures)


def encode(
    serialized: bytes, row: int, truth: Indices, answers: Mapping[str, Answers], masked: Mapping[str, Indices] | None = None
) -> bytes:
    """Returns an example of the pipeline as an example of predictions: without the image, with row `row` of truth and answers.

    Args:
      masked: `<against>/<signature>` -> [N, 2, 4], what MASKED says; none where the catalogue is the same.
    """
    example = tf.train.Example.FromString(serialized)
    feature = example.features.feature
    del feature[features.IMAGE.name]
    if not feature[features.BRAND.name].bytes_list.value:
        feature[features.BRAND.name].bytes_list.value.append(b"")  # TFMA fails on a slice by a feature that is absent here and there
    feature[LABEL].int64_list.value.append(int(truth[row, 0]))
    feature[TRUTH].int64_list.value.extend(truth[row].tolist())
    for signature, answer in answers.items():
        _set_floats(feature[f"{signature}/{SKU_SCORES}"], answer.sku_scores[row])
        _set_floats(feature[f"{signature}/{FAMILY_SCORES}"], answer.family_scores[row])
        _set_floats(feature[f"{signature}/{UNKNOWN_SCORE}"], answer.unknown_score[row : row + 1])
        _set_floats(feature[f"{signature}/{CONFIDENCES}"], answer.decisions.confidences[row])
        feature[f"{signature}/{DECIDED}"].int64_list.value.extend(answer.decisions.indices[row].tolist())
        feature[f"{signature}/{IN_TOP}"].int64_list.value.append(int(answer.in_top[row]))
        if answer.losses is not None:
            _set_floats(feature[f"{signature}/{LOSSES}"], answer.losses[row])
        if answer.doubt is not None:
            feature[f"{signature}/{ACCEPTED}"].int64_list.value.extend(answer.doubt.accepted[row].tolist())
            _set_floats(feature[f"{signature}/{SCORE}"], answer.doubt.score[row : row + 1])
            _set_floats(feature[f"{signature}/{BEFORE}"], answer.doubt.before[row])
    for signature, decided in (masked or {}).items():
        feature[f"{signature}/{MASKED}"].int64_list.value.extend(decided[row].ravel().tolist())
    return bytes(example.SerializeToString())


def _set_floats(feature: Any, values: Floats) -> None:
    """Sets a float feature from its wire format: element by element, thousands of scores would take longer than the model does."""
    data = np.ascontiguousarray(values, "<f4").tobytes()
    feature.float_list.MergeFromString(b"\x0a" + _varint(len(data)) + data)  # field 1, packed


def _varint(number: int) -> bytes:
    """Source: https://protobuf.dev/programming-guides/encoding/#varints."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _spec(signatures: list[str], skus: int, families: int) -> dict[str, Any]:
    fixed = tf.io.FixedLenFeature
    spec = {feature.name: _fact_spec(feature) for feature in FACTS}
    spec |= {LABEL: fixed([], tf.int64), TRUTH: fixed([len(LEVELS)], tf.int64)}
    for signature in signatures:
        spec[f"{signature}/{SKU_SCORES}"] = fixed([skus], tf.float32)
        spec[f"{signature}/{FAMILY_SCORES}"] = fixed([families], tf.float32)
        spec[f"{signature}/{UNKNOWN_SCORE}"] = fixed([], tf.float32)
        spec[f"{signature}/{CONFIDENCES}"] = fixed([3], tf.float32)
        spec[f"{signature}/{DECIDED}"] = fixed([len(LEVELS)], tf.int64)
        spec[f"{signature}/{IN_TOP}"] = fixed([], tf.int64)
        spec[f"{signature}/{LOSSES}"] = fixed([2], tf.float32, default_value=_ABSENT[:2])
        spec[f"{signature}/{ACCEPTED}"] = fixed([2], tf.int64, default_value=[0, 0])
        spec[f"{signature}/{SCORE}"] = fixed([], tf.float32, default_value=_ABSENT[0])
        spec[f"{signature}/{BEFORE}"] = fixed([3], tf.float32, default_value=_ABSENT)
    return spec


def _fact_spec(feature: Feature) -> Any:
    if feature.kind in (Kind.TEXT, Kind.BYTES):
        return tf.io.FixedLenFeature([], tf.string, default_value="")
    if feature.kind is Kind.FLOAT:
        return tf.io.FixedLenFeature([], tf.float32, default_value=float("nan"))
    return tf.io.FixedLenFeature([], tf.int64, default_value=0)


def _chunk(batch: dict[str, NDArray[Any]], signatures: list[str]) -> Chunk:
    facts = {feature.name: _texts(batch[feature.name]) if feature.kind is Kind.TEXT else batch[feature.name] for feature in FACTS}
    return Chunk(facts, batch[LABEL], batch[TRUTH], {signature: _answers(batch, signature) for signature in signatures})


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    return np.array([value.decode("utf-8") for value in values], dtype=object)


def _answers(batch: dict[str, NDArray[Any]], signature: str) -> Answers:
    def of(name: str) -> NDArray[Any]:
        return batch[f"{signature}/{name}"]

    decisions = Decisions(of(DECIDED), of(CONFIDENCES))
    doubt = None if np.isnan(of(SCORE)).all() else Doubt(of(ACCEPTED), of(SCORE), of(BEFORE))
    losses = None if np.isnan(of(LOSSES)).all() else of(LOSSES)
    return Answers(of(SKU_SCORES), of(FAMILY_SCORES), of(UNKNOWN_SCORE), decisions, of(IN_TOP).astype(bool), losses, doubt)
