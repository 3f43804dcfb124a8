"""One line of counts for each node, from the files that it left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


def summary(node: str, outputs: dict[str, str]) -> str:
    """Returns the counts of a node in words; empty where it has none to tell."""
    maker = _MAKERS.get(node)
    if maker is None:
        return ""
    key, name, words = maker
    file = Path(outputs.get(key, "")) / name
    return words(msgspec.json.decode(file.read_bytes())) if file.is_file() else ""


def _ingest(facts: dict[str, Any]) -> str:
    roles = ", ".join(f"{role} {count:,}" for role, count in facts["roles"].items())
    return f"{facts['photos']['in']:,} photos, {facts['records']:,} crops ({roles}), {facts['rejected']:,} rejected"


def _data_check(facts: dict[str, Any]) -> str:
    return f"{len(facts['anomalies']):,} anomalies" if facts["anomalies"] else "no anomalies"


def _history(facts: dict[str, Any]) -> str:
    resumed = f", resumed after epoch {facts['resumed_from']}" if facts.get("resumed_from") else ""
    return f"{len(facts['epochs'])} epochs, best {facts['best_epoch']}{resumed}, {facts['parameters'] / 1e6:.2f} M parameters"


def _predictions(facts: dict[str, Any]) -> str:
    return ", ".join(f"{role} {count:,}" for role, count in facts["counts"].items())


def _verdict(facts: dict[str, Any]) -> str:
    failed = [
        rule["text"] for rule in facts["rules"] if rule["result"] == "fail" or (rule["result"] == "too_few" and rule.get("kind") != "slice")
    ]
    return "blessed" if facts["blessed"] else f"not blessed: {'; '.join(failed)}"


def _infra(facts: dict[str, Any]) -> str:
    return "a fresh process gives the trainer's answers" if facts["passed"] else f"failed: {facts['reason']}"


_MAKERS: dict[str, tuple[str, str, Callable[[dict[str, Any]], str]]] = {
    "ExampleGen": ("report", "ingest.json", _ingest),
    "DataGate": ("check", "data_check.json", _data_check),
    "Trainer": ("model_run", "history.json", _history),
    "Predictions": ("predictions", "predictions.json", _predictions),
    "InfraCheck": ("check", "infra_check.json", _infra),
    "Verdict": ("verdict", "verdict.json", _verdict),
}
