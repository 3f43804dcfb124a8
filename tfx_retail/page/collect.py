"""What a run left on disk, read with care: what is missing or damaged is named, and the page is made all the same."""

import csv
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from tfx_retail import catalog, doubt, doubted, inputs, sibling, versions
from tfx_retail.catalog import Catalog
from tfx_retail.config import Config
from tfx_retail.measured_doubt import MeasuredDoubt
from tfx_retail.page import predicted, statistics
from tfx_retail.page.predicted import Predicted
from tfx_retail.page.statistics import Numbers
from tfx_retail.runs import RunFacts, Workspace, list_runs
from tfx_retail.sibling import Sibling

T = TypeVar("T")
_ROWS = 2000  # of a list of files: more is for a spreadsheet
_READABLE = (OSError, ValueError, KeyError, IndexError, EOFError, msgspec.MsgspecError, catalog.CatalogError, versions.VersionError)


class Listed(Struct, frozen=True):
    """The first rows of a CSV file and how many there are."""

    rows: list[dict[str, str]] = []
    count: int = 0


class _Evaluated(Struct, frozen=True):
    """Of one signature's evaluation, what doubt is worth."""

    doubt: MeasuredDoubt | None = None


class Before(Struct, frozen=True, kw_only=True):
    """The run that this one is compared with, as far as its data goes."""

    name: str  # as a reader calls it
    facts: RunFacts | None = None  # None: it is gone
    ingest: dict[str, Any] = {}
    numbers: dict[str, dict[str, Numbers]] = {}
    catalog: Catalog | None = None


class Collected(Struct, frozen=True, kw_only=True):
    """Everything that a page says of a run, before it is said. Empty or None: the run did not come so far."""

    facts: RunFacts
    config: dict[str, Any] = {}
    verdict: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}
    doubts: dict[str, MeasuredDoubt] = {}  # by signature
    promises: list[tuple[str, str]] = []  # what is accepted, in words, by what it is said of
    sibling: Sibling | None = None
    history: dict[str, Any] = {}
    ingest: dict[str, Any] = {}
    data_check: dict[str, Any] = {}
    infra: dict[str, Any] = {}
    model: dict[str, Any] = {}
    card: str = ""
    rejected: Listed = Listed()
    set_aside: Listed = Listed()
    leakage: Listed = Listed()
    numbers: dict[str, dict[str, Numbers]] = {}  # feature -> role -> what StatisticsGen counted
    catalog: Catalog | None = None
    examples: Path | None = None
    eval: Predicted | None = None
    calibration: Predicted | None = None
    baseline: versions.Version | None = None  # the version that the model was compared with
    before: Before | None = None  # the run that made that version, or the one that was asked for; None: there is none
    against: Predicted | None = None  # answers of another run, where one was asked for
    against_id: str = ""
    log_tail: str = ""
    missing: list[str] = []


def collect(config: Config, facts: RunFacts, against: RunFacts | None = None) -> Collected:
    """Returns what the run left, and the answers of the run `against`."""
    missing: list[str] = []
    place, report = inputs.workspace(config), facts.output("ExampleGen", "report")
    model = facts.output("Calibrator", "model")
    labels, answers = facts.output("Labels", "labels"), facts.output("Predictions", "predictions")
    measured = facts.output("StatisticsGen", "statistics")
    shown_catalog = labels / "catalog.csv" if labels else None
    other = against.output("Predictions", "predictions") if against else None
    baseline = _baseline(config, facts, missing)
    metrics = _in(facts, "Evaluator", "evaluation", "evaluation.json")
    extra = model / "Format-Serving" / versions.EXTRA if model else None
    return Collected(
        facts=facts,
        config=json_of(place.run(facts.run_id) / "config.json", missing),
        verdict=json_of(_in(facts, "Verdict", "verdict", "verdict.json"), missing),
        evaluation=json_of(metrics, missing),
        doubts=(doubts_of(metrics) if metrics else {}) or _read(answers, _measured, {}, missing),
        promises=_read(extra, _promises, [], missing),
        sibling=_read(_in(facts, "Sibling", "sibling", "sibling.json"), lambda path: sibling.read(path.parent), None, missing),
        history=json_of(_in(facts, "Trainer", "model_run", "history.json"), missing),
        ingest=json_of(report / "ingest.json" if report else None, missing),
        data_check=json_of(_in(facts, "DataGate", "check", "data_check.json"), missing),
        infra=json_of(_in(facts, "InfraCheck", "check", "infra_check.json"), missing),
        model=json_of(extra / "model.json" if extra else None, missing),
        card=_read(_in(facts, "ModelCard", "card", "model_card.md"), lambda path: path.read_text("utf-8"), "", missing),
        rejected=_read(report / "rejected.csv" if report else None, _listed, Listed(), missing),
        set_aside=_read(report / "set_aside.csv" if report else None, _listed, Listed(), missing),
        leakage=_read(report / "leakage.csv" if report else None, _listed, Listed(), missing),
        numbers=_read(measured, statistics.read, {}, missing),
        catalog=_read(shown_catalog, catalog.read, None, missing),
        examples=facts.output("ExampleGen", "examples"),
        eval=_read(answers, lambda folder: predicted.read(folder, "eval"), None, missing),
        calibration=_read(answers, lambda folder: predicted.read(folder, "calibration"), None, missing),
        baseline=baseline,
        before=_before(place, baseline, against, missing),
        against=_read(other, lambda folder: predicted.read(folder, "eval"), None, missing),
        against_id=against.run_id if against else "",
        log_tail=_log_tail(place, facts),
        missing=missing,
    )


def _in(facts: RunFacts, node: str, key: str, name: str) -> Path | None:
    folder = facts.output(node, key)
    return folder / name if folder else None


def _read(path: Path | None, read: Callable[[Path], T], otherwise: T, missing: list[str]) -> T:
    """Returns what a file or folder holds; what cannot be read is named in `missing`."""
    if path is None:
        return otherwise
    try:
        return read(path)
    except _READABLE as error:
        missing.append(f"{path.name}: {_reason(error)}")
        return otherwise


def _reason(error: Exception) -> str:
    return "it is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"


def json_of(path: Path | None, missing: list[str]) -> dict[str, Any]:
    """Returns the object of a JSON file; empty where it cannot be read, which is named in `missing`."""
    return _read(path, lambda file: msgspec.json.decode(file.read_bytes(), type=dict[str, Any]), {}, missing)


def doubts_of(path: Path) -> dict[str, MeasuredDoubt]:
    """Returns the doubt parts of an `evaluation.json`; none of one that earlier code wrote, or that cannot be read."""
    nothing: dict[str, _Evaluated] = {}
    found = _read(path, lambda file: msgspec.json.decode(file.read_bytes(), type=dict[str, _Evaluated]), nothing, [])
    return {name: one.doubt for name, one in found.items() if one.doubt}


def _measured(folder: Path) -> dict[str, MeasuredDoubt]:
    """Returns what earlier code did not measure, as far as its files tell."""
    found = doubted.read(folder, "eval")
    return doubted.measure(found) if len(found.shown.truth) else {}


def _promises(folder: Path) -> list[tuple[str, str]]:
    found = doubt.read(folder)
    return list(found.lines) if found else []


def _listed(path: Path) -> Listed:
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(islice(reader, _ROWS))
        return Listed(rows, len(rows) + sum(1 for _ in reader))


def _baseline(config: Config, facts: RunFacts, missing: list[str]) -> versions.Version | None:
    if facts.baseline is None:
        return None
    number = facts.baseline
    found = _read(inputs.model_dir(config), lambda folder: versions.find(folder, number), None, missing)
    if found is None:
        missing.append(f"version {number}: it is no longer in the serving folder; what changed since cannot be told")
    return found


def _before(place: Workspace, baseline: versions.Version | None, against: RunFacts | None, missing: list[str]) -> Before | None:
    """Returns what the earlier run's data was; the catalogue of a version is in its own folder, the rest in that of its run."""
    if against is None and baseline is None:
        return None
    facts = against or next((run for run in list_runs(place) if baseline and run.run_id == baseline.manifest.run_id), None)
    labels = facts.output("Labels", "labels") if facts else None
    shipped = baseline.path / versions.EXTRA if baseline and not against else labels
    return Before(
        name=f"run {against.run_id}" if against else f"version {baseline.number}" if baseline else "",
        facts=facts,
        ingest=json_of(_in(facts, "ExampleGen", "report", "ingest.json") if facts else None, missing),
        numbers=_read(facts.output("StatisticsGen", "statistics") if facts else None, statistics.read, {}, missing),
        catalog=_read(shipped / "catalog.csv" if shipped else None, catalog.read, None, missing),
    )


def _log_tail(place: Workspace, facts: RunFacts) -> str:
    """The end of the log is of use where a run failed; elsewhere it is noise."""
    log = place.run(facts.run_id) / "run.log"
    if facts.state != "failed" or not log.is_file():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        return file.read().decode("utf-8", "replace")
