"""Look-alikes: which SKU is taken for which, by count and by family, for people and for whoever samples hard examples."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from tfx_retail.measured_doubt import Answered, Indices

COLUMNS = ("signature", "sku", "answered", "family", "family_answered", "crops", "share", "accepted", "confidence")
_LISTED = 200  # pairs in the evaluation's JSON; the CSV has them all
_SKU, _FAMILY = 0, 2  # places in features.LEVELS


class Pair(Struct, frozen=True, kw_only=True):
    """One SKU that is taken for another."""

    sku: str
    answered: str
    family: str
    family_answered: str
    crops: int
    share: float  # of the SKU's crops
    accepted: int | None  # of the wrong answers; None: the model does not say
    confidence: float  # mean


class FamilyPair(Struct, frozen=True, kw_only=True):
    """One family whose crops are taken for SKUs of another, or for other SKUs of its own."""

    family: str
    answered: str
    crops: int
    pairs: int  # of SKUs


class LookAlikes(Struct, frozen=True, kw_only=True):
    """Confused SKUs, most crops first."""

    pairs: list[Pair]
    families: list[FamilyPair]


class Names(Struct, frozen=True):
    """What indices of SKUs and families mean."""

    skus: Sequence[str]
    families: Sequence[str]


def find(truth: Indices, answered: Answered, names: Names) -> LookAlikes:
    """Returns all pairs of [N, 4] true and decided indices of LEVELS; an answer without a place in the lists, -1, is left out."""
    decided = answered.decided
    wrong = np.flatnonzero((decided[:, _SKU] != truth[:, _SKU]) & (decided[:, _SKU] >= 0))
    keys = truth[wrong, _SKU] * len(names.skus) + decided[wrong, _SKU]
    different, first, place, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    total = np.bincount(truth[:, _SKU], minlength=len(names.skus))
    sure = np.bincount(place, weights=answered.after.confidence[wrong]) / np.maximum(counts, 1)
    taken = None if answered.accepted is None else np.bincount(place, weights=answered.accepted.sku[wrong])
    pairs = [
        Pair(
            sku=names.skus[sku],
            answered=names.skus[other],
            family=names.families[truth[wrong[first[number]], _FAMILY]],
            family_answered=names.families[decided[wrong[first[number]], _FAMILY]],
            crops=int(counts[number]),
            share=float(counts[number] / total[sku]),
            accepted=None if taken is None else int(taken[number]),
            confidence=float(sure[number]),
        )
        for number, (sku, other) in enumerate(divmod(key, len(names.skus)) for key in different.tolist())
    ]
    pairs.sort(key=lambda pair: (-pair.crops, pair.sku, pair.answered))
    return LookAlikes(pairs=pairs, families=_by_family(pairs))


def shortened(found: LookAlikes) -> LookAlikes:
    """Returns the most confused pairs: of thousands of SKUs all would be a file of their own."""
    return LookAlikes(pairs=found.pairs[:_LISTED], families=found.families[:_LISTED])


def write(path: Path, found: Mapping[str, LookAlikes]) -> None:
    """Writes all pairs of all signatures as a CSV of COLUMNS."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for signature, alike in found.items():
            for pair in alike.pairs:
                taken = "" if pair.accepted is None else pair.accepted
                names = (pair.sku, pair.answered, pair.family, pair.family_answered)
                writer.writerow((signature, *names, pair.crops, f"{pair.share:.4f}", taken, f"{pair.confidence:.4f}"))


def _by_family(pairs: Sequence[Pair]) -> list[FamilyPair]:
    crops: dict[tuple[str, str], list[int]] = {}
    for pair in pairs:
        crops.setdefault((pair.family, pair.family_answered), []).append(pair.crops)
    found = [FamilyPair(family=own, answered=other, crops=sum(counts), pairs=len(counts)) for (own, other), counts in crops.items()]
    return sorted(found, key=lambda pair: (-pair.crops, pair.family, pair.answered))
