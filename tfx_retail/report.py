"""The facts of runs and versions in words, from the files that the nodes left; values in, text out."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tfx_retail import doubt, inputs, versions
from tfx_retail.config import Config
from tfx_retail.runs import PAGE, RunFacts, Workspace, find_run, list_runs

_SIGNATURES = ("serving_default", "predict_sized")
_SPOKEN = ("without size", "with size")
_METRICS = ("sku_accuracy", "look_accuracy", "family_accuracy", "category_accuracy", "top_k_accuracy", "macro_f1", "log_loss")


def ending(config: Config, facts: RunFacts) -> str:
    """Returns what a person reads when a run is over: verdict, numbers, version, paths, next step."""
    place = inputs.workspace(config)
    closing = [*_paths(config, place, facts), f"next      {_next_step(config, facts)}", *_page(place, facts)]
    lines = [_headline(facts), "", *_metrics(facts), *_accepted(facts), *_verdict(facts), *_warnings(facts), *closing]
    return "\n" + "\n".join(lines)


def run_report(config: Config, run_id: str | None) -> str:
    """Returns the facts of one run, the latest if `run_id` is None.

    Raises:
      RunError: there is no such run.
    """
    place = inputs.workspace(config)
    facts = find_run(place, run_id)
    digests = f"digests   config {facts.config_digest}, data {facts.data_digest}, code {facts.code_digest}"
    head = [f"{facts.pipeline}, run {facts.run_id}, started {facts.started}", digests, ""]
    return "\n".join([*head, *_node_lines(facts), ending(config, facts)])


def runs_table(config: Config) -> str:
    """Returns all runs of a pipeline, newest first, each with what its nodes did."""
    runs = list_runs(inputs.workspace(config))
    if not runs:
        return f"no run yet in {_short(inputs.workspace(config).root)}"
    blocks = ["\n".join([_run_line(run), *_node_lines(run)]) for run in reversed(runs)]
    return "\n\n".join(blocks)


def versions_table(config: Config) -> str:
    """Returns the pushed versions, newest first; the first one is what TensorFlow Serving takes."""
    pushed = versions.list_versions(inputs.model_dir(config))
    if not pushed:
        return f"no version yet in {_short(inputs.model_dir(config))}"
    return "\n".join(_version_line(version) for version in reversed(pushed))


def _headline(facts: RunFacts) -> str:
    what = {
        "blessed": f"{_blessed(facts)} pushed as version {facts.version}",
        "not blessed": "not blessed, nothing was pushed",
        "done": "done, as far as was asked for",
        "interrupted": "interrupted; the next run goes on from here",
        "failed": "failed",
        "running": "still running",
    }[facts.state]
    failed = next((node for node in facts.nodes if node.state == "failed"), None)
    where = f" in {failed.node}: {failed.error}" if failed else ""
    return f"{what}{where}  ({facts.seconds:.0f} s)"


def _blessed(facts: RunFacts) -> str:
    by = facts.overridden
    return f"refused by the verdict, blessed by {by.who} at {by.when} ({by.why}) and" if by else "blessed and"


def _metrics(facts: RunFacts) -> Iterable[str]:
    evaluation = _read(facts, "Evaluator", "evaluation", "evaluation.json")
    if not evaluation:
        return
    measured = [evaluation[signature]["overall"] for signature in _SIGNATURES]
    yield f"{'':<20}" + "".join(f"{signature:>17}" for signature in _SIGNATURES)
    for name in _METRICS:
        yield f"  {name.replace('_', ' '):<18}" + "".join(f"{_number(overall.get(name)):>17}" for overall in measured)
    yield f"  on {measured[0]['examples']:,} examples of the eval role"
    yield from _taken(evaluation)
    yield ""


def _taken(evaluation: dict[str, Any]) -> Iterable[str]:
    """Yields one line: how many answers are accepted, and how many of these are right, without size and with size if that differs."""
    found = {name: evaluation[name].get("doubt") or {} for name in _SIGNATURES}
    said = {name: _share_taken(doubt) for name, doubt in found.items() if doubt.get("coverage")}
    if not said:
        return
    if len(set(said.values())) == 1:
        yield f"  accepted: {next(iter(said.values()))}"
    else:
        yield "  accepted: " + "; ".join(f"{words} {said[name]}" for name, words in zip(_SIGNATURES, _SPOKEN, strict=True))


def _share_taken(doubt: dict[str, Any]) -> str:
    coverage, precision = doubt["coverage"]["value"], doubt["precision"]
    if coverage is None:
        return "no crop to accept"
    if precision["value"] is None:
        return "none of the crops"
    low, high = precision["interval"]
    return f"{coverage:.1%} of the crops, {precision['value']:.1%} of them right ({low:.3f} to {high:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _accepted(facts: RunFacts) -> Iterable[str]:
    folder = facts.output("Calibrator", "model")
    found = doubt.read(folder / "Format-Serving" / versions.EXTRA) if folder else None
    for name, text in found.lines if found else ():
        yield f"{name:<15}{text}"
    if found:
        yield ""


def _verdict(facts: RunFacts) -> Iterable[str]:
    verdict = _read(facts, "Verdict", "verdict", "verdict.json")
    for rule in verdict["rules"] if verdict else ():
        yield f"{rule['result'].replace('_', ' '):<10}{rule['text']}"
    refused = [_slice_name(rule) for rule in verdict["rules"] if rule["result"] == "fail" and rule.get("slice")] if verdict else []
    if refused:
        yield f"worse in  {', '.join(refused)}"
    for note in verdict.get("notes", ()) if verdict else ():
        yield f"note      {note}"


def _warnings(facts: RunFacts) -> Iterable[str]:
    ingest = _read(facts, "ExampleGen", "report", "ingest.json")
    for warning in ingest.get("warnings", ()) if ingest else ():
        yield f"warning   {warning}"


def _slice_name(rule: dict[str, Any]) -> str:
    """Returns what the model lost in, against which version and how much."""
    name = rule["slice"] if rule["feature"] == rule["slice"] else f"{rule['feature']} {rule['slice']}"
    return f"{name.replace('_', ' ') if name == rule['feature'] else name} (-{rule['loss']:.3f} against version {rule['version']})"


def _paths(config: Config, place: Workspace, facts: RunFacts) -> Iterable[str]:
    if facts.version is not None:
        yield f"version   {_short(inputs.model_dir(config) / str(facts.version))}"
    yield f"run       {_short(place.run(facts.run_id))}"
    logs = "tasks" if facts.scheduler_run else "run.log"  # a scheduler's run has one log for each node
    yield f"log       {_short(place.run(facts.run_id) / logs)}"


def _page(place: Workspace, facts: RunFacts) -> Iterable[str]:
    """Last, so that it is what one sees: the page has all the rest."""
    page = place.run(facts.run_id) / PAGE
    if page.is_file():
        yield f"report    {_short(page)}"


def _next_step(config: Config, facts: RunFacts) -> str:
    if facts.state == "blessed":
        return f"tfx-retail predict {_short(inputs.model_dir(config) / str(facts.version))} IMAGE"
    if facts.state == "not blessed":
        return (
            "read the rules that failed above; more data, more training, other thresholds in verdict, or, if you know better, "
            f"tfx-retail bless CONFIG {facts.run_id} --because TEXT"
        )
    if facts.state == "failed":
        return "mend the cause and run again: finished nodes are taken from the cache"
    return "run again; finished nodes are taken from the cache"


def _run_line(run: RunFacts) -> str:
    version = f", version {run.version}" if run.version is not None else ""
    return f"{run.run_id}  {run.state}{version}, {run.seconds:.0f} s"


def _node_lines(run: RunFacts) -> list[str]:
    lines = []
    for node in run.nodes:
        said = " · ".join(part for part in (node.summary, node.why, node.error.partition("\n")[0]) if part)
        lines.append(f"  {node.node:<17}{node.state:<12}{node.seconds:7.1f} s  {said}".rstrip())
    return lines


def _version_line(version: versions.Version) -> str:
    manifest = version.manifest
    origin = f", rollback of {manifest.rollback_of}" if manifest.rollback_of else ""
    return f"{version.number:>6}  {manifest.time}  run {manifest.run_id}{origin}  {_short(version.path)}"


def _read(facts: RunFacts, node: str, key: str, name: str) -> Any:
    folder = facts.output(node, key)
    file = folder / name if folder else None
    return msgspec.json.decode(file.read_bytes()) if file and file.is_file() else None


def _short(path: Path) -> str:
    """Returns a path relative to the working folder where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
