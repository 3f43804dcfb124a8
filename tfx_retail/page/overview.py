"""Pages of several runs: side by side, and an index of all of them."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from tfx_retail import inputs
from tfx_retail.config import Config
from tfx_retail.page import beside, render, tiles
from tfx_retail.page.collect import collect, doubts_of, json_of
from tfx_retail.page.predicted import SIGNATURES
from tfx_retail.page.values import NONE, duration, percent
from tfx_retail.runs import PAGE, RunFacts, find_run, list_runs, write_atomically


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
    accepted: str  # share of crops, without size
    right: str  # of these
    ece: str
    why: str


def write_comparison(config: Config, run_ids: Sequence[str]) -> Path:
    """Writes the page of several runs and returns its path.

    Raises:
      RunError: there is no such run.
    """
    place = inputs.workspace(config)
    given = [collect(config, find_run(place, run_id)) for run_id in run_ids]
    path = place.root / "runs" / "compare.html"
    write_atomically(path, render.html("compare.html", page=beside.build(given), title=f"{config.name} · {len(given)} runs").encode())
    return path


def write_index(config: Config) -> Path:
    """Writes the page that lists all runs, newest first, and returns its path."""
    folder = inputs.workspace(config).root / "runs"
    rows = [_index_row(folder, facts) for facts in reversed(list_runs(inputs.workspace(config)))]
    write_atomically(folder / "index.html", render.html("index.html", rows=rows, name=config.name, title=f"{config.name} · runs").encode())
    return folder / "index.html"


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
        accepted=_doubt(facts, "coverage"),
        right=_doubt(facts, "accepted_precision"),
        ece=_doubt(facts, "ece"),
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


def _doubt(facts: RunFacts, metric: str) -> str:
    metrics = facts.output("Evaluator", "evaluation")
    found = doubts_of(metrics / "evaluation.json") if metrics else {}
    return tiles.written(metric, tiles.doubt_of(found[SIGNATURES[0]], metric).value) if found else NONE


def _overall_accuracy(path: Path, signature: str) -> float | None:
    found = json_of(path, []).get(signature) or {}
    value = (found.get("overall") or {}).get("sku_accuracy")
    return None if value is None else float(value)
