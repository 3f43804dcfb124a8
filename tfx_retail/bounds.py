"""Exact bounds on a mean over independent groups, and Holm's levels for several of them.

A group (a scene) g has n_g crops with a total of t_g, each crop between `low` and `high`; groups are independent of each other, the
crops of one group need not be. The mean is M = sum of E[t_g] / sum of n_g. Against the claim that M is at most m one bets a share b of
the stake on each group: the stake becomes the product of 1 + b (t_g - m n_g) / ((m - low) max n), no factor of which is negative. If the
claim is true, the product's expectation is at most 1: the factors are independent, and the product of their means is at most its mean's
power (means of arithmetic and geometric kind), which is at most 1. The same holds for a weighted mean of such products over several b.
By Markov's inequality such a stake grows to 1 / alpha with a probability of at most alpha. Nothing is assumed of sizes, shapes or likeness
inside a group, nothing is approximate, and no bound has zero width: where no group differs, n groups of one size rule out a loss of
m once (1 - m) ** -n exceeds 2 / alpha, which is Clopper and Pearson's bound for n without error but for the 2.

Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86 (2024), sections 3 and 4; the mean of
bets is their hedge over a grid, fixed beforehand so that the order of groups does not matter.

What is asked of thousands of slices is worked out for all of them at once: `p_values`, `ends`, `smallest_seen`.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

_BETS: Floats = np.array([1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625])
_WEIGHTS: Floats = np.array([0.5] + [0.5 / 6] * 6)  # few groups can only speak through the boldest bet; many outgrow the weight of any
_LOG_WEIGHTS = np.log(_WEIGHTS)
_CUTS, _ROUNDS = 10, 5  # a bound is exact to 1e-5 of its range, and rounded to the safe side
_STEPS: Floats = np.arange(_CUTS + 1.0)[:, None]
_MOST_KINDS = 10_000  # worked on at once, for 5 kB each


class Totals(NamedTuple):
    """What G groups have: crops and, of whatever is measured, the sum over them."""

    sizes: Floats  # [G], > 0
    sums: Floats  # [G], in [low * size, high * size]

    @property
    def mean(self) -> float:
        """The mean over all crops; NaN without groups."""
        return float(self.sums.sum() / self.sizes.sum()) if len(self.sizes) else math.nan

    def less(self, value: float) -> "Totals":
        """Returns the same with the value taken off each crop."""
        return Totals(self.sizes, self.sums - value * self.sizes)

    def negated(self) -> "Totals":
        """Returns the same with the sign changed: what is a lower bound of one is an upper bound of the other."""
        return Totals(self.sizes, -self.sums)


def p_above(totals: Totals, claim: float, low: float) -> float:
    """Returns a p-value against the claim that the mean is at most `claim`; 1 without groups.

    Args:
      low: the smallest value that a crop can have; `claim` lies above it.
    """
    return float(p_values([totals], claim, low)[0])


def p_below(totals: Totals, claim: float, high: float) -> float:
    """Returns a p-value against the claim that the mean is at least `claim`."""
    return p_above(totals.negated(), -claim, -high)


def lower(totals: Totals, level: float, low: float) -> float:
    """Returns what the mean is above, but for a probability of at most `level`; `low` without groups."""
    return low + float(_above_zero([totals.less(low)], [level])[0])


def upper(totals: Totals, level: float, high: float) -> float:
    """Returns what the mean is below, but for a probability of at most `level`; `high` without groups."""
    return high - float(_above_zero([totals.negated().less(-high)], [level])[0])


def p_values(slices: Sequence[Totals], claim: float, low: float) -> Floats:
    """Returns [S] p-values against the claim that a slice's mean is at most `claim`: `p_above` of each."""
    return _by_parts(slices, 1.0, lambda kinds, _: _p_values(kinds, kinds.sums, np.full((1, len(kinds.starts)), claim), low)[0])


def ends(slices: Sequence[Totals], levels: tuple[Sequence[float], Sequence[float]], low: float, high: float) -> tuple[Floats, Floats]:
    """Returns [S] what each slice's mean is above and what it is below: `lower` and `upper` of each.

    Args:
      levels: of the lower and of the upper ends.
    """
    from_both_sides = [*(totals.less(low) for totals in slices), *(totals.negated().less(-high) for totals in slices)]
    found = _above_zero(from_both_sides, [*levels[0], *levels[1]])
    return low + found[: len(slices)], high - found[len(slices) :]


def smallest_seen(slices: Sequence[Totals], claim: float, level: float) -> Floats:
    """Returns [S] the smallest mean that would have refuted "at most `claim`", scattered over the groups as what was found; NaN: none.

    Args:
      slices: differences, with sums in [-size, size].
    """

    def edges(kinds: _Kinds, _: Indices) -> Floats:
        slices_, means = len(kinds.starts), kinds.means

        def refuted(moved: Floats) -> Flags:
            sums = np.clip(kinds.sums + (moved - means)[:, kinds.owner] * kinds.sizes, -kinds.sizes, kinds.sizes)
            return _p_values(kinds, sums, np.full(moved.shape, claim), -1.0) <= level

        found = _edge(np.ones(slices_), np.full(slices_, claim), refuted)
        return np.where(refuted(np.ones((1, slices_)))[0], found, math.nan)

    return _by_parts(slices, math.nan, edges)


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """Returns the level that each p-value is held against: rejected where p <= level, with alpha for all of them together.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979). What comes after the first that
    is not rejected is held against that one's level, which rejects nothing either: so a bound at the level says what the test says.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    levels = [0.0] * len(p_values)
    level, last, stopped = 0.0, math.nan, False
    for rank, index in enumerate(order):
        if not stopped and p_values[index] != last:
            level = alpha / (len(order) - rank)
        last = p_values[index]
        levels[index] = level
        stopped = stopped or last > level
    return levels


def _above_zero(slices: Sequence[Totals], levels: Sequence[float]) -> Floats:
    """Returns [S] lower ends where no crop's value is below 0."""
    of_slices = np.array(levels, float)

    def edges(kinds: _Kinds, places: Indices) -> Floats:
        level, means = of_slices[places], kinds.means
        tops = np.where(means > 0.0, means, 1.0)  # nothing is below a mean of 0: then what is found is not used
        found = _edge(np.zeros(len(tops)), tops, lambda claims: _p_values(kinds, kinds.sums, claims, 0.0) <= level)
        return np.where(means > 0.0, found, 0.0)

    return _by_parts(slices, 0.0, edges)


class _Kinds(NamedTuple):
    """S slices with their groups of one size and sum counted: thousands of scenes come in K kinds. A slice's kinds stand together."""

    sizes: Floats  # [K]
    sums: Floats  # [K]
    counts: Floats  # [K]
    owner: Indices  # [K], which slice
    starts: Indices  # [S], first kind of each
    largest: Floats  # [S], size

    @property
    def means(self) -> Floats:
        """Returns [S] means over all crops."""
        return np.asarray(self.add(self.sums) / self.add(self.sizes))

    def add(self, values: Floats) -> Floats:
        """Returns [..., S] sums over groups, of [..., K] values of kinds."""
        return np.asarray(np.add.reduceat(values * self.counts, self.starts, axis=-1))


def _by_parts(slices: Sequence[Totals], of_none: float, ask: Callable[[_Kinds, Indices], Floats]) -> Floats:
    """Returns [S] what is asked of the slices with groups, some at a time; `of_none` for those without."""
    found = np.full(len(slices), of_none)
    groups = np.array([len(totals.sizes) for totals in slices], np.int64)
    some = np.flatnonzero(groups)
    part = groups[some].cumsum() // _MOST_KINDS
    with np.errstate(divide="ignore"):  # a bet of everything may be lost: log 0
        for places in np.split(some, np.flatnonzero(part[1:] != part[:-1]) + 1) if len(some) else ():
            found[places] = ask(_kinds([slices[place] for place in places]), places)
    return found


def _kinds(slices: Sequence[Totals]) -> _Kinds:
    sizes, sums = (np.concatenate(values) for values in zip(*slices, strict=True))
    owner = np.repeat(np.arange(len(slices)), [len(totals.sizes) for totals in slices])
    order = np.lexsort((sums, sizes, owner))
    sizes, sums, owner = sizes[order], sums[order], owner[order]
    new = np.ones(len(sizes) + 1, bool)
    new[1:-1] = (sizes[1:] != sizes[:-1]) | (sums[1:] != sums[:-1]) | (owner[1:] != owner[:-1])
    ends = np.flatnonzero(new)
    first, counts = ends[:-1], (ends[1:] - ends[:-1]).astype(float)
    starts = np.searchsorted(owner[first], np.arange(len(slices)))
    return _Kinds(sizes[first], sums[first], counts, owner[first], starts, np.maximum.reduceat(sizes[first], starts))


def _p_values(kinds: _Kinds, sums: Floats, claims: Floats, low: float) -> Floats:
    """Returns [C, S] p-values against C claims about each slice, for [K] or [C, K] sums."""
    width = (claims - low)[:, kinds.owner]
    gains = ((sums - low * kinds.sizes) / width - kinds.sizes) / kinds.largest[kinds.owner]  # [C, K], >= -1 but for rounding
    grown = np.log1p(np.maximum(_BETS[:, None, None] * gains, -1.0))  # [bets, C, K]; log 0 where a bet of everything is lost
    stakes = kinds.add(grown) + _LOG_WEIGHTS[:, None, None]  # [bets, C, S]
    best = stakes.max(axis=0)
    return np.asarray(np.exp(-np.maximum(0.0, best + np.log(np.exp(stakes - best).sum(axis=0)))))


def _edge(refuted: Floats, open_: Floats, test: Callable[[Floats], Flags]) -> Floats:
    """Returns [S] where a test of [C, S] points that refutes up to some point stops to do so, rounded towards `refuted`, [S]."""
    places = np.arange(len(refuted))
    for _ in range(_ROUNDS):
        points = refuted + _STEPS * ((open_ - refuted) / _CUTS)
        points[-1] = open_
        flags = test(points[1:-1])
        first = np.where(flags.all(axis=0), _CUTS - 1, flags.argmin(axis=0))
        refuted, open_ = points[first, places], points[first + 1, places]
    return refuted
