"""How often each SKU is expected: what training saw, what the shops hold, and the correction from one to the other.

Class balancing and hard examples make rare SKUs frequent in training, and a network answers as if they were frequent in the shops. Adding
log(wanted / seen) to the joint log scores of the SKUs, and making them add up to 1 again, undoes that.

Source: Saerens, Latinne and Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
14 (2002).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfx_retail import table
from tfx_retail.errors import UserError

Floats = NDArray[np.float64]

_COLUMNS = ("sku", "weight")


class PriorError(UserError):
    """The file of weights cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def log_ratios(seen: Floats, wanted: Floats) -> Floats:
    """Returns [S] what is added to the joint log scores; 0 for a SKU that training did not see: nothing is known to correct.

    Args:
      seen: [S], how often training showed each SKU, its weight in the loss included.
      wanted: [S], how often each is expected, in any unit.

    Raises:
      ValueError: a number is negative or none, or a SKU that training saw is never expected.
    """
    for name, values in (("seen", seen), ("wanted", wanted)):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(f"prior: {name} holds {values[~(np.isfinite(values) & (values >= 0))][0]}, expected numbers of at least 0")
    known = seen > 0
    if (wanted[known] == 0).any():
        raise ValueError(f"prior: {int((wanted[known] == 0).sum())} SKUs that training saw are never expected; retire them instead")
    ratios = np.zeros(len(seen))
    ratios[known] = np.log(wanted[known] / wanted[known].sum()) - np.log(seen[known] / seen[known].sum())
    return ratios


def undone(look_of: NDArray[np.int64], examples: NDArray[Any], weights: NDArray[Any], looks: int) -> Floats:
    """Returns [L] what is added to the logits of looks to undo class balancing; 0 for a look without examples.

    Args:
      look_of: [S], the look of each SKU.
      examples: [S], training examples of each.
      weights: [S], of one of them in the loss.
    """
    counted, weighed = (np.bincount(look_of, values, looks).astype(np.float64) for values in (examples, examples * weights))
    return log_ratios(seen=weighed, wanted=counted)


def corrected(scores: Floats, ratios: Floats) -> Floats:
    """Returns joint scores [N, S] under the prior that is wanted, float64; rows add up to 1, or are all 0 as they were."""
    weight = np.asarray(scores, np.float64) * np.exp(ratios - ratios.max(initial=0.0))
    total = weight.sum(axis=1, keepdims=True)
    return np.asarray(weight / np.where(total > 0, total, 1.0))


def read(path: Path, skus: Sequence[str]) -> Floats:
    """Returns the weights [S] of a CSV `sku,weight`, in the order of the SKUs.

    Raises:
      PriorError: with every fault: a column that is not there, a SKU that is missing, twice or unknown, a weight that is no number over 0.
    """
    try:
        found = table.read(path, _COLUMNS)
    except table.TableError as error:
        raise PriorError(error.faults) from None
    missing = [column for column in _COLUMNS if column not in found.columns]
    if missing:
        raise PriorError([f"{path}: row 1: there is no column {column}, only {', '.join(found.columns)}" for column in missing])
    weights: dict[str, float] = {}
    faults = []
    for row in found.rows:
        sku, text = (row.cells[column] for column in _COLUMNS)
        weight = _number(text)
        if sku not in skus:
            faults.append(f"row {row.line}, column sku: {sku!r} is none of the model's SKUs; take the row out or correct it")
        if sku in weights:
            faults.append(f"row {row.line}, column sku: {sku!r} is there before; keep one of them")
        if weight is None:
            faults.append(f"row {row.line}, column weight: is {text!r}, expected a number over 0, say 12.5")
        weights[sku] = weight or 0.0
    faults += [f"column sku: {sku!r} of the model is missing; every SKU needs a weight" for sku in skus if sku not in weights]
    if faults:
        raise PriorError([f"{path}: {fault}" for fault in faults])
    return np.array([weights[sku] for sku in skus])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
