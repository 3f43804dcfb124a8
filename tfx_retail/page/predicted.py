"""The prediction files as columns: for each crop what it is, what was answered and how surely; no score vectors.

With 2,000 SKUs the vectors of 200,000 crops are gigabytes; they are stepped over, one record in memory at a time.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tfx_retail import features, wire
from tfx_retail.features import LEVELS, SIGNATURES
from tfx_retail.prediction_files import ACCEPTED, BASELINE, CONFIDENCES, DECIDED, IN_TOP, SKU_SCORES, TRUTH

__all__ = ["BASELINE", "LEVELS", "SIGNATURES", "Answer", "Bools", "Lists", "Predicted", "coded", "read", "read_lists"]

TEXTS = (
    features.CROP_ID,
    features.GROUP,
    features.BRAND,
    features.STORE,
    features.TAKEN_AT,
    features.FACE,
    features.SOURCE,
)
_TRUTH = TRUTH.encode()
_NAN = np.array(np.nan, "<f4").tobytes()
_NOWHERE = (0, 0)
FLAGS = (features.TRUNCATED, features.OCCLUDED, features.DIFFICULT)
SIDES = (features.MEASURED_HEIGHT_MM, features.MEASURED_WIDTH_MM)

Bools = NDArray[np.bool_]


class Lists(msgspec.Struct, frozen=True):
    """What the indices mean, as `predictions.json` says."""

    skus: list[str] = []
    looks: list[str] = []
    families: list[str] = []
    categories: list[str] = []
    never_answered: list[str] = []
    top: int = 0
    baseline: str = ""
    baseline_lacks: list[str] = []
    candidate_lacks: list[str] = []
    counts: dict[str, int] = {}
    sized: dict[str, int] = {}


class Answer(NamedTuple):
    """What one signature of one model says of N crops."""

    decided: NDArray[np.int32]  # [N, 4] of LEVELS; -1: no place in the lists
    confidence: NDArray[np.float32]  # [N], of the decided SKU
    truth_score: NDArray[np.float32]  # [N], what the true SKU was given
    in_top: Bools  # [N]
    accepted: Bools  # [N], the SKU; False where the model does not say


class Predicted(NamedTuple):
    """The crops of one role, N of them."""

    lists: Lists
    texts: dict[str, NDArray[Any]]  # of TEXTS, [N] str; absent ones empty
    flags: dict[str, Bools]  # of FLAGS, [N]
    sides: dict[str, NDArray[np.float32]]  # of SIDES, [N] millimetres; NaN where unknown
    truth: NDArray[np.int32]  # [N, 4] of LEVELS
    answers: dict[str, Answer]  # by signature, the earlier model's under `baseline/<signature>`

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def scenes(self) -> NDArray[np.int64]:
        """[N] numbers of the scenes: crops of one scene resemble each other."""
        return coded(self.texts[features.GROUP.name])[1]

    @property
    def sized(self) -> Bools:
        """[N]: whether a side was measured."""
        return np.isfinite(np.stack([self.sides[side.name] for side in SIDES])).any(axis=0)

    def right(self, signature: str) -> Bools:
        """Returns [N, 4]: whether each of LEVELS was answered rightly."""
        return self.answers[signature].decided == self.truth


def coded(texts: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Returns the different texts in their own order, and [N] which of them each is."""
    numbers: dict[str, int] = {}
    codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), np.int64)
    names = sorted(numbers)
    place = np.zeros(len(names), np.int64)
    place[[numbers[name] for name in names]] = np.arange(len(names))
    return names, place[codes] if len(codes) else codes


def read_lists(folder: Path) -> Lists:
    """Returns the label lists of a Predictions artifact."""
    return msgspec.json.decode((folder / "predictions.json").read_bytes(), type=Lists)


def read(folder: Path, role: str) -> Predicted:
    """Returns the predictions of one role.

    Raises:
      ValueError: a file is damaged.
    """
    lists = read_lists(folder)
    columns = _Columns([prefix + name for prefix in (("", BASELINE) if lists.baseline else ("",)) for name in SIGNATURES])
    for path in sorted((folder / f"Split-{role}").glob("predictions-*.tfrecord*")):
        for data in wire.records(path):
            columns.add(data)
    return columns.done(lists)


class _Columns:
    """The values of all crops as they lie in the files, one after the other; turned into numbers at the end, all at once."""

    def __init__(self, signatures: Sequence[str]) -> None:
        self._signatures = signatures
        self._texts: dict[bytes, list[str]] = {feature.name.encode(): [] for feature in TEXTS}
        self._known: dict[bytes, str] = {}  # a store's name is kept once, not 200,000 times
        answers = [f"{name}/{part}".encode() for name in signatures for part in (DECIDED, IN_TOP)]
        self._whole = {name: bytearray() for name in (_TRUTH, *(feature.name.encode() for feature in FLAGS), *answers)}
        numbers = [f"{name}/{CONFIDENCES}" for name in signatures] + [feature.name for feature in SIDES]
        self._first = {name.encode(): bytearray() for name in numbers}
        self._accepted = {f"{name}/{ACCEPTED}".encode(): bytearray() for name in signatures}
        self._scores = {f"{name}/{SKU_SCORES}".encode(): bytearray() for name in signatures}
        self._wanted = frozenset((*self._texts, *self._whole, *self._first, *self._accepted, *self._scores))

    def add(self, data: bytes) -> None:
        found = wire.example(data, self._wanted)
        for name, texts in self._texts.items():
            begin, end = found.get(name, _NOWHERE)
            texts.append(self._text(data[begin:end]))
        for name, digits in self._whole.items():
            begin, end = found.get(name, _NOWHERE)
            digits.extend(data[begin:end] or b"\0")
        for name, numbers in self._first.items():
            begin, end = found.get(name, _NOWHERE)
            numbers.extend(data[begin : begin + 4] if begin < end else _NAN)
        for name, flags in self._accepted.items():
            begin, end = found.get(name, _NOWHERE)
            flags.extend(data[begin : begin + 1] if begin < end else b"\0")  # the first of two: the SKU's
        label = wire.varint(data, found[_TRUTH][0])[0]
        for name, numbers in self._scores.items():
            begin, end = found.get(name, _NOWHERE)
            place = begin + 4 * label
            numbers.extend(data[place : place + 4] if begin <= place < end else _NAN)

    def done(self, lists: Lists) -> Predicted:
        sides = {feature.name: _numbers(self._first[feature.name.encode()]) for feature in SIDES}
        return Predicted(
            lists,
            {name.decode(): np.array(texts, object) for name, texts in self._texts.items()},
            {feature.name: wire.varints(self._whole[feature.name.encode()]) == 1 for feature in FLAGS},
            {name: np.where(values > 0, values, np.nan).astype(np.float32) for name, values in sides.items()},
            self._levels(_TRUTH),
            {name: self._answer(name) for name in self._signatures},
        )

    def _text(self, data: bytes) -> str:
        found = self._known.get(data)
        return self._known.setdefault(data, data.decode("utf-8", "replace")) if found is None else found

    def _answer(self, signature: str) -> Answer:
        decided, confidences, scores, top = (f"{signature}/{part}".encode() for part in (DECIDED, CONFIDENCES, SKU_SCORES, IN_TOP))
        in_top = wire.varints(self._whole[top]) == 1
        accepted = np.frombuffer(self._accepted[f"{signature}/{ACCEPTED}".encode()], np.uint8) == 1
        return Answer(self._levels(decided), _numbers(self._first[confidences]), _numbers(self._scores[scores]), in_top, accepted)

    def _levels(self, name: bytes) -> NDArray[np.int32]:
        values = wire.varints(self._whole[name])
        return values.astype(np.int32).reshape(-1, len(LEVELS))


def _numbers(data: bytearray) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4").astype(np.float32)
