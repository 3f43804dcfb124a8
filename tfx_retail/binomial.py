"""Exact binomial tests and bounds: events among independent trials of one probability.

Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26 (1934).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_HALVINGS = 24  # a bound is exact to 6e-8, and rounded to the safe side


def at_most(events: int, trials: int, share: float) -> float:
    """Returns the probability of at most so many events in so many trials, each of probability `share`."""
    if events >= trials or share <= 0.0:
        return 1.0
    if events < 0 or share >= 1.0:
        return 0.0
    counts = np.array([events]), np.array([trials])
    return float(_at_most(_ways(*counts), counts[1], np.array([share]))[0])


def upper(events: int, trials: int, level: float) -> float:
    """Returns what the probability of an event is below, but for a probability of at most `level`; 1 without trials."""
    return float(uppers([events], [trials], level)[0])


def uppers(events: ArrayLike, trials: ArrayLike, level: float) -> Floats:
    """Returns [C] `upper` of each of C cases, all worked out at once."""
    events, trials = np.asarray(events, np.int64), np.asarray(trials, np.int64)
    low, high = np.zeros(len(trials)), np.ones(len(trials))
    some = events < trials
    ways, of_some = _ways(events[some], trials[some]), trials[some]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        holds = np.zeros(len(trials), bool)
        holds[some] = _at_most(ways, of_some, middle[some]) <= level
        low, high = np.where(holds, low, middle), np.where(holds, middle, high)
    return high


def lower(events: int, trials: int, level: float) -> float:
    """Returns what the probability of an event is above, but for a probability of at most `level`; 0 without trials."""
    return 1.0 - upper(trials - events, trials, level)


def trials_without_event(share: float, level: float) -> int:
    """Returns how many trials without an event prove that its probability is below `share`: 149 for 0.02 at 0.05."""
    return math.ceil(math.log(level) / math.log1p(-share) - 1e-9)  # 1e-9: a quotient that is whole stays so


def _ways(events: Counts, trials: Counts) -> Floats:
    """Returns [C, 1 + most events] logarithms of how many ways there are to have 0, 1, ... events; -inf beyond each case's events."""
    number = np.arange(events.max(initial=0))
    ratios = np.log(np.maximum(trials[:, None] - number, 1) / (number + 1))
    ways = np.cumsum(np.c_[np.zeros(len(trials)), ratios], axis=1)
    return np.where(np.arange(ways.shape[1]) <= events[:, None], ways, -np.inf)


def _at_most(ways: Floats, trials: Counts, share: Floats) -> Floats:
    """Returns [C] probabilities of at most the events that `ways` goes up to, for [C] shares between 0 and 1."""
    odds, none = np.log(share) - np.log1p(-share), trials * np.log1p(-share)
    logs = ways + np.arange(ways.shape[1]) * odds[:, None] + none[:, None]
    highest = logs.max(axis=1)  # with many trials the single terms are too small for a float
    return np.minimum(1.0, np.exp(highest) * np.exp(logs - highest[:, None]).sum(axis=1))
