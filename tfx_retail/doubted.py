"""Prediction files to what doubt is measured on: a few numbers a crop, read without TensorFlow, the scores stepped over."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import features, intervals, measured_doubt, wire
from tfx_retail.features import LEVELS, SIGNATURES
from tfx_retail.measured_doubt import SLICES, Accepted, Answered, Floats, Indices, MeasuredDoubt, Shown, Sureness
from tfx_retail.prediction_files import (
    ACCEPTED,
    BEFORE,
    CONFIDENCES,
    DECIDED,
    LOSSES,
    SCORE,
    TRUTH,
    PredictionFacts,
    file_pattern,
    read_facts,
)
from tfx_retail.reliability import Losses
from tfx_retail.slices import NOWHERE, Column

_TEXTS = (features.GROUP.name, features.BRAND.name, features.STORE.name)
_NUMBERS = {CONFIDENCES: 3, SCORE: 1, LOSSES: 2, BEFORE: 3}  # of each crop
_COUNTS = {DECIDED: len(LEVELS), ACCEPTED: 2}
_MAY_LACK = (SCORE, LOSSES, BEFORE, ACCEPTED)  # files of earlier code, and answers of models of earlier code


class Doubted(NamedTuple):
    """The crops of one role, and what each signature of the new model says of them."""

    facts: PredictionFacts
    shown: Shown
    answered: dict[str, Answered]  # by signature


def read(folder: Path, role: str) -> Doubted:
    """Returns the crops of a role of a Predictions artifact; none where it has no files.

    Raises:
      ValueError: a file is damaged.
    """
    columns = _Columns()
    pattern = Path(file_pattern(folder, role))
    for path in sorted(pattern.parent.glob(pattern.name)):
        for data in wire.records(path):
            columns.add(data)
    facts = read_facts(folder)
    return Doubted(facts, columns.shown(facts), {signature: columns.answered(signature) for signature in SIGNATURES})


def measure(found: Doubted) -> dict[str, MeasuredDoubt]:
    """Returns what doubt is worth by signature; where no crop has a size both say the same, and it is measured once."""
    plain, sized = (found.answered[signature] for signature in SIGNATURES)
    first = measured_doubt.measure(found.shown, plain)
    second = first if measured_doubt.same(plain, sized) else measured_doubt.measure(found.shown, sized)
    return dict(zip(SIGNATURES, (first, second), strict=True))


class _Columns:
    """Crops as they are read: each text once in memory, and the bytes of numbers one after the other."""

    def __init__(self) -> None:
        self._crops = 0
        self._names: dict[bytes, str] = {}
        self._texts: dict[bytes, list[str]] = {name.encode(): [] for name in _TEXTS}
        keys = [TRUTH, *(f"{signature}/{name}" for signature in SIGNATURES for name in (*_NUMBERS, *_COUNTS))]
        self._packed: dict[bytes, bytearray] = {key.encode(): bytearray() for key in keys}
        self._wanted = frozenset((*self._texts, *self._packed))

    def add(self, data: bytes) -> None:
        """Reads one crop."""
        found = wire.example(data, self._wanted)
        for name, texts in self._texts.items():
            value = wire.raw(data, found.get(name))
            texts.append(self._names.setdefault(value, value.decode("utf-8", "replace")))
        for name, (begin, end) in found.items():
            if name in self._packed:
                self._packed[name] += data[begin:end]
        self._crops += 1

    def shown(self, facts: PredictionFacts) -> Shown:
        """Returns what the crops show."""
        truth = self._whole(TRUTH, len(LEVELS))
        texts = {name.decode(): values for name, values in self._texts.items()}
        lists = {features.CATEGORY.name: facts.categories, features.FAMILY.name: facts.families}
        columns = {name: _listed(truth[:, features.LEVELS.index(name)], values) for name, values in lists.items()}
        columns |= {name: _column(texts[name]) for name in SLICES if name not in columns}
        crops = np.array([facts.training_crops.get(sku, 0) for sku in facts.skus], np.int64)
        groups = intervals.number(texts[features.GROUP.name]) if self._crops else np.zeros(0, np.int64)
        return Shown(truth, groups, columns, crops[truth[:, 0]] if facts.training_crops else None)

    def answered(self, signature: str) -> Answered:
        """Returns what a signature says of the crops."""
        confidence, score, losses, before = (self._numbers(f"{signature}/{name}", size) for name, size in _NUMBERS.items())
        decided, accepted = (self._whole(f"{signature}/{name}", size) for name, size in _COUNTS.items())
        lack = {name for name in _MAY_LACK if self._crops and not self._packed[f"{signature}/{name}".encode()]}
        return Answered(
            decided,
            Sureness(confidence[:, 0], None if LOSSES in lack else Losses(losses[:, 0], losses[:, 1])),
            None if BEFORE in lack else Sureness(before[:, 0], Losses(before[:, 1], before[:, 2])),
            None if lack & {SCORE, ACCEPTED} else Accepted(accepted[:, 0] == 1, accepted[:, 1] == 1, score[:, 0]),
        )

    def _whole(self, key: str, size: int) -> Indices:
        return self._shaped(key, wire.varints(self._packed[key.encode()]), size)

    def _numbers(self, key: str, size: int) -> Floats:
        return self._shaped(key, np.frombuffer(self._packed[key.encode()], "<f4").astype(np.float64), size)

    def _shaped(self, key: str, values: NDArray[Any], size: int) -> NDArray[Any]:
        """Returns [N, size]: a crop that lacked its values would shift all that follow, so their number is checked."""
        lacking = not len(values) and key.rpartition("/")[2] in _MAY_LACK
        if len(values) != self._crops * size and not lacking:
            raise ValueError(f"{key}: {len(values)} values for {self._crops} crops; the files of predictions are damaged")
        return values.reshape((-1, size))


def _listed(codes: Indices, names: list[str]) -> Column:
    """Returns the column of indices into a list, without the names that no crop bears."""
    different, place = np.unique(codes, return_inverse=True)
    return Column(place.astype(np.int64), [names[code] for code in different.tolist()])


def _column(texts: list[str]) -> Column:
    values = {text: code for code, text in enumerate(sorted(set(texts) - {""}))}
    return Column(np.array([values.get(text, NOWHERE) for text in texts], np.int64), list(values))
