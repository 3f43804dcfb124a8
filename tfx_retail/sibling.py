"""What a sibling of the model tells of products that it was not taught: the same network, trained without some looks.

The pushed model knows all SKUs, so nothing can be measured of it on products that it does not know; its sibling stands in. Whole looks are
held out, as SKUs of one look are one thing to the eye. On half of them one of the kinds of unknown score is chosen, against crops of the
calibration role; how good it is is measured on the other half, against crops of the eval role. So neither figure has helped to choose.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tfx_retail import acceptance, intervals, retrieval, trials, unknowns
from tfx_retail.calibration import Calibration
from tfx_retail.errors import UserError
from tfx_retail.retrieval import Photos, Recall
from tfx_retail.unknowns import Detection, Kind

Floats = NDArray[np.float64]
Texts = NDArray[Any]

_FILE, _EVIDENCE = "sibling.json", "evidence.npz"


class HeldOut(NamedTuple):
    """SKUs that the sibling is not taught."""

    choosing: tuple[str, ...]  # on these the kind of unknown score is chosen
    reporting: tuple[str, ...]  # on these it is measured

    @property
    def all(self) -> frozenset[str]:
        return frozenset(self.choosing + self.reporting)


class Seen(NamedTuple):
    """What the sibling says of N crops."""

    sku: Texts  # [N] str, what they show
    look: Texts  # [N] str
    group: Texts  # [N] str, names of scenes
    best: Floats  # [N], the best SKU's score, calibrated on the sibling's own calibration crops
    scores: dict[Kind, Floats]  # [N] for each kind; the higher, the more speaks for an unknown product
    vectors: NDArray[np.float32]  # [N, d] embeddings of unit length

    def rows(self, kept: NDArray[np.bool_]) -> "Seen":
        """Returns some of the crops."""
        scores = {kind: values[kept] for kind, values in self.scores.items()}
        return Seen(self.sku[kept], self.look[kept], self.group[kept], self.best[kept], scores, self.vectors[kept])


class Training(Struct, frozen=True, kw_only=True):
    """How the sibling came about."""

    epochs: int
    seconds: float
    val_accuracy: float  # share of right looks in the validation role, of SKUs that it was taught
    calibration: Calibration


class Sibling(Struct, frozen=True, kw_only=True):
    """`sibling.json`. Every figure is the sibling's, not the pushed model's."""

    kind: Kind  # of unknown score that is chosen
    threshold: float | None  # of that kind: the highest score that is let pass where 95 % of the known calibration crops are
    chosen: dict[Kind, Detection]  # of each kind: the choosing SKUs against known crops of the calibration role
    reported: dict[Kind, Detection]  # of each kind: the reporting SKUs against known crops of the eval role
    recalls: list[Recall]  # nearest reference by embedding, all held-out looks; `skus` counts looks
    choosing: list[str]  # SKUs
    reporting: list[str]
    known: int  # SKUs that the sibling was taught
    training: Training

    @property
    def detection(self) -> Detection:
        """How good the chosen kind is on SKUs that did not choose it."""
        return self.reported[self.kind]


class Evidence(NamedTuple):
    """What the sibling says of the U crops of products that it was not taught."""

    sku: Texts  # [U] str
    group: Texts  # [U] str, names of scenes
    best: Floats  # [U], the best SKU's calibrated score
    score: Floats  # [U], the unknown score of the chosen kind
    reports: NDArray[np.bool_]  # [U], of the SKUs that did not choose the kind: only these are fair evidence
    known: Floats  # [K], the unknown score of the calibration role's crops of products that it was taught


def together(parts: Sequence[Seen]) -> Seen:
    """Returns the crops of several parts, one after the other."""

    def all_of(field: str) -> Any:
        return np.concatenate([getattr(part, field) for part in parts])

    scores = {kind: np.concatenate([part.scores[kind] for part in parts]) for kind in unknowns.KINDS}
    return Seen(all_of("sku"), all_of("look"), all_of("group"), all_of("best"), scores, all_of("vectors"))


def held_out(look_of_sku: Mapping[str, str], share: float, seed: int) -> HeldOut:
    """Returns about `share` of the SKUs, in whole looks, dealt in two parts by a hash of their looks' names.

    Args:
      look_of_sku: of the SKUs that have photos in train, in label order.

    Raises:
      UserError: there are fewer than four looks: two to hold out, two to train on.
    """
    members: dict[str, list[str]] = {}
    for sku, look in look_of_sku.items():
        members.setdefault(look, []).append(sku)
    if len(members) < 4:
        raise UserError(
            f"unknowns.hold_out: {len(members)} looks have photos in train; a sibling takes four, two to hold out and two to learn; "
            "add products, or set unknowns.hold_out to 0"
        )
    parts: tuple[list[str], list[str]] = ([], [])
    order = sorted(members, key=lambda look: hashlib.sha256(f"{seed}/{look}".encode()).digest())
    for place, look in enumerate(order[:-2]):  # two are left to learn, whatever the share
        if place >= 2 and len(parts[0]) + len(parts[1]) + len(members[look]) > share * len(look_of_sku):
            break
        parts[place % 2].extend(members[look])
    return HeldOut(tuple(sorted(parts[0])), tuple(sorted(parts[1])))


def judged(unknown: Seen, calibration: Seen, evaluation: Seen, held: HeldOut, training: Training, *, known: int) -> Sibling:
    """Returns all figures.

    Args:
      unknown: crops of held-out SKUs, of all roles.
      calibration: crops of SKUs that the sibling was taught, of the calibration role; `evaluation`: those of the eval role.
      known: number of SKUs that it was taught.

    Raises:
      UserError: a part of the held-out SKUs or the calibration role has no crop to choose on.
    """
    parts = [unknown.rows(np.isin(unknown.sku, part)) for part in held]
    for name, part in (("held-out SKUs that choose", parts[0]), ("SKUs it was taught, in the calibration role,", calibration)):
        if not len(part.sku):
            raise UserError(f"sibling: no crop of the {name} to choose an unknown score on; change unknowns.seed or the split's shares")
    chosen, reported = _detections(parts[0], calibration), _detections(parts[1], evaluation)
    kind = max(unknowns.KINDS, key=lambda kind: chosen[kind].auroc or 0.0)  # of equal ones the first, which is the simplest
    return Sibling(
        kind=kind,
        threshold=chosen[kind].threshold,
        chosen=chosen,
        reported=reported,
        recalls=_recalls(unknown, calibration, evaluation),
        choosing=list(held.choosing),
        reporting=list(held.reporting),
        known=known,
        training=training,
    )


def evidence(unknown: Seen, calibration: Seen, found: Sibling) -> Evidence:
    """Returns what of the unknown crops the model's own threshold can be set by."""
    reports = np.isin(unknown.sku, found.reporting)
    return Evidence(unknown.sku, unknown.group, unknown.best, unknown.scores[found.kind], reports, calibration.scores[found.kind])


def write(folder: Path, found: Sibling, unknown: Evidence) -> None:
    """Writes `sibling.json` and `evidence.npz`."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: np.asarray(getattr(unknown, name), np.str_) for name in ("sku", "group")}  # objects would be pickled
    np.savez(folder / _EVIDENCE, **texts, best=unknown.best, score=unknown.score, reports=unknown.reports, known=unknown.known)
    (folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


def read(folder: Path) -> Sibling:
    """Returns `sibling.json` of a Sibling artifact."""
    return msgspec.json.decode((folder / _FILE).read_bytes(), type=Sibling)


def read_evidence(folder: Path) -> Evidence:
    """Returns `evidence.npz` of a Sibling artifact."""
    with np.load(folder / _EVIDENCE, allow_pickle=False) as arrays:
        return Evidence(*(arrays[name] for name in Evidence._fields))


def accepted(unknown: Evidence) -> trials.Evidence:
    """Returns how sure the sibling is of the crops of products that nobody taught it: `abstention.choose(unknown=...)` takes it as it is.

    The score is the one by which the model itself accepts, with what the sibling's own known products have for usual. Every answer is
    wrong. Crops of the SKUs that chose the kind are left out.
    """
    some = unknown.reports
    answers = acceptance.Answers(unknown.best[some], unknown.score[some], np.ones(int(some.sum()), bool))
    score = acceptance.joint_score(answers, acceptance.usual(unknown.known))
    return trials.Evidence(score, np.zeros(len(score), bool), intervals.number(unknown.group[some]))


def _detections(unknown: Seen, known: Seen) -> dict[Kind, Detection]:
    known_groups, unknown_groups = _numbered(known.group, unknown.group)
    return {kind: unknowns.detection(known.scores[kind], unknown.scores[kind], known_groups, unknown_groups) for kind in unknowns.KINDS}


def _recalls(unknown: Seen, calibration: Seen, evaluation: Seen) -> list[Recall]:
    """Returns the recalls by look; crops without a direction, of images that cannot be decoded, are left out."""
    parts = [part.rows(np.linalg.norm(part.vectors, axis=1) > 0.5) for part in (unknown, calibration, evaluation)]
    looks, groups = (_numbered(*(getattr(part, name) for part in parts)) for name in ("look", "group"))
    unseen, *known = (Photos(part.vectors, look, group) for part, look, group in zip(parts, looks, groups, strict=True))
    joined = Photos(*(np.concatenate(pair) for pair in zip(*known, strict=True)))
    return retrieval.recall_at_1(unseen, joined)


def _numbered(*names: Sequence[str] | Texts) -> list[NDArray[np.int64]]:
    """Returns names as numbers that mean the same in each of the arrays."""
    ends = np.cumsum([len(part) for part in names])[:-1]
    return np.split(intervals.number(np.concatenate([np.asarray(part, np.str_) for part in names])), ends)
