"""What a pushed version holds beside its model, written once for the Pusher and for a person's override."""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from tfx_retail import doubt, versions
from tfx_retail.verdict import SignatureEvaluation, Verdict
from tfx_retail.versions import EXTRA, Manifest

# what a Manifest has of the settings of the Pusher node
SETTINGS = ("name", "config", "config_digest", "data_digest", "code_digest")


def push(exported: Path, model_dir: Path, files: Mapping[str, Path], settings: Mapping[str, str], run_id: str) -> int:
    """Returns the number of the version that holds an exported model and what explains it.

    Args:
      files: `verdict.json`, `evaluation.json` and `model_card.md`, each with where it lies.
      settings: SETTINGS; `config` is the whole configuration as JSON.

    Raises:
      VersionError: the served labels moved meanwhile, or the disk is full.
    """
    verdict = msgspec.json.decode(files["verdict.json"].read_bytes(), type=Verdict)
    measured = msgspec.json.decode(files["evaluation.json"].read_bytes(), type=dict[str, SignatureEvaluation])
    manifest = Manifest(
        name=settings["name"],
        run_id=run_id,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        config=msgspec.json.decode(settings["config"]),
        config_digest=settings["config_digest"],
        data_digest=settings["data_digest"],
        code_digest=settings["code_digest"],
        metrics={name: signature.overall for name, signature in measured.items()},
        verdict=msgspec.to_builtins(msgspec.structs.replace(verdict, slices=[])),  # thousands of rows; verdict.json beside it has them
        schema_reviewed=verdict.schema_reviewed,
        accepts=_accepts(exported),
        baseline=verdict.baseline,
    )
    return versions.push(exported, model_dir, manifest, {f"{EXTRA}/{name}": path for name, path in files.items()})


def _accepts(exported: Path) -> dict[str, Any]:
    """Returns what the model promises of what it accepts; empty of a model that was made before there were promises."""
    found = doubt.read(exported / EXTRA)
    if found is None:
        return {}
    return {
        name: {"threshold": found.thresholds[name], "fixed": name in found.fixed}
        | {field: getattr(promise, field) for field in ("target", "delta", "bound", "trials", "wrong", "reachable")}
        | {"text": text}
        for (name, promise), (_, text) in zip(found.promises.items(), found.lines, strict=True)
    }
