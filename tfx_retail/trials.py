"""Groups as trials: of the accepted crops of each scene one is drawn, and whether it is right is what counts.

So crops of one scene may be as alike as they like: trials of scenes that are independent and of one distribution are exactly binomial. What
they measure is precision with every scene counting once.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

_STEPS = 50  # thresholds that are tried, each with 1 / 50 more of the crops


class Evidence(NamedTuple):
    """N answers to crops whose truth is known."""

    score: Floats  # [N], the one score that decides: the higher the surer; 0 or less is never accepted
    right: Flags  # [N]
    groups: Indices  # [N], number of the crop's group


class Trials(NamedTuple):
    """What groups come to at each of T thresholds."""

    trials: Floats  # [T], groups that have an accepted crop
    wrong: Floats  # [T], those of which a wrong one was drawn

    def times(self, groups: int) -> "Trials":
        """Returns what so many groups come to, each as it is said here."""
        return Trials(np.floor(self.trials * groups), np.floor(self.wrong * groups))


def tuning_part(groups: Sequence[str] | NDArray[Any], share: float, seed: int) -> Flags:
    """Returns [N]: whether a crop's group is among those that temperatures are fitted on; the others find the threshold.

    Groups are ordered by a hash of their name, so the parts do not depend on the order of the crops; each has a group if there are two.
    """
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    digests = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names.tolist()]
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=digests.__getitem__)] = np.arange(len(names))
    count = min(max(round(share * len(names)), 1), max(len(names) - 1, 0))
    return np.asarray(rank[place] < count, bool)


def numbered(evidence: Evidence, rows: Flags) -> Evidence:
    """Returns some rows, their groups numbered from 0 on."""
    groups = np.unique(np.asarray(evidence.groups)[rows], return_inverse=True)[1].astype(np.int64)
    return Evidence(np.asarray(evidence.score, np.float64)[rows], np.asarray(evidence.right, bool)[rows], groups)


def count_groups(evidence: Evidence) -> int:
    """Returns how many groups there are, of those numbered from 0 on."""
    return int(evidence.groups.max()) + 1 if len(evidence.groups) else 0


def thresholds(score: Floats) -> Floats:
    """Returns [T] thresholds, falling, each of which accepts 1 / 50 more of the crops, ties and scores that are never accepted aside."""
    falling = np.sort(score)[::-1]
    steps = np.ceil(np.arange(1, _STEPS + 1) / _STEPS * len(falling)).astype(np.int64) - 1
    values = np.unique(falling[steps]) if len(falling) else np.zeros(0)
    return values[values > 0.0][::-1]


def draw(evidence: Evidence, levels: Floats, seed: int) -> Trials:
    """Returns the trials, with one crop drawn of each group that has an accepted one."""
    order = np.lexsort((np.random.default_rng(seed).random(len(evidence.score)), evidence.groups))
    score, right, groups = (values[order] for values in evidence)  # crops of a group stand in the order in which they are drawn
    found = Trials(np.zeros(len(levels)), np.zeros(len(levels)))
    for place, level in enumerate(levels):
        accepted = np.flatnonzero(score >= level)
        first = accepted[np.flatnonzero(np.diff(groups[accepted], prepend=-1))]
        found.trials[place], found.wrong[place] = len(first), (~right[first]).sum()
    return found


def expect(evidence: Evidence, levels: Floats, *, doubt: float) -> Trials:
    """Returns trials and errors that one more group is expected to bring, from all accepted crops of the groups that are known.

    Args:
      doubt: errors, and as many right answers, that are added to what was seen: none among few does not mean that there are none.
    """
    groups = count_groups(evidence)
    if not groups:
        return Trials(np.zeros(len(levels)), np.zeros(len(levels)))
    count, errors = (_accepted(evidence, rows, levels, groups) for rows in (np.ones(len(evidence.score), bool), ~evidence.right))
    some = np.count_nonzero(count, axis=1)
    wrong = np.divide(errors, count, out=np.zeros(count.shape), where=count > 0).sum(axis=1)
    share = (wrong + doubt) / np.maximum(some + 2 * doubt, 1)
    return Trials(some / groups, share * some / groups)


def _accepted(evidence: Evidence, rows: Flags, levels: Floats, groups: int) -> Indices:
    """Returns [T, G]: how many of the rows each of T falling thresholds accepts of each group."""
    first = np.searchsorted(-levels, -evidence.score[rows])  # the strictest threshold that accepts each
    cells = np.bincount(first * groups + evidence.groups[rows], minlength=(len(levels) + 1) * groups)
    return np.asarray(cells.reshape(-1, groups)[:-1].cumsum(axis=0))
