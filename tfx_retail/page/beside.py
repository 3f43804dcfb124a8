"""Several runs side by side, in the order in which they were named: what each is worth, where they differ, and why."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from tfx_retail import features
from tfx_retail.page import changes, charts, confusion, figures, shares, tiles
from tfx_retail.page.charts import Axis, Frame, Series
from tfx_retail.page.collect import Collected
from tfx_retail.page.figures import STYLES, Named
from tfx_retail.page.predicted import SIGNATURES
from tfx_retail.page.shares import Share
from tfx_retail.page.values import (
    NONE,
    Cell,
    Column,
    Figure,
    Table,
    change,
    duration,
    nothing,
    percent,
    share,
    spoken,
    table,
    whole,
    words,
)

_METRICS = ("sku_accuracy", "look_accuracy", "family_accuracy", "category_accuracy", "top_k_accuracy", "macro_f1", "log_loss")
_FEWER_IS_BETTER = ("log_loss",)


class Line(Struct, frozen=True, kw_only=True):
    """One fact of all runs; `best` is the place of the best value, None where there is none to prefer."""

    name: str
    values: list[str]
    best: int | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Runs side by side."""

    runs: list[tuple[str, str]]  # id, state
    judged_on: str  # whether the numbers can be compared
    facts: list[Line]
    metrics: list[Line]
    settings: list[Line]  # those that differ
    slices: Table | None
    pairs: Table | None
    doubt: list[Figure]
    training: Figure | None
    times: list[Line]
    missing: list[str]


def build(given: Sequence[Collected]) -> Comparison:
    """Returns the runs side by side, in the order in which they were named."""
    return Comparison(
        runs=[(item.facts.run_id, item.facts.state) for item in given],
        judged_on=_judged_on(given),
        facts=list(_facts(given)),
        metrics=[*_metrics(given), *_doubts(given)],
        settings=list(_settings(given)),
        slices=_slices(given),
        pairs=_pairs(given),
        doubt=_doubt(given),
        training=_training(given),
        times=list(_times(given)),
        missing=[f"{item.facts.run_id}: {line}" for item in given for line in item.missing],
    )


def _judged_on(given: Sequence[Collected]) -> str:
    crops = _judged(given)
    if len(crops) < 2:
        return "Fewer than two of these runs were judged: there is nothing to compare."
    if len(set(crops)) == 1:
        return f"All were judged on the same {len(crops[0]):,} crops: the numbers can be compared."
    common = len(frozenset.intersection(*crops))
    return f"They were judged on different crops, of which {common:,} are in all: a difference may come from the crops, not from the model."


def _judged(given: Sequence[Collected]) -> list[frozenset[str]]:
    return [frozenset(item.eval.texts[features.CROP_ID.name].tolist()) for item in given if item.eval is not None]


def _facts(given: Sequence[Collected]) -> Iterator[Line]:
    facts = [item.facts for item in given]
    yield Line(name="started", values=[item.started.replace("T", " ")[:16] for item in facts])
    yield Line(name="took", values=[duration(item.seconds) for item in facts])
    yield Line(name="version", values=[NONE if item.version is None else str(item.version) for item in facts])
    for name in ("data", "code", "config"):
        yield Line(name=name, values=[str(getattr(item, f"{name}_digest"))[:12] or NONE for item in facts])
    yield Line(name="best epoch", values=[str(item.history.get("best_epoch", NONE)) for item in given])
    yield Line(name="parameters", values=[f"{item.history['parameters']:,}" if item.history.get("parameters") else NONE for item in given])
    yield Line(name="rules that failed", values=["; ".join(_failed(item.verdict)) or NONE for item in given])


def _failed(verdict: dict[str, Any]) -> list[str]:
    return [str(rule.get("text", "")) for rule in verdict.get("rules") or [] if rule.get("result") == "fail"]


def _metrics(given: Sequence[Collected]) -> Iterator[Line]:
    alike = len(set(_judged(given))) == 1  # else none is called the best
    for signature in SIGNATURES:
        for metric in _METRICS:
            values = [_overall(item, signature).get(metric) for item in given]
            shown = [percent(value) if metric.endswith("accuracy") else NONE if nothing(value) else f"{value:.3f}" for value in values]
            best = _best(values, fewer=metric in _FEWER_IS_BETTER) if alike else None
            yield Line(name=f"{spoken(metric)} {spoken(signature)}", values=shown, best=best)


def _doubts(given: Sequence[Collected]) -> Iterator[Line]:
    alike = len(set(_judged(given))) == 1
    for signature in SIGNATURES:
        for metric in ("coverage", "accepted_precision", "ece"):
            values = [tiles.doubt_of(item.doubts[signature], metric).value if item.doubts else None for item in given]
            best = _best(values, fewer=metric == "ece") if alike else None
            yield Line(name=f"{spoken(metric)} {spoken(signature)}", values=[tiles.written(metric, value) for value in values], best=best)


def _best(values: Sequence[float | None], *, fewer: bool) -> int | None:
    known = [float(value) for value in values if value is not None and not nothing(value)]
    if len(known) < 2 or min(known) == max(known):
        return None
    return values.index(min(known) if fewer else max(known))


def _settings(given: Sequence[Collected]) -> Iterator[Line]:
    flat = [dict(changes.flat(item.config)) for item in given]
    for key in sorted(set().union(*flat)):
        values = [str(item.get(key, "not set")) for item in flat]
        if len(set(values)) > 1:
            yield Line(name=key, values=values)


def _slices(given: Sequence[Collected]) -> Table | None:
    """Between two runs the biggest losses come first, and the change stands beside."""
    found = [_of(item) for item in given]
    keys = list(dict.fromkeys(key for slices in found for key in slices))
    two = len(given) == 2
    columns = [Column("slice of"), Column("value"), *(Column(item.facts.run_id, "share") for item in given)]
    columns += [Column("change", "change", "points, of the second run against the first")] if two else []
    rows = [_slice_row(key, [slices.get(key) for slices in found]) for key in keys]
    rows = sorted(rows, key=lambda row: 9.0 if row[-1].sort is None else float(row[-1].sort)) if two else rows
    return table("slices", "SKU accuracy without size by slice, run by run", columns, rows, filter_by=0) if rows else None


def _of(item: Collected) -> dict[tuple[str, str], Share]:
    if item.eval is None or not len(item.eval):
        return {}
    alpha = tiles.alpha(item.config)
    found = [shares.overall(item.eval, alpha=alpha), *shares.slices(item.eval, alpha=alpha)]
    return {(part.feature, part.value): part.shares[SIGNATURES[0]] for part in found}


def _slice_row(key: tuple[str, str], found: list[Share | None]) -> tuple[Cell, ...]:
    cells = [words(spoken(key[0])), words(key[1]), *map(share, found)]
    if len(found) == 2:
        cells.append(change(None if found[0] is None or found[1] is None else found[1].value - found[0].value))
    return tuple(cells)


def _pairs(given: Sequence[Collected]) -> Table | None:
    found: list[dict[tuple[str, str], int]] = []
    for item in given:
        skus = item.eval.lists.skus if item.eval is not None else []
        pairs = confusion.pairs(item.eval, SIGNATURES[0]) if item.eval is not None and len(item.eval) else []
        found.append({(skus[pair.true], skus[pair.answered]): pair.crops for pair in pairs})
    keys = sorted({key for pairs in found for key in pairs}, key=lambda key: (-max(pairs.get(key, 0) for pairs in found), key))
    columns = [Column("is"), Column("was answered as"), *(Column(item.facts.run_id, "number") for item in given)]
    rows = [(words(true), words(answered), *(whole(pairs.get((true, answered))) for pairs in found)) for true, answered in keys]
    return (
        table("pairs", "The most confused pairs of each run, in crops; a dash: not among its most confused", columns, rows)
        if rows
        else None
    )


def _doubt(given: Sequence[Collected]) -> list[Figure]:
    lines = [Named(item.facts.run_id, item.doubts[SIGNATURES[0]]) for item in given if item.doubts][: len(STYLES)]
    curves = [(line.name, line.doubt.after.calibration) for line in lines]
    return [figures.reliability("Reliability", curves), figures.risk(lines)] if lines else []


def _training(given: Sequence[Collected]) -> Figure | None:
    lines = [(item.facts.run_id, _losses(item)) for item in given if _losses(item)][: len(STYLES)]
    series = [Series(name, style, points) for (name, points), style in zip(lines, STYLES, strict=False)]
    if not series:
        return None
    last = max(2.0, *(points[-1][0] for _, points in lines))
    frame = Frame(Axis("epoch", 1.0, last), Axis("loss on validation", 0, charts.ceiling([y for _, points in lines for _, y in points])))
    return Figure("Loss on validation", charts.lines(frame, series, "Loss on validation by epoch"), "", figures.keys(series))


def _losses(item: Collected) -> list[tuple[float, float]]:
    epochs = item.history.get("epochs") or []
    return [(float(row["epoch"]), float(row["val_loss"])) for row in epochs if row.get("val_loss") is not None]


def _times(given: Sequence[Collected]) -> Iterator[Line]:
    nodes = dict.fromkeys(node.node for item in given for node in item.facts.nodes)
    for name in nodes:
        facts = [item.facts.node(name) for item in given]
        yield Line(
            name=name, values=[NONE if node is None else node.state if node.state != "ran" else duration(node.seconds) for node in facts]
        )


def _overall(item: Collected, signature: str) -> dict[str, Any]:
    overall: dict[str, Any] = (item.evaluation.get(signature) or {}).get("overall") or {}
    return overall
