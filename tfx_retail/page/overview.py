"""Pages of several runs: side by side, and an index of all of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from tfx_retail import inputs
from tfx_retail.config import Config
from tfx_retail.page import render
from tfx_retail.page.collect import Collected, collect, json_of
from tfx_retail.page.predicted import SIGNATURES
from tfx_retail.page.values import NONE, Cell, Column, Table, duration, nothing, percent, share, spoken, table, words
from tfx_retail.runs import PAGE, RunFacts, find_run, list_runs, write_atomically

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
    facts: list[Line]
    metrics: list[Line]
    settings: list[Line]  # those that differ
    slices: Table | None
    missing: list[str]


class IndexRow(Struct, frozen=True, kw_only=True):
    """One run of the index."""

    run_id: str
    page: str  # relative; empty: it has none
    state: str
    started: str
    took: str
    version: str
    plain: str
    sized: str
    why: str


def write_comparison(config: Config, run_ids: Sequence[str]) -> Path:
    """Writes the page of several runs and returns its path.

    Raises:
      RunError: there is no such run.
    """
    place = inputs.workspace(config)
    given = [collect(config, find_run(place, run_id)) for run_id in run_ids]
    path = place.root / "runs" / "compare.html"
    write_atomically(path, render.html("compare.html", page=comparison(given), title=f"{config.name} · {len(given)} runs").encode())
    return path


def write_index(config: Config) -> Path:
    """Writes the page that lists all runs, newest first, and returns its path."""
    folder = inputs.workspace(config).root / "runs"
    rows = [_index_row(folder, facts) for facts in reversed(list_runs(inputs.workspace(config)))]
    write_atomically(folder / "index.html", render.html("index.html", rows=rows, name=config.name, title=f"{config.name} · runs").encode())
    return folder / "index.html"


def comparison(given: Sequence[Collected]) -> Comparison:
    """Returns the runs side by side, in the order in which they were named."""
    return Comparison(
        runs=[(item.facts.run_id, item.facts.state) for item in given],
        facts=list(_facts(given)),
        metrics=list(_metrics(given)),
        settings=list(_settings(given)),
        slices=_slices(given),
        missing=[f"{item.facts.run_id}: {line}" for item in given for line in item.missing],
    )


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
    for signature in SIGNATURES:
        for metric in _METRICS:
            values = [_overall(item, signature).get(metric) for item in given]
            shown = [percent(value) if metric.endswith("accuracy") else NONE if nothing(value) else f"{value:.3f}" for value in values]
            yield Line(name=f"{spoken(metric)} {spoken(signature)}", values=shown, best=_best(values, fewer=metric in _FEWER_IS_BETTER))


def _best(values: Sequence[float | None], *, fewer: bool) -> int | None:
    known = [float(value) for value in values if value is not None and not nothing(value)]
    if len(known) < 2 or min(known) == max(known):
        return None
    return values.index(min(known) if fewer else max(known))


def _settings(given: Sequence[Collected]) -> Iterator[Line]:
    flat = [dict(_flat(item.config)) for item in given]
    for key in sorted(set().union(*flat)):
        values = [str(item.get(key, "not set")) for item in flat]
        if len(set(values)) > 1:
            yield Line(name=key, values=values)


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        yield from _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]


def _slices(given: Sequence[Collected]) -> Table | None:
    found = [
        {(row["feature"], row["value"]): row for row in (item.evaluation.get(SIGNATURES[0]) or {}).get("slices") or []} for item in given
    ]
    keys = list(dict.fromkeys(key for rows in found for key in rows))
    if not keys:
        return None
    columns = [Column("slice of"), Column("value"), *(Column(item.facts.run_id, "share") for item in given)]
    rows: list[tuple[Cell, ...]] = [
        (words(spoken(feature)), words(value), *(share((rows.get((feature, value)) or {}).get("sku_accuracy")) for rows in found))
        for feature, value in keys
    ]
    return table("slices", "SKU accuracy without size by slice, run by run", columns, rows, filter_by=0)


def _overall(item: Collected, signature: str) -> dict[str, Any]:
    overall: dict[str, Any] = (item.evaluation.get(signature) or {}).get("overall") or {}
    return overall


def _index_row(folder: Path, facts: RunFacts) -> IndexRow:
    failed = next((node for node in facts.nodes if node.state == "failed"), None)
    verdict = facts.node("Verdict")
    page = f"{facts.run_id}/{PAGE}"
    plain, sized = (_accuracy(facts, signature) for signature in SIGNATURES)
    return IndexRow(
        run_id=facts.run_id,
        page=page if (folder / page).is_file() else "",
        state=facts.state,
        started=facts.started.replace("T", " ")[:16],
        took=duration(facts.seconds),
        version="" if facts.version is None else str(facts.version),
        plain=plain,
        sized=sized,
        why=f"{failed.node}: {failed.error.partition(chr(10))[0]}"
        if failed
        else verdict.summary
        if verdict and facts.state == "not blessed"
        else "",
    )


def _accuracy(facts: RunFacts, signature: str) -> str:
    metrics = facts.output("Evaluator", "evaluation")
    if metrics is None:
        return NONE
    return percent(_overall_accuracy(metrics / "evaluation.json", signature))


def _overall_accuracy(path: Path, signature: str) -> float | None:
    found = json_of(path, []).get(signature) or {}
    value = (found.get("overall") or {}).get("sku_accuracy")
    return None if value is None else float(value)
