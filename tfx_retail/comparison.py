"""The new model against an earlier one on the same crops, slice by slice, with the group (scene) as the unit.

The loss in a slice is the earlier model's share of right answers less the new one's. A gating slice fails where the loss is proven to be
over the margin (at Holm's level over all gating slices and earlier models), passes where it is proven to be under it (at level alpha:
every slice has to pass by itself, which needs no correction), and has too few groups where neither is proven. Others are listed only.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from tfx_retail import bounds, slices
from tfx_retail.bounds import Totals
from tfx_retail.config import Gate, VerdictConfig
from tfx_retail.features import GROUP
from tfx_retail.slices import METRICS, Crops, Key, Pair

Outcome = Literal["pass", "fail", "too_few", "listed"]
Interval = tuple[float, float]


class Earlier(Struct, frozen=True, kw_only=True):
    """An earlier model: its version, and what one of the two answers and the other does not."""

    version: int
    added: list[str] = []  # SKUs that only the new model answers
    removed: list[str] = []  # SKUs that only the earlier one answers


class Measured(Struct, frozen=True, kw_only=True):
    """What two models are worth on the same crops; None where there are none."""

    value: float | None
    baseline_value: float | None
    loss: float | None
    interval: Interval  # of the loss; the lower bound at the slice's level, the upper one at alpha


class SliceResult(Struct, frozen=True, kw_only=True):
    """One slice: what was found, and what came of it."""

    key: Key
    result: Outcome
    plain: Measured
    masked: Measured | None  # both asked about common SKUs only; None where the catalogue is the same
    examples: int
    groups: int
    smallest_loss: float | None  # that would have been refused; None: none whatever


class _Levels(NamedTuple):
    """The levels of the slices' bounds, and what a loss is held against."""

    lower: Mapping[Key, float]
    upper: float
    first: float  # Holm's first: what a loss has to pass that is the only one
    margin: float


def compare(crops: Crops, earlier: Mapping[str, Earlier], config: VerdictConfig) -> tuple[list[SliceResult], list[SliceResult]]:
    """Returns the gating slices with their results, and all other slices that have crops.

    Args:
      earlier: `baseline` and `reference`, as far as there are such models.
    """
    gating = list(dict.fromkeys(key for against in earlier for gate in config.gating for key in _gating(gate, against, crops)))
    others = [key for against in earlier for key in slices.listed(crops, against) if key not in set(gating)]
    return _judged(crops, earlier, gating, config), _listed(crops, earlier, others, config)


def interval(crops: Crops, metric: str, signature: str, alpha: float) -> Interval | None:
    """Returns bounds of a share of right answers over the groups, each at level alpha; None for any other metric."""
    if metric not in METRICS or signature not in crops.right:
        return None
    totals = slices.by_group(crops, crops.right[signature][:, METRICS.index(metric)])
    return _rounded(bounds.lower(totals, alpha, 0.0)), _rounded(bounds.upper(totals, alpha, 1.0))


def groups(crops: Crops) -> int:
    """Returns the number of groups that the crops come from."""
    return len(crops.columns[GROUP.name].values)


def _gating(gate: Gate, against: str, crops: Crops) -> Iterator[Key]:
    for value in slices.values(crops, gate.feature) if gate.value is None else [str(gate.value)]:
        yield Key(against, gate.feature, value, gate.metric, gate.signature)


def _judged(crops: Crops, earlier: Mapping[str, Earlier], keys: Sequence[Key], config: VerdictConfig) -> list[SliceResult]:
    plain, masked = _plain(crops, earlier, keys), _masked(crops, earlier, keys)
    tested = [key for key in keys if len(plain[key].sizes)]  # a slice without crops cannot fail, and costs the others nothing
    losses = [plain[key].losses for key in tested]
    above = bounds.p_values(losses, config.margin, -1.0).tolist()
    below = bounds.p_values([loss.negated() for loss in losses], -config.margin, -1.0).tolist()
    lower = bounds.holm_levels(above, config.alpha)
    outcomes: dict[Key, Outcome] = dict.fromkeys(keys, "too_few")
    for key, worse, not_worse, level in zip(tested, above, below, lower, strict=True):
        outcomes[key] = "fail" if worse <= level else "pass" if not_worse <= config.alpha else "too_few"
    first = config.alpha / max(1, len(tested))
    levels = _Levels({**dict.fromkeys(keys, first), **dict(zip(tested, lower, strict=True))}, config.alpha, first, config.margin)
    return _results(outcomes, plain, masked, levels)


def _listed(crops: Crops, earlier: Mapping[str, Earlier], keys: Sequence[Key], config: VerdictConfig) -> list[SliceResult]:
    plain, masked = _plain(crops, earlier, keys), _masked(crops, earlier, keys)
    outcomes: dict[Key, Outcome] = {key: "listed" for key in keys if len(plain[key].sizes)}
    return _results(outcomes, plain, masked, _Levels(dict.fromkeys(outcomes, config.alpha), config.alpha, config.alpha, config.margin))


def _results(outcomes: Mapping[Key, Outcome], plain: Mapping[Key, Pair], masked: Mapping[Key, Pair], levels: _Levels) -> list[SliceResult]:
    common = _measured({key: masked[key] for key in outcomes if key in masked}, levels)
    measured = _measured({key: plain[key] for key in outcomes}, levels)
    smallest = bounds.smallest_seen([plain[key].losses for key in outcomes], levels.margin, levels.first).tolist()
    return [
        SliceResult(
            key=key,
            result=outcome,
            plain=measured[key],
            masked=common.get(key),
            examples=int(plain[key].sizes.sum()),
            groups=len(plain[key].sizes),
            smallest_loss=None if math.isnan(loss) else _rounded(loss),
        )
        for (key, outcome), loss in zip(outcomes.items(), smallest, strict=True)
    ]


def _measured(pairs: Mapping[Key, Pair], levels: _Levels) -> dict[Key, Measured]:
    losses = [pair.losses for pair in pairs.values()]
    of_ends = [levels.lower[key] for key in pairs], [levels.upper] * len(losses)
    ends = (found.tolist() for found in bounds.ends(losses, of_ends, -1.0, 1.0))
    intervals = ((_rounded(low), _rounded(high)) for low, high in zip(*ends, strict=True))
    return {key: _worth(pair, interval) for (key, pair), interval in zip(pairs.items(), intervals, strict=True)}


def _worth(pair: Pair, interval: Interval) -> Measured:
    if not len(pair.sizes):
        return Measured(value=None, baseline_value=None, loss=None, interval=interval)
    new, old = (_rounded(Totals(pair.sizes, sums).mean) for sums in (pair.new, pair.earlier))
    return Measured(value=new, baseline_value=old, loss=_rounded(pair.losses.mean), interval=interval)


def _plain(crops: Crops, earlier: Mapping[str, Earlier], keys: Iterable[Key]) -> dict[Key, Pair]:
    """Returns the slices without the crops of SKUs that only the new model answers: they would hide a loss among the old ones."""
    kept = {against: ~slices.showing(crops, facts.added) for against, facts in earlier.items()}
    return slices.pairs(crops, keys, kept, lambda key: (crops.right[key.signature], crops.right[f"{key.against}/{key.signature}"]))


def _masked(crops: Crops, earlier: Mapping[str, Earlier], keys: Iterable[Key]) -> dict[Key, Pair]:
    kept = {against: ~slices.showing(crops, [*facts.added, *facts.removed]) for against, facts in earlier.items()}
    asked = [key for key in keys if f"{key.against}/{key.signature}" in crops.masked]
    return slices.pairs(crops, asked, kept, lambda key: crops.masked[f"{key.against}/{key.signature}"])


def _rounded(value: float) -> float:
    return round(value, 6)
