"""The prediction files as columns: for each crop what it is, what was answered and how surely; no score vectors.

With 2,000 SKUs the vectors of 200,000 crops are gigabytes; they are stepped over, one record in memory at a time.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.page import wire

SIGNATURES = ("serving_default", "predict_sized")
BASELINE = "baseline/"
LEVELS = ("sku", "look", "family", "category")
TEXTS = (
    features.CROP_ID,
    features.PHOTO_ID,
    features.GROUP,
    features.BRAND,
    features.STORE,
    features.TAKEN_AT,
    features.FACE,
    features.SOURCE,
)
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
    def groups(self) -> NDArray[Any]:
        """[N] scenes: crops of one scene resemble each other."""
        return self.texts[features.GROUP.name]

    @property
    def sized(self) -> Bools:
        """[N]: whether a side was measured."""
        return np.isfinite(np.stack([self.sides[side.name] for side in SIDES])).any(axis=0)

    def right(self, signature: str) -> Bools:
        """Returns [N, 4]: whether each of LEVELS was answered rightly."""
        return self.answers[signature].decided == self.truth


def read_lists(folder: Path) -> Lists:
    """Returns the label lists of a Predictions artifact."""
    return msgspec.json.decode((folder / "predictions.json").read_bytes(), type=Lists)


def read(folder: Path, role: str) -> Predicted:
    """Returns the predictions of one role.

    Raises:
      ValueError: a file is damaged.
    """
    lists = read_lists(folder)
    signatures = [prefix + name for prefix in (("", BASELINE) if lists.baseline else ("",)) for name in SIGNATURES]
    columns = _Columns(signatures, lists.counts.get(role, 0))
    for path in sorted((folder / f"Split-{role}").glob("predictions-*.tfrecord*")):
        for data in wire.records(path):
            columns.add(data)
    return columns.done(lists)


class _Columns:
    """Grows column by column, as compactly as numpy holds them."""

    def __init__(self, signatures: list[str], expected: int) -> None:
        self._signatures = signatures
        self._count = 0
        self._texts: dict[str, list[str]] = {feature.name: [] for feature in TEXTS}
        self._known: dict[str, str] = {}  # a store's name is kept once, not 200,000 times
        self._flags = {feature.name: np.zeros(expected, np.bool_) for feature in FLAGS}
        self._sides = {feature.name: np.full(expected, np.nan, np.float32) for feature in SIDES}
        self._truth = np.zeros((expected, len(LEVELS)), np.int32)
        self._answers = {name: _empty(expected) for name in signatures}
        self._wanted = frozenset(_names(signatures))

    def add(self, data: bytes) -> None:
        row, found = self._count, wire.example(data, self._wanted)
        if row >= len(self._truth):
            self._grow()
        for name, values in self._texts.items():
            value = wire.text(data, found.get(name.encode()))
            values.append(self._known.setdefault(value, value))
        for name, flags in self._flags.items():
            flags[row] = wire.integers(data, found.get(name.encode())) == [1]
        for name, sides in self._sides.items():
            side = wire.floats(data, found.get(name.encode()))
            sides[row] = side[0] if len(side) else np.nan
        self._truth[row] = wire.integers(data, found[b"truth"])
        for name in self._signatures:
            _fill(self._answers[name], row, data, found, name, int(self._truth[row, 0]))
        self._count += 1

    def done(self, lists: Lists) -> Predicted:
        count = self._count
        return Predicted(
            lists,
            {name: np.array(values, object) for name, values in self._texts.items()},
            {name: values[:count] for name, values in self._flags.items()},
            {name: np.where(values[:count] > 0, values[:count], np.nan) for name, values in self._sides.items()},
            self._truth[:count],
            {name: _each(answer, lambda column: column[:count]) for name, answer in self._answers.items()},
        )

    def _grow(self) -> None:
        """The counts in `predictions.json` were too low; a page all the same."""
        for columns in (self._flags, self._sides):
            for name in columns:
                columns[name] = _doubled(columns[name])
        self._truth = _doubled(self._truth)
        self._answers = {name: _each(answer, _doubled) for name, answer in self._answers.items()}


def _each(answer: Answer, act: Callable[[NDArray[Any]], NDArray[Any]]) -> Answer:
    return Answer(act(answer.decided), act(answer.confidence), act(answer.truth_score), act(answer.in_top))


def _doubled(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([values, np.zeros((max(len(values), 1024), *values.shape[1:]), values.dtype)])


def _empty(count: int) -> Answer:
    scores = (np.zeros(count, np.float32), np.zeros(count, np.float32))
    return Answer(np.zeros((count, len(LEVELS)), np.int32), *scores, np.zeros(count, np.bool_))


def _names(signatures: list[str]) -> Iterator[bytes]:
    yield from (feature.name.encode() for feature in (*TEXTS, *FLAGS, *SIDES))
    yield b"truth"
    for signature in signatures:
        yield from (f"{signature}/{name}".encode() for name in ("decided", "confidences", "sku_scores", "in_top"))


def _fill(answer: Answer, row: int, data: bytes, found: dict[bytes, wire.Span], signature: str, label: int) -> None:
    def at(name: str) -> wire.Span | None:
        return found.get(f"{signature}/{name}".encode())

    answer.decided[row] = wire.integers(data, at("decided"))
    confidences, scores = wire.floats(data, at("confidences")), wire.floats(data, at("sku_scores"))
    answer.confidence[row] = confidences[0] if len(confidences) else np.nan
    answer.truth_score[row] = scores[label] if 0 <= label < len(scores) else np.nan
    answer.in_top[row] = wire.integers(data, at("in_top")) == [1]
