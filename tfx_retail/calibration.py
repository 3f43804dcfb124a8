"""Confidences in line with the share of right answers: a temperature for families, another for the looks of a family.

P(family) = softmax(logits / T) over families, P(look | family) = softmax(logits / T') within the family. A temperature is what minimises
the log loss on the calibration role plus (log T)² / 2: as if one scene had said that T is 1, give or take a factor of e. Crops weigh alike,
and all together as much as there are groups, so few scenes move a temperature little and alike crops do not count as many.

Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks (arXiv:1706.04599), section 4.2; the prior is ours. One
bias a class more (arXiv:1901.06852, bias-corrected temperature scaling) is left out: families have too few scenes each to fit it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_LOWEST, _HIGHEST = -3.0, 3.0  # of log T: 0.05 to 20
_HALVINGS = 40
_CHUNK = 4_000_000  # logits that are worked on at once


class Temperature(Struct, frozen=True, kw_only=True):
    """What logits are divided by, and what it was fitted on."""

    value: float = 1.0
    crops: int = 0
    groups: int = 0
    loss_before: float | None = None  # mean log loss of the same crops, with a temperature of 1 and with this one
    loss_after: float | None = None
    reason: str = ""  # why it is 1 although nothing was fitted; empty where it was


class Calibration(Struct, frozen=True, kw_only=True):
    """Both temperatures."""

    family: Temperature = Temperature(reason="not fitted")
    look: Temperature = Temperature(reason="not fitted")


class Outputs(NamedTuple):
    """What the network says of N crops, of F families and L looks."""

    family_logits: Floats  # [N, F]; -inf: may not win
    look_logits: Floats  # [N, L]; -inf: may not win
    family_of_look: Indices  # [L]


class Truth(NamedTuple):
    """What N crops show; -1: a product without a place in the label lists, which says nothing of temperatures."""

    family: Indices  # [N]
    look: Indices  # [N]
    groups: Indices  # [N], number of the scene
    weights: Floats | None = None  # [N], how often a crop counts, say to undo a prior; all alike if None


def fit(outputs: Outputs, truth: Truth) -> Calibration:
    """Returns both temperatures; 1 with a reason where there is nothing to fit one on.

    Raises:
      ValueError: a logit is NaN or +inf, or the arrays differ in length.
    """
    _check(outputs, truth)
    weights = np.ones(len(truth.groups)) if truth.weights is None else np.asarray(truth.weights, np.float64)
    within, place = _within_family(outputs, truth)
    return Calibration(
        family=_fitted(_Cases(outputs.family_logits, truth.family, truth.family, truth.groups, weights), "family"),
        look=_fitted(_Cases(within, place, truth.look, truth.groups, weights), "look"),
    )


def apply(outputs: Outputs, calibration: Calibration) -> tuple[Floats, Floats]:
    """Returns [N, F] P(family) and [N, L] joint P(look), float64: what the graph of the served model has to say."""
    family = _softmax(np.asarray(outputs.family_logits, np.float64) / calibration.family.value)
    order = np.argsort(outputs.family_of_look, kind="stable")
    owner = outputs.family_of_look[order]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    number = np.cumsum(np.diff(owner, prepend=-1) != 0) - 1  # of the family among those that have looks
    logits = np.asarray(outputs.look_logits, np.float64)[:, order] / calibration.look.value
    highest = np.maximum.reduceat(logits, starts, axis=1)[:, number]
    weight = np.exp(logits - np.where(np.isfinite(highest), highest, 0.0))
    total = np.add.reduceat(weight, starts, axis=1)[:, number]
    look = np.empty_like(logits)
    look[:, order] = weight / np.where(total > 0, total, 1.0) * family[:, owner]
    return family, look


def of_looks(logits: Floats, may_win: NDArray[np.bool_], family_of_look: Indices, families: int) -> Outputs:
    """Returns the outputs that belong to the [N, L] logits of looks, of which [L] may win."""
    shown = np.where(may_win, logits, logits.dtype.type(-np.inf))
    return Outputs(of_families(shown, family_of_look, families), shown, family_of_look)


def of_families(look_logits: Floats, family_of_look: Indices, families: int) -> Floats:
    """Returns [N, F]: log-sum-exp of the [N, L] logits of each family's looks; -inf where none of them may win."""
    found = np.full((len(look_logits), families), -np.inf, look_logits.dtype)
    order = np.argsort(family_of_look, kind="stable")
    owners, starts = np.unique(family_of_look[order], return_index=True)
    ordered = look_logits[:, order]
    highest = np.maximum.reduceat(ordered, starts, axis=1)
    highest = np.where(np.isneginf(highest), 0.0, highest).astype(look_logits.dtype)
    total = np.add.reduceat(np.exp(ordered - np.repeat(highest, np.diff(starts, append=len(order)), axis=1)), starts, axis=1)
    found[:, owners] = np.where(total > 0, highest + np.log(np.where(total > 0, total, 1.0)), -np.inf)
    return found


class _Cases(NamedTuple):
    """N crops of which one of C classes is to be told."""

    logits: Floats  # [N, C]; -inf: not to choose from
    label: Indices  # [N], the true one among the C; -1: not known
    shown: Indices  # [N], family or look
    groups: Indices
    weights: Floats

    def rows(self, kept: NDArray[np.bool_] | slice) -> "_Cases":
        return _Cases(self.logits[kept], self.label[kept], self.shown[kept], self.groups[kept], self.weights[kept])


def _check(outputs: Outputs, truth: Truth) -> None:
    lengths = {len(outputs.family_logits), len(outputs.look_logits), len(truth.family), len(truth.look), len(truth.groups)}
    if len(lengths) > 1:
        raise ValueError(f"calibration: logits, truth and groups have {sorted(lengths)} rows, expected one number")
    for name, logits in (("family", outputs.family_logits), ("look", outputs.look_logits)):
        broken = int((np.isnan(logits) | np.isposinf(logits)).any(axis=1).sum())
        if broken:
            raise ValueError(
                f"calibration: {broken} of {len(logits)} crops have {name} logits that are NaN or infinite: the network has diverged; "
                "train again with a lower train.learning_rate"
            )


def _within_family(outputs: Outputs, truth: Truth) -> tuple[Floats, Indices]:
    """Returns [N, M] logits of the looks in the true family, -inf after its last, and the true look's place among them."""
    families = outputs.family_logits.shape[1]
    order = np.argsort(outputs.family_of_look, kind="stable")
    sizes = np.bincount(outputs.family_of_look, minlength=families)
    starts = np.cumsum(sizes) - sizes
    place_of_look = np.empty(len(order), np.int64)
    place_of_look[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    members = np.full((families, int(sizes.max(initial=1))), -1)
    members[outputs.family_of_look, place_of_look] = np.arange(len(order))
    looks = members[truth.family]
    logits = np.take_along_axis(outputs.look_logits, np.maximum(looks, 0), axis=1)
    label = np.where((truth.look >= 0) & (truth.family >= 0), place_of_look[truth.look], -1)
    return np.where(looks >= 0, logits, -np.inf), label


def _fitted(cases: _Cases, level: str) -> Temperature:
    known = cases.label >= 0
    known &= np.isfinite(np.take_along_axis(cases.logits, np.maximum(cases.label, 0)[:, None], axis=1)[:, 0])
    used = cases.rows(known & (np.isfinite(cases.logits).sum(axis=1) > 1))  # a family of one look leaves no choice
    crops, groups = len(used.label), len(np.unique(used.groups))
    if not crops:
        return Temperature(reason=f"no crop of the calibration role leaves a choice of {level}")
    if len(np.unique(used.shown)) == 1:
        return Temperature(crops=crops, groups=groups, reason=f"all crops of the calibration role show one {level}")
    value = float(np.exp(_log_temperature(used, groups)))
    return Temperature(value=value, crops=crops, groups=groups, loss_before=_loss(used, 1.0), loss_after=_loss(used, value))


def _log_temperature(cases: _Cases, groups: int) -> float:
    """Returns where the slope of the penalised loss is 0, by halving: it lies between no change and what the loss alone would choose."""
    low, high = _LOWEST, _HIGHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if middle - groups * _slope(cases, float(np.exp(-middle))) > 0 else (middle, high)
    return (low + high) / 2


def _slope(cases: _Cases, inverse: float) -> float:
    """Returns minus the slope of the mean log loss by log T, at an inverse temperature."""
    total = 0.0
    for part in _parts(cases):
        share = _softmax(part.logits * inverse)
        finite = np.where(np.isfinite(part.logits), part.logits, 0.0)
        own = np.take_along_axis(finite, part.label[:, None], axis=1)[:, 0]
        total += float((part.weights * ((share * finite).sum(axis=1) - own)).sum())
    return inverse * total / float(cases.weights.sum())


def _loss(cases: _Cases, temperature: float) -> float:
    total = 0.0
    for part in _parts(cases):
        share = np.take_along_axis(_softmax(part.logits / temperature), part.label[:, None], axis=1)[:, 0]
        total -= float((part.weights * np.log(np.maximum(share, np.finfo(np.float64).tiny))).sum())
    return total / float(cases.weights.sum())


def _parts(cases: _Cases) -> Iterator[_Cases]:
    """Yields the crops some at a time, as float64: the logits of all of them may not fit in memory twice."""
    step = max(1, _CHUNK // cases.logits.shape[1])
    for start in range(0, len(cases.label), step):
        part = cases.rows(slice(start, start + step))
        yield part._replace(logits=part.logits.astype(np.float64))


def _softmax(logits: Floats) -> Floats:
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
