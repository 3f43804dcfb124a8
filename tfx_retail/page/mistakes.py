"""What deserves a look: the surest wrong answers, probable wrong labels, products that are not as large as the catalogue says."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.catalog import Catalog
from tfx_retail.page.predicted import SIDES, SIGNATURES, Predicted

Numbers = NDArray[np.float32]
WORST = 60
OF_ONE_PAIR = 6  # crops of one pair in the gallery: the others would only repeat it
SUSPECTS = 18
_SURE, _DENIED = 0.9, 0.02  # of a probable wrong label: the answer's confidence, and at most this for the label
_FEW = 3  # measured crops below which a median says nothing
_FAR = 0.10


class Mistake(NamedTuple):
    """One wrong answer."""

    row: int
    true: int
    answered: int
    confidence: float
    truth_score: float
    accepted: bool


class Misfit(NamedTuple):
    """A SKU whose measured side is not the catalogue's."""

    sku: str
    side: str
    catalogue_mm: float
    median_mm: float
    off: float  # of the catalogue's side
    crops: int


def worst(predicted: Predicted, signature: str = SIGNATURES[0]) -> list[Mistake]:
    """Returns the wrong answers, surest first."""
    answer = predicted.answers[signature]
    wrong = np.flatnonzero(answer.decided[:, 0] != predicted.truth[:, 0])
    order = wrong[np.argsort(-np.nan_to_num(answer.confidence[wrong]), kind="stable")]
    return _varied([_mistake(predicted, signature, int(row)) for row in order[: 50 * WORST]])[:WORST]


def suspects(predicted: Predicted) -> list[Mistake]:
    """Returns crops that are probably mislabelled: the model is sure of another look and gives the label next to nothing.

    Between SKUs of one look only a size could tell, so that such a doubt says nothing of the label.
    """
    signature = SIGNATURES[1] if SIGNATURES[1] in predicted.answers else SIGNATURES[0]
    answer = predicted.answers[signature]
    other = answer.decided[:, 1] != predicted.truth[:, 1]
    rows = np.flatnonzero(other & (answer.confidence >= _SURE) & (answer.truth_score <= _DENIED))
    order = rows[np.argsort(-answer.confidence[rows], kind="stable")]
    return [_mistake(predicted, signature, int(row)) for row in order[:SUSPECTS]]


def misfits(parts: list[Predicted], catalog: Catalog | None) -> list[Misfit]:
    """Returns the SKUs whose median measured side is more than a tenth off the catalogue's, farthest first."""
    found = []
    for side in SIDES if catalog else ():
        name = side.name.split("_")[1]
        for sku, values in _measured(parts, side.name).items():
            product = catalog.by_sku.get(sku) if catalog else None
            asked, median = getattr(product, f"{name}_mm", None), float(np.median(values))
            if asked and len(values) >= _FEW and abs(median / asked - 1) > _FAR:
                found.append(Misfit(sku, name, asked, median, median / asked - 1, len(values)))
    return sorted(found, key=lambda misfit: (-abs(misfit.off), misfit.sku, misfit.side))


def _varied(found: list[Mistake]) -> list[Mistake]:
    """Returns the mistakes without those that have many of their like before them."""
    seen: Counter[tuple[int, int]] = Counter()
    kept = []
    for item in found:
        seen[item.true, item.answered] += 1
        if seen[item.true, item.answered] <= OF_ONE_PAIR:
            kept.append(item)
    return kept


def _measured(parts: list[Predicted], side: str) -> dict[str, Numbers]:
    """Returns SKU -> its measured sides, in millimetres; a pack that is cut off has none."""
    found: dict[str, list[Numbers]] = {}
    for part in parts:
        rows = np.flatnonzero(np.isfinite(part.sides[side]) & ~part.flags[features.TRUNCATED.name])
        rows = rows[np.argsort(part.truth[rows, 0], kind="stable")]
        skus, starts = np.unique(part.truth[rows, 0], return_index=True)
        for sku, values in zip(skus.tolist(), np.split(part.sides[side][rows], starts[1:]), strict=False):  # of no rows: one empty part
            found.setdefault(part.lists.skus[sku], []).append(values)
    return {sku: np.concatenate(values) for sku, values in found.items()}


def _mistake(predicted: Predicted, signature: str, row: int) -> Mistake:
    answer = predicted.answers[signature]
    true, answered = int(predicted.truth[row, 0]), int(answer.decided[row, 0])
    return Mistake(row, true, answered, float(answer.confidence[row]), float(answer.truth_score[row]), bool(answer.accepted[row]))
