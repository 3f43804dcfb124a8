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
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_BETS: Floats = np.array([1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625])
_WEIGHTS: Floats = np.array([0.5] + [0.5 / 6] * 6)  # few groups can only speak through the boldest bet; many outgrow the weight of any
_CUTS, _ROUNDS = 10, 5  # a bound is exact to 1e-5 of its range, and rounded to the safe side


class Totals(NamedTuple):
    """What G groups have: crops and, of whatever is measured, the sum over them."""

    sizes: Floats  # [G], > 0
    sums: Floats  # [G], in [low * size, high * size]

    @property
    def mean(self) -> float:
        """The mean over all crops; NaN without groups."""
        return float(self.sums.sum() / self.sizes.sum()) if len(self.sizes) else math.nan

    def negated(self) -> "Totals":
        """Returns the same with the sign changed: what is a lower bound of one is an upper bound of the other."""
        return Totals(self.sizes, -self.sums)


def p_above(totals: Totals, claim: float, low: float) -> float:
    """Returns a p-value against the claim that the mean is at most `claim`; 1 without groups.

    Args:
      low: the smallest value that a crop can have; `claim` lies above it.
    """
    return float(_p_values(_alike(totals), np.array([claim]), low)[0])


def p_below(totals: Totals, claim: float, high: float) -> float:
    """Returns a p-value against the claim that the mean is at least `claim`."""
    return p_above(totals.negated(), -claim, -high)


def lower(totals: Totals, level: float, low: float) -> float:
    """Returns what the mean is above, but for a probability of at most `level`; `low` without groups."""
    if not len(totals.sizes) or totals.mean <= low:
        return low
    groups = _alike(totals)
    return _edge(low, totals.mean, lambda claims: _p_values(groups, claims, low) <= level)


def upper(totals: Totals, level: float, high: float) -> float:
    """Returns what the mean is below, but for a probability of at most `level`; `high` without groups."""
    return -lower(totals.negated(), level, -high)


def smallest_seen(differences: Totals, claim: float, level: float) -> float | None:
    """Returns the smallest mean that would have refuted "at most `claim`", scattered over the groups as what was found; None: no mean.

    Args:
      differences: sums in [-size, size].
    """
    groups, mean = _alike(differences), differences.mean
    if not len(groups.sizes):
        return None

    def refuted(means: Floats) -> Flags:
        moved = np.clip(groups.sums + (means[:, None] - mean) * groups.sizes, -groups.sizes, groups.sizes)
        return _p_values(groups._replace(sums=moved), np.full(len(means), claim), -1.0) <= level

    return _edge(1.0, claim, refuted) if refuted(np.ones(1))[0] else None


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


class _Alike(NamedTuple):
    """Groups of one size and sum, counted: thousands of scenes come in a few kinds."""

    sizes: Floats  # [K]
    sums: Floats  # [K], or [C, K] of C claims
    counts: Floats  # [K]


def _alike(totals: Totals) -> _Alike:
    kinds, counts = np.unique(totals.sizes + 1j * totals.sums, return_counts=True)
    return _Alike(kinds.real, kinds.imag, counts.astype(float))


def _p_values(groups: _Alike, claims: Floats, low: float) -> Floats:
    """Returns [C] p-values against C claims."""
    sizes, sums, counts = groups
    if not len(sizes):
        return np.ones(len(claims))
    gains = ((sums - low * sizes) / (claims[:, None] - low) - sizes) / sizes.max()  # [C, K], >= -1 but for rounding
    with np.errstate(divide="ignore"):  # a bet of everything may be lost: log 0
        grown = np.log1p(np.maximum(_BETS[:, None, None] * gains, -1.0))  # [bets, C, K]
    stakes = grown @ counts + np.log(_WEIGHTS)[:, None]
    best = stakes.max(axis=0)
    return np.asarray(np.exp(-np.maximum(0.0, best + np.log(np.exp(stakes - best).sum(axis=0)))))


def _edge(refuted: float, open_: float, test: Callable[[Floats], Flags]) -> float:
    """Returns where a test that refutes up to some point stops to do so, rounded towards `refuted`."""
    for _ in range(_ROUNDS):
        points = np.linspace(refuted, open_, _CUTS + 1)[1:-1]
        flags = test(points)
        first = len(points) if flags.all() else int(flags.argmin())
        refuted, open_ = (
            float(points[first - 1]) if first else refuted,
            float(points[first]) if first < len(points) else open_,
        )
    return refuted
