"""Section 4: what confidences are worth, what is accepted and what that promises, unknown products and unseen SKUs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from tfx_retail.intervals import Estimate, Interval
from tfx_retail.measured_doubt import MeasuredDoubt, SliceDoubt, Tail
from tfx_retail.page import figures, unknown
from tfx_retail.page.collect import Collected
from tfx_retail.page.figures import Named
from tfx_retail.page.predicted import SIGNATURES
from tfx_retail.page.unknown import Unknown
from tfx_retail.page.values import NONE, Cell, Column, Figure, Table, estimate, percent, real, spoken, table, whole, words
from tfx_retail.reliability import Bin, Quality

_PLAIN, _SIZED = SIGNATURES


class Doubt(Struct, frozen=True, kw_only=True):
    """Section 4."""

    promises: list[tuple[str, str]]  # what it is said of, and what it says
    taken: Table  # what is accepted
    figures: list[Figure]
    worth: Table
    bins: Table
    slices: Table | None  # precision among accepted
    unknown: Unknown
    missing: list[str]


class _Case(NamedTuple):
    """One signature, with calibration or without."""

    signature: str
    when: str
    quality: Quality


def build(given: Collected) -> Doubt | None:
    """Returns the section; None where nothing was evaluated."""
    if not given.doubts:
        return None
    shown = asked(given.doubts)
    cases = list(_cases(shown))
    return Doubt(
        promises=list(given.promises),
        taken=_taken(shown),
        figures=list(_figures(shown)),
        worth=_worth(cases),
        bins=_bins(cases),
        slices=_slices(shown),
        unknown=unknown.build(given.sibling),
        missing=list(dict.fromkeys(line for doubt in shown.values() for line in doubt.missing)),
    )


def asked(doubts: Mapping[str, MeasuredDoubt]) -> dict[str, MeasuredDoubt]:
    """Returns what is worth showing: where no crop has a size, the answers with size are those without."""
    if doubts[_PLAIN] == doubts.get(_SIZED):
        return {_PLAIN: doubts[_PLAIN]}
    return dict(doubts)


def tail(doubts: Mapping[str, MeasuredDoubt]) -> Table | None:
    """Returns shares of right answers by number of training crops, for section 2; None where nobody wrote these down."""
    shown = asked(doubts) if doubts else {}
    rows = [_tail_row(spoken(name), one) for name, doubt in shown.items() for one in doubt.tail]
    columns = [Column("training crops of the SKU"), Column("answers"), Column("SKUs", "number"), Column("crops", "number")]
    columns += [Column("scenes", "number"), Column("SKU", "share", "share of right answers"), Column("accepted", "share")]
    columns += [Column("right among accepted", "share")]
    return table("tail", "Shares of right answers by number of training crops of the SKU", columns, rows) if rows else None


def _tail_row(answers: str, one: Tail) -> tuple[Cell, ...]:
    counts = (whole(one.skus), whole(one.accuracy.crops), whole(one.accuracy.groups))
    return (words(one.training_crops), words(answers), *counts, *map(estimate, (one.accuracy, one.coverage, one.precision)))


def _cases(shown: Mapping[str, MeasuredDoubt]) -> Iterator[_Case]:
    for name, doubt in shown.items():
        if doubt.before:
            yield _Case(spoken(name), "before", doubt.before)
        yield _Case(spoken(name), "as served", doubt.after)


def _figures(shown: Mapping[str, MeasuredDoubt]) -> Iterator[Figure]:
    for name, doubt in shown.items():
        curves = [("as served", doubt.after.calibration)]
        curves += [("before calibration", doubt.before.calibration)] if doubt.before else []
        yield figures.reliability(f"Reliability {spoken(name)}" if len(shown) > 1 else "Reliability", curves)
    yield figures.risk([Named(spoken(name), doubt) for name, doubt in shown.items()])
    yield figures.sureness(spoken(_PLAIN), shown[_PLAIN])


def _taken(shown: Mapping[str, MeasuredDoubt]) -> Table:
    rows = [
        (words(spoken(name)), *map(estimate, (doubt.coverage, doubt.precision, doubt.family_coverage, doubt.family_precision)))
        for name, doubt in shown.items()
    ]
    columns = [Column("answers"), Column("SKU accepted", "share"), Column("right among these", "share"), Column("family accepted", "share")]
    columns += [Column("family right among these", "share")]
    return table("taken", "What is accepted, and how much of it is right", columns, rows)


def _worth(cases: Sequence[_Case]) -> Table:
    columns = [Column("answers"), Column("calibration")]
    columns += [Column("calibration error", "number", "mean distance of confidence and share of right answers, without what chance adds")]
    columns += [Column("plain", "number", "as it is mostly printed: with what chance adds")]
    columns += [Column("by chance", "number", "what the plain error of a perfect model would be"), Column("Brier score", "number")]
    columns += [Column("log loss", "number"), Column("crops", "number"), Column("scenes", "number")]
    return table("worth", "What confidences are worth, before and after calibration", columns, [_worth_row(case) for case in cases])


def _worth_row(case: _Case) -> tuple[Cell, ...]:
    error, brier, log_loss = case.quality.calibration, case.quality.brier, case.quality.log_loss
    told = (_bounded(error.debiased, error.interval), real(error.plugin), real(error.chance))
    losses = (_bounded(one.value, one.interval) for one in (brier, log_loss))
    return (words(case.signature), words(case.when), *told, *losses, whole(error.crops), whole(error.groups))


def _bounded(value: float | None, interval: Interval | None) -> Cell:
    between = f" ({interval[0]:.3f} … {interval[1]:.3f})" if interval else ""
    return Cell(NONE) if value is None else Cell(f"{value:.3f}{between}", value)


def _bins(cases: Sequence[_Case]) -> Table:
    rows = [_bin_row(case, one) for case in cases for one in case.quality.calibration.bins]
    columns = [Column("answers"), Column("calibration"), Column("mean confidence", "number"), Column("right", "number")]
    columns += [Column("crops", "number"), Column("scenes", "number")]
    return table("bins", "The bins of the reliability diagrams", columns, rows)


def _bin_row(case: _Case, one: Bin) -> tuple[Cell, ...]:
    shares = (Cell(percent(value), value) for value in (one.confidence, one.accuracy))
    return (words(case.signature), words(case.when), *shares, whole(one.crops), whole(one.groups))


def _slices(shown: Mapping[str, MeasuredDoubt]) -> Table | None:
    """Returns the slices, lowest upper end of the precision first: there the promise is most likely broken."""
    found = [(name, one) for name, doubt in shown.items() for one in doubt.slices]
    found.sort(key=lambda pair: (_upper(pair[1].precision), -pair[1].crops))
    rows = [_slice_row(spoken(name), one) for name, one in found]
    columns = [Column("slice of"), Column("value"), Column("answers"), Column("accepted", "number")]
    columns += [Column("right among accepted", "share"), Column("accepted crops", "number")]
    columns += [Column("scenes", "number", "with an accepted crop"), Column("crops", "number")]
    return table("accepted", "Precision among accepted answers by slice", columns, rows, filter_by=0) if rows else None


def _slice_row(answers: str, one: SliceDoubt) -> tuple[Cell, ...]:
    of = (words(spoken(one.feature)), words(one.value), words(answers))
    found = one.precision
    return (*of, Cell(percent(one.coverage), one.coverage), estimate(found), whole(found.crops), whole(found.groups), whole(one.crops))


def _upper(found: Estimate) -> float:
    return found.interval[1] if found.interval else 2.0
