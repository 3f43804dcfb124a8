"""From a trained network to a finished model: what the calibration role says of its confidences, and from where on it is accepted.

Temperatures are fitted on a part of the scenes, thresholds are proven on the others; where no promise comes of it, temperatures get all.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import abstention, acceptance, calibration, decisions, serving, trials
from tfx_retail.abstention import Abstention
from tfx_retail.acceptance import Answers, Usual
from tfx_retail.answers import Scores
from tfx_retail.calibration import Calibration, Outputs, Truth
from tfx_retail.decisions import SIZE_REASONS, Decided, Thresholds
from tfx_retail.doubt import FAMILY, Doubt, Settings
from tfx_retail.features import SIGNATURES
from tfx_retail.intervals import number
from tfx_retail.serving import Contents
from tfx_retail.shown import Shown
from tfx_retail.trials import Evidence

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

_ROWS = 512  # crops that are answered at once
_ANY = Thresholds(0.0, 0.0)  # of it only sizes refuse


class Said(NamedTuple):
    """What is said of N crops before anything is refused."""

    confidence: Floats
    family_confidence: Floats
    size_fits: Flags
    unknown_score: Floats
    right: Flags
    family_right: Flags


def calibrated(contents: Contents, crops: Shown, settings: Settings, unknown: Evidence | None = None) -> tuple[Contents, Doubt]:
    """Returns the contents with temperatures and thresholds, and what these rest on.

    Args:
      contents: with corrections of which the temperatures are 1.
      crops: of the calibration role; those of products that the catalogue no longer has are left out by the caller.
      unknown: scores of crops of products that a sibling of the network was not taught.

    Raises:
      ValueError: the network's logits are NaN or infinite.
    """
    _check(crops.logits)
    tuning = trials.tuning_part(crops.group, settings.calibration.share, settings.calibration.seed)
    fitted = _fitted(contents, crops, tuning)
    promises = _promises(fitted, crops, tuning, settings, unknown)
    fixed = _fixed(settings)
    limits = {name: promise.threshold for name, promise in promises.items()} | fixed
    on_all = all(name in fixed or promise.threshold is None for name, promise in promises.items())
    if on_all:  # no promise rests on the other part
        fitted = _fitted(contents, crops, np.ones(len(tuning), bool))
    found = Doubt(
        calibration=fitted.temperatures,
        crops=len(crops.sku),
        groups=len(set(crops.group)),
        fitted_on="all" if on_all else "tuning part",
        prior=settings.prior,
        unknown_kind=contents.unknown.kind if contents.unknown else "",
        usual=fitted.usual,
        promises=promises,
        thresholds=limits,
        fixed=sorted(fixed),
    )
    return _warm(contents, fitted.temperatures)._replace(thresholds=thresholds(found)), found


def thresholds(found: Doubt) -> dict[str, Thresholds]:
    """Returns the thresholds of each signature as the graph compares with them."""
    limits = {name: math.inf if limit is None else limit for name, limit in found.thresholds.items()}
    return {name: Thresholds(limits[name], limits[FAMILY], found.usual) for name in SIGNATURES}


class _Fitted(NamedTuple):
    """What some crops gave, and what the model then says of all."""

    temperatures: Calibration
    usual: Usual
    answered: dict[str, Said]  # by signature


def _fitted(contents: Contents, crops: Shown, rows: Flags) -> _Fitted:
    temperatures = calibration.fit(*_cases(contents, crops.rows(rows)))
    answered = said(_warm(contents, temperatures), crops)
    # low confidence alone does not make a product unknown: without a measured score none is
    usual = acceptance.usual(answered[SIGNATURES[0]].unknown_score[rows]) if contents.unknown else decisions.ALL_KNOWN
    return _Fitted(temperatures, usual, answered)


def _warm(contents: Contents, temperatures: Calibration) -> Contents:
    corrections = contents.corrections._replace(family_temperature=temperatures.family.value, look_temperature=temperatures.look.value)
    return contents._replace(corrections=corrections)


def _cases(contents: Contents, crops: Shown) -> tuple[Outputs, Truth]:
    lists = contents.lists
    sku = _places(crops, contents)
    logits = crops.logits[:, contents.columns] + contents.corrections.undone
    look = np.where(sku >= 0, lists.look_of_sku[sku], -1)
    family = np.where(look >= 0, lists.family_of_look[look], -1)
    outputs = calibration.of_looks(logits, lists.may_win, lists.family_of_look, len(lists.families))
    return outputs, Truth(family, look, number(crops.group.astype(str)))


def _check(logits: NDArray[np.float32]) -> None:
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise ValueError(
            f"calibration: {broken} of {len(logits)} crops have logits that are NaN or infinite: the network has diverged; train again "
            "with a lower train.learning_rate"
        )


def _places(crops: Shown, contents: Contents) -> Indices:
    place = {sku: index for index, sku in enumerate(contents.lists.skus)}
    return np.array([place.get(sku, -1) for sku in crops.sku], np.int64)


def said(contents: Contents, crops: Shown) -> dict[str, Said]:
    """Returns what each signature says of the crops, by the functions of the served graph."""
    starts = range(0, max(len(crops.sku), 1), _ROWS)
    parts = [_part(contents, crops.rows(slice(start, start + _ROWS))) for start in starts]
    return {name: Said(*(np.concatenate(column) for column in zip(*(part[name] for part in parts), strict=True))) for name in SIGNATURES}


def _part(contents: Contents, crops: Shown) -> dict[str, Said]:
    """Returns what both signatures say, by the graph's own functions."""
    lists, ok = contents.lists, np.ones(len(crops.sku), bool)
    unknown = np.full(len(ok), np.nan, np.float32)
    nothing, measured = (serving.compared(*sizes, contents) for sizes in ((unknown, unknown), (crops.height_mm, crops.width_mm)))
    unsized, sized = serving.weighed(crops.outputs, ok, measured, contents.corrections, contents)
    true = _places(crops, contents)
    return {
        name: _plain(decisions.decide(given, ok, sizes, lists, _ANY), given, true, contents)
        for name, given, sizes in zip(SIGNATURES, (unsized, sized), (nothing, measured), strict=True)
    }


def _plain(found: Decided, given: Scores, true: Indices, contents: Contents) -> Said:
    lists = contents.lists
    family = np.where(true >= 0, lists.family_of_look[lists.look_of_sku[true]], -1)
    return Said(
        confidence=found.confidence.numpy().astype(np.float64),
        family_confidence=found.family_confidence.numpy().astype(np.float64),
        size_fits=~np.isin(found.reason.numpy(), SIZE_REASONS),
        unknown_score=given.unknown.numpy().astype(np.float64),
        right=found.sku.numpy() == true,
        family_right=found.family.numpy() == family,
    )


def _promises(fitted: _Fitted, crops: Shown, tuning: Flags, settings: Settings, unknown: Evidence | None) -> dict[str, Abstention]:
    groups, seed = number(crops.group.astype(str)), settings.calibration.seed
    found = {}
    for name, said in fitted.answered.items():
        score = acceptance.joint_score(Answers(said.confidence, said.unknown_score, said.size_fits), fitted.usual)
        found[name] = abstention.choose(Evidence(score, said.right, groups), tuning, settings.abstain, seed=seed, unknown=unknown)
    families = Evidence(said.family_confidence, said.family_right, groups)  # sizes change nothing of them
    return found | {FAMILY: abstention.choose(families, tuning, settings.abstain, seed=seed)}


def _fixed(settings: Settings) -> dict[str, float]:
    """Returns the thresholds that the configuration gives itself."""
    given = dict.fromkeys(SIGNATURES, settings.accept_above) | {FAMILY: settings.family_accept_above}
    return {name: value for name, value in given.items() if value is not None}
