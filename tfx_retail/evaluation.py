"""From score vectors to the answers of the model contract, in numpy: the one place for whatever reads predictions."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import answers, catalog, features, labels
from tfx_retail.answers import Hierarchy
from tfx_retail.versions import EXTRA

SIGNATURES = features.SIGNATURES
LEVELS = features.LEVELS

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Counts = dict[int, tuple[int, int, int]]  # label -> examples, times answered, times answered rightly


class Decisions(NamedTuple):
    """What the signatures answer to N crops."""

    indices: Indices  # [N, 4], of LEVELS, into the model's label lists
    confidences: Floats  # [N, 3], joint probabilities of SKU, look and family


def lists_of(model_dir: Path) -> Hierarchy:
    """Returns the label lists of an exported or pushed model, from the files beside it."""
    extra = model_dir / EXTRA
    never_answered = set(json.loads((extra / "model.json").read_text(encoding="utf-8"))["never_answered"])
    ordered = labels.read(extra / "labels.csv")
    answered = np.array([label.sku not in never_answered for label in ordered])
    return answers.hierarchy(ordered, catalog.read(extra / "catalog.csv"), answered)


def decide(sku_scores: Floats, family_scores: Floats, lists: Hierarchy) -> Decisions:
    """Returns the best family, the best look within it, the best SKU within that; `decisions.decided` is the same as a graph.

    Args:
      sku_scores: [N, S] float32, joint probabilities in label order.
      family_scores: [N, F] float32.
    """
    rows = np.arange(len(sku_scores))
    family = family_scores.argmax(axis=1)
    look_scores = _summed(sku_scores, lists.look_of_sku, len(lists.looks))
    look = np.where(lists.family_of_look == family[:, None], look_scores, -1.0).argmax(axis=1)
    allowed = (lists.look_of_sku == look[:, None]) & lists.active
    sku = np.where(allowed, sku_scores, -1.0).argmax(axis=1)
    indices = np.stack([sku, look, family, lists.category_of_family[family]], axis=1)
    return Decisions(indices, np.stack([sku_scores[rows, sku], look_scores[rows, look], family_scores[rows, family]], axis=1))


def decide_among(sku_scores: Floats, common: NDArray[np.bool_], lists: Hierarchy) -> Decisions:
    """Returns what would be answered if only some SKUs could be: a family is worth what its SKUs among them are.

    Args:
      common: [S], which SKUs may win.
    """
    allowed = np.where(common, sku_scores, np.float32(0.0))
    family_scores = _summed(allowed, lists.family_of_look[lists.look_of_sku], len(lists.families))
    return decide(allowed, family_scores, lists._replace(active=lists.active & common))


def truth(label: Indices, lists: Hierarchy) -> Indices:
    """Returns [N, 4] indices of LEVELS for [N] indices of SKUs."""
    look = lists.look_of_sku[label]
    family = lists.family_of_look[look]
    return np.stack([label, look, family, lists.category_of_family[family]], axis=1)


def in_top(sku_scores: Floats, decided: Indices, label: Indices, lists: Hierarchy) -> NDArray[np.bool_]:
    """Returns [N]: whether the label is among `top_skus`: the decided SKU first, the rest by score, of equal ones the earlier label.

    Args:
      decided: [N] decided SKUs.
      label: [N] true SKUs; -1 for one that the model does not know, which is never among them.
    """
    rows, order = np.arange(len(label)), np.arange(sku_scores.shape[1])
    scores = np.where(lists.active, sku_scores, -1.0)
    own = scores[rows, label][:, None]
    better = (scores > own) | ((scores == own) & (order < label[:, None]))
    better[rows, decided] = True  # it stands before every other
    hit = (decided == label) | (better.sum(axis=1) < lists.top)
    return hit & (label >= 0) & lists.active[label]


def per_class(counts: Counts, skus: list[str]) -> list[dict[str, Any]]:
    """Returns a row for each SKU that has an example or was answered, in label order; what has no denominator is None."""
    rows = []
    for index in sorted(counts):
        examples, answered, right = counts[index]
        rows.append(
            {
                "sku": skus[index],
                "examples": examples,
                "predicted": answered,
                "precision": right / answered if answered else None,
                "recall": right / examples if examples else None,
                "f1": 2 * right / (examples + answered) if examples else None,
            }
        )
    return rows


def macro_f1(counts: Counts) -> float:
    """Returns the mean F1 of the classes that have examples; NaN where none has."""
    scores = [2 * right / (examples + answered) for examples, answered, right in counts.values() if examples]
    return float(np.mean(scores)) if scores else float("nan")


def _summed(scores: Floats, place: Indices, places: int) -> Floats:
    """Returns [N, places] float32 sums of the scores that belong to each place; every place has one."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(places))
    return np.add.reduceat(scores[:, order], starts, axis=1)
