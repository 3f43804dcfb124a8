"""The files of predictions that every later figure reads: who was photographed, what the model said, with all scores.

`Split-<role>/predictions-*.tfrecord` holds a tf.Example for each crop: its facts without the image, `label` and `truth` as indices, and
for each signature `<signature>/<answer>`; answers of the last blessed model have `baseline/` before that, those of the pinned one
`reference/`, both in the new model's label order.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import tensorflow as tf
from msgspec import Struct
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.evaluation import LEVELS, SIGNATURES, Decisions, Floats, Indices
from tfx_retail.features import Feature, Kind

FACTS = tuple(feature for feature in features.ALL if feature is not features.IMAGE)
LABEL = "label"  # index of the SKU
TRUTH = "truth"  # [4], indices of LEVELS
BASELINE, REFERENCE = "baseline/", "reference/"
MASKED = "masked"  # [2, 4]: as `decided`, of the new and the earlier model, where other SKUs than the common ones may not win
SKU_SCORES, FAMILY_SCORES, UNKNOWN_SCORE = "sku_scores", "family_scores", "unknown_score"
DECIDED = "decided"  # [4], indices of LEVELS; -1: the earlier model's answer has no place in the new lists
CONFIDENCES = "confidences"  # [3], of SKU, look and family
IN_TOP = "in_top"  # 1 where the label is among `top_skus`
_FILE = "predictions.json"


class PredictionFacts(Struct, frozen=True, kw_only=True):
    """`predictions.json`: what the files hold and what the indices and columns in them mean."""

    counts: dict[str, int]  # role -> crops
    sized: dict[str, int]  # role -> crops with a measured height or width
    skus: list[str]
    looks: list[str]
    families: list[str]
    categories: list[str]
    never_answered: list[str] = []  # SKUs that were not trained or are retired
    top: int = 0  # the k of top-k
    baseline: str = ""  # the folder of the earlier model; empty where there was none
    baseline_lacks: list[str] = []  # SKUs that only the new model knows: their baseline scores are 0
    candidate_lacks: list[str] = []  # SKUs that only the earlier model knows: their scores are left out
    reference: str = ""  # the folder of the pinned model; empty where there is none, or where it is the baseline
    added: dict[str, list[str]] = {}  # `baseline`, `reference` -> SKUs that only the new model answers
    removed: dict[str, list[str]] = {}  # and those that only the earlier one answers
    same_look: list[str] = []  # SKUs that share their look with another that may be answered
    seconds: float = 0.0

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What stands before the earlier models' answers, of those that there are."""
        return tuple(prefix for prefix, folder in ((BASELINE, self.baseline), (REFERENCE, self.reference)) if folder)

    def is_masked(self, prefix: str) -> bool:
        """Tells whether the files have answers among common SKUs too: only where the catalogue changed."""
        return any(of.get(prefix.rstrip("/")) for of in (self.added, self.removed))


class Answers(NamedTuple):
    """What one signature of one model says of N crops."""

    sku_scores: Floats  # [N, S]
    family_scores: Floats  # [N, F]
    unknown_score: Floats  # [N]
    decisions: Decisions
    in_top: NDArray[np.bool_]  # [N]


class Chunk(NamedTuple):
    """Some crops of one role."""

    facts: dict[str, NDArray[Any]]  # feature -> [N]; texts as str, absent numbers as NaN, absent texts as ""
    label: Indices  # [N]
    truth: Indices  # [N, 4]
    answers: dict[str, Answers]  # by signature; the earlier models' under `baseline/<signature>` and `reference/<signature>`


def read_facts(folder: Path) -> PredictionFacts:
    """Returns `predictions.json` of a Predictions artifact."""
    return msgspec.json.decode((folder / _FILE).read_bytes(), type=PredictionFacts)


def write_facts(folder: Path, facts: PredictionFacts) -> None:
    """Writes `predictions.json`."""
    (folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))


def file_pattern(folder: Path, role: str) -> str:
    """Returns the pattern of the files of one role; sorted, they are in the order of the examples that they come from."""
    return str(folder / f"Split-{role}" / "predictions-*.tfrecord")


def file_path(folder: Path, role: str, number: int, total: int) -> Path:
    """Returns the path of one file of a role."""
    return folder / f"Split-{role}" / f"predictions-{number:05d}-of-{total:05d}.tfrecord"


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
    return Answers(of(SKU_SCORES), of(FAMILY_SCORES), of(UNKNOWN_SCORE), decisions, of(IN_TOP).astype(bool))
