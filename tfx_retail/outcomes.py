"""Prediction files to evaluated crops: what each shows and which answers were right, without the scores. Thirty bytes a crop and fact."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.comparison import Earlier
from tfx_retail.evaluation import LEVELS, SIGNATURES
from tfx_retail.predictions import DECIDED, MASKED, TRUTH, PredictionFacts, file_pattern, read_facts
from tfx_retail.slices import DAY, NOWHERE, Column, Crops, Flags

ROLE = "eval"
_TEXTS = (
    features.GROUP,
    features.SKU,
    features.LOOK,
    features.FAMILY,
    features.CATEGORY,
    features.BRAND,
    features.STORE,
    features.TAKEN_AT,
    features.FACE,
    features.SOURCE,
)
_DATE = 10  # characters of an ISO 8601 time that are its day
_ROWS = 4096


class _Part(NamedTuple):
    """Some crops as they are read."""

    texts: dict[str, list[str]]
    right: dict[str, Flags]
    masked: dict[str, Flags]  # [N, 2, 4]


def earlier(facts: PredictionFacts) -> dict[str, Earlier]:
    """Returns the earlier models of the files by the name that they have there."""
    folders = {"baseline": facts.baseline, "reference": facts.reference}
    return {
        name: Earlier(version=int(Path(folder).name), added=facts.added.get(name, []), removed=facts.removed.get(name, []))
        for name, folder in folders.items()
        if folder
    }


def read(folder: Path) -> Crops:
    """Returns the crops of the eval role of a Predictions artifact; none where it has no files."""
    facts = read_facts(folder)
    signatures = [prefix + signature for prefix in ("", *facts.prefixes) for signature in SIGNATURES]
    masked = [prefix + signature for prefix in facts.prefixes if facts.is_masked(prefix) for signature in SIGNATURES]
    parts = list(_parts(sorted(tf.io.gfile.glob(file_pattern(folder, ROLE))), signatures, masked))
    truncated = [text for part in parts for text in part.texts[features.TRUNCATED.name]]
    texts = {feature.name: [text for part in parts for text in part.texts[feature.name]] for feature in _TEXTS}
    texts[DAY] = [time[:_DATE] for time in texts[features.TAKEN_AT.name]]
    both = {name: _joined([part.masked[name] for part in parts], (2, len(LEVELS))) for name in masked}
    return Crops(
        columns={name: _column(values) for name, values in (texts | {features.TRUNCATED.name: truncated}).items()},
        right={name: _joined([part.right[name] for part in parts], (len(LEVELS),)) for name in signatures},
        masked={name: (flags[:, 0], flags[:, 1]) for name, flags in both.items()},
        same_look=frozenset(facts.same_look),
    )


def _parts(paths: list[str], signatures: list[str], masked: list[str]) -> Iterator[_Part]:
    if not paths:
        return
    spec = _spec(signatures, masked)
    records = tf.data.TFRecordDataset(paths).batch(_ROWS).map(lambda serialized: tf.io.parse_example(serialized, spec)).prefetch(1)
    names: dict[bytes, str] = {}  # each name once in memory, however many crops bear it
    for batch in records.as_numpy_iterator():
        truth = batch[TRUTH]
        texts = {feature.name: [names.setdefault(value, value.decode()) for value in batch[feature.name]] for feature in _TEXTS}
        texts[features.TRUNCATED.name] = [str(value) for value in batch[features.TRUNCATED.name]]
        yield _Part(
            texts,
            {name: batch[f"{name}/{DECIDED}"] == truth for name in signatures},
            {name: batch[f"{name}/{MASKED}"] == truth[:, None] for name in masked},
        )


def _spec(signatures: list[str], masked: list[str]) -> dict[str, Any]:
    """The scores are left out: they are nearly all of a file."""
    fixed, levels = tf.io.FixedLenFeature, len(LEVELS)
    spec = {feature.name: fixed([], tf.string, default_value="") for feature in _TEXTS}
    spec |= {features.TRUNCATED.name: fixed([], tf.int64, default_value=0), TRUTH: fixed([levels], tf.int64)}
    spec |= {f"{name}/{DECIDED}": fixed([levels], tf.int64) for name in signatures}
    return spec | {f"{name}/{MASKED}": fixed([2, levels], tf.int64) for name in masked}


def _column(texts: list[str]) -> Column:
    values = {text: code for code, text in enumerate(sorted(set(texts) - {""}))}
    return Column(np.array([values.get(text, NOWHERE) for text in texts], np.int64), list(values))


def _joined(parts: list[NDArray[np.bool_]], shape: tuple[int, ...]) -> Flags:
    return np.concatenate(parts) if parts else np.zeros((0, *shape), np.bool_)
