"""A person's blessing of a model that the verdict refused: pushed as any other, with who, when and why beside it."""

import os
import pwd
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import msgspec

from tfx_retail import inputs, lineage, pushing, store, versions
from tfx_retail.config import Config
from tfx_retail.errors import RunError
from tfx_retail.runs import Override, RunFacts, Workspace, exclusive, find_run, write_atomically, write_run
from tfx_retail.verdict import Verdict

_FORMAT = "Format-Serving"  # the folder of the SavedModel in TFX's Model artifact


def bless(config: Config, run_id: str, why: str, *, who: str | None = None, now: datetime | None = None) -> str:
    """Pushes the model of a refused run and returns what was done in words; a second time it finds what the first one did.

    The verdict that the run left stays as it was; the version, and the run's folder, get a copy that says who overrode it.

    Args:
      who: the user of the operating system, if not given.

    Raises:
      RunError: there is no such run, it has no model, its verdict did not refuse it, or its outputs are gone.
      VersionError: the served labels moved meanwhile, or the disk is full.
    """
    place = inputs.workspace(config)
    with exclusive(place, lambda pid: click.echo(f"a run is under way (process {pid}); waiting for it to end")):
        facts = find_run(place, run_id)
        if facts.overridden:
            return f"run {run_id} was blessed by {facts.overridden.who} before, as version {facts.version}; nothing was done"
        files = _outputs(facts)
        given = Override(who=who or _user(), when=(now or datetime.now(timezone.utc)).isoformat(timespec="seconds"), why=why)
        override = _earlier(config, run_id) or given
        verdict = msgspec.json.decode(files["verdict.json"].read_bytes(), type=Verdict)
        files["verdict.json"] = _sign(place, run_id, verdict, override)
        number = pushing.push(_model(facts), inputs.model_dir(config), files, _settings(place, run_id), run_id)
        _record(place, facts, override, number)
    return f"version {number} serves the model of run {run_id}, refused by the verdict and blessed by {override.who}: {override.why}"


def _outputs(facts: RunFacts) -> dict[str, Path]:
    """Returns the files that a version has beside its model.

    Raises:
      RunError: this is not a refused run.
    """
    if facts.version is not None:
        raise RunError(f"run {facts.run_id} was blessed by its verdict and is version {facts.version}; there is nothing to override")
    if facts.output("Calibrator", "model") is None:
        raise RunError(f"run {facts.run_id} ({facts.state}) has no model; bless a run that was refused: `tfx-retail runs` lists them")
    wanted = (
        ("Verdict", "verdict", "verdict.json"),
        ("Evaluator", "evaluation", "evaluation.json"),
        ("ModelCard", "card", "model_card.md"),
    )
    files = {name: folder / name for node, key, name in wanted if (folder := facts.output(node, key)) and (folder / name).is_file()}
    missing = [name for _, _, name in wanted if name not in files]
    if facts.state != "not blessed" or missing:
        lacks = f", it lacks {', '.join(missing)}" if missing else ""
        raise RunError(f"run {facts.run_id} is {facts.state}, not refused{lacks}; run again and bless that run if it is refused")
    return files


def _model(facts: RunFacts) -> Path:
    folder = facts.output("Calibrator", "model")
    model = folder / _FORMAT if folder else None
    if model is None or not (model / "saved_model.pb").is_file():
        raise RunError(f"run {facts.run_id}: its model is gone from {folder}; run again, training starts anew")
    return model


def _settings(place: Workspace, run_id: str) -> dict[str, str]:
    """Returns what the run's own Pusher would have written, from the compiled pipeline."""
    file = place.run(run_id) / "pipeline.json"
    try:
        nodes = [node["pipelineNode"] for node in msgspec.json.decode(file.read_bytes())["nodes"]]
        (pusher,) = (node for node in nodes if node["nodeInfo"]["id"] == "Pusher")
        values: dict[str, Any] = pusher["parameters"]["parameters"]
        return {name: values[name]["fieldValue"]["stringValue"] for name in pushing.SETTINGS}
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{file}: cannot be read as the run's pipeline: {error!r}; run again and bless that run") from None


def _earlier(config: Config, run_id: str) -> Override | None:
    """Returns the override of a push that was cut off before the run said so."""
    for version in versions.list_versions(inputs.model_dir(config)):
        said = version.manifest.verdict.get("overridden")
        if version.manifest.run_id == run_id and said:
            return msgspec.convert(said, Override)
    return None


def _sign(place: Workspace, run_id: str, verdict: Verdict, override: Override) -> Path:
    path = place.run(run_id) / "verdict.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(verdict, overridden=override)), indent=1))
    return path


def _record(place: Workspace, facts: RunFacts, override: Override, number: int) -> None:
    blessing = facts.output("Verdict", "blessing")
    connection = lineage.connection(place)
    if blessing and (lineage.is_shared(connection) or place.metadata.is_file()):
        lineage.record_override(store.connect(connection), blessing, override, number)
    facts.state, facts.version, facts.overridden = "blessed", number, override
    write_run(place, facts)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name  # not from the environment: that can be set to anything
    except KeyError:
        return f"user {os.getuid()}"
