"""One line of counts for each node, from the files that it left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tfx_retail.runs import NodeFacts, RunFacts, RunState


def summary(node: str, outputs: dict[str, str]) -> str:
    """Returns the counts of a node in words; empty where it has none to tell."""
    maker = _MAKERS.get(node)
    if maker is None:
        return ""
    key, name, words = maker
    file = Path(outputs.get(key, "")) / name
    return words(msgspec.json.decode(file.read_bytes())) if file.is_file() else ""


def push_of(facts: NodeFacts | None) -> dict[str, Any]:
    """Returns `push.json` of the Pusher: whether it pushed, which version, and why not; empty where there is none."""
    file = Path(facts.outputs.get("pushed_model", "")) / "push.json" if facts else None
    return dict(msgspec.json.decode(file.read_bytes())) if file and file.is_file() else {}


def end_state(facts: RunFacts, nodes: list[str]) -> RunState:
    """Returns what a run came to in which these nodes were to run, and notes the pushed version in its facts."""
    states = {node.node: node.state for node in facts.nodes}
    if "failed" in states.values():
        return "failed"
    if "interrupted" in states.values() or any(states.get(node, "running") == "running" for node in nodes):
        return "interrupted"
    if "Pusher" not in nodes:
        return "done"
    facts.version = push_of(facts.node("Pusher")).get("version")
    return "blessed" if facts.version is not None else "not blessed"


def small_facts(facts: NodeFacts) -> dict[str, Any]:
    """Returns the few numbers of a node that a scheduler's other tasks may ask for."""
    if facts.node == "Pusher":
        return {"version": push_of(facts).get("version")}
    key, name, fields = _SMALL.get(facts.node, ("", "", {}))
    file = Path(facts.outputs.get(key, "")) / name
    if not fields or not file.is_file():
        return {}
    found = msgspec.json.decode(file.read_bytes())
    return {field: pick(found) for field, pick in fields.items()}


def _ingest(facts: dict[str, Any]) -> str:
    roles = ", ".join(f"{role} {count:,}" for role, count in facts["roles"].items())
    shots = f", {facts['packshots']:,} pack shots among them" if facts.get("packshots") else ""
    return f"{facts['photos']['in']:,} photos, {facts['records']:,} crops ({roles}){shots}, {facts['rejected']:,} rejected"


def _data_check(facts: dict[str, Any]) -> str:
    return f"{len(facts['anomalies']):,} anomalies" if facts["anomalies"] else "no anomalies"


def _history(facts: dict[str, Any]) -> str:
    resumed = f", resumed after epoch {facts['resumed_from']}" if facts.get("resumed_from") else ""
    return f"{len(facts['epochs'])} epochs, best {facts['best_epoch']}{resumed}, {facts['parameters'] / 1e6:.2f} M parameters"


def _pretrained(facts: dict[str, Any]) -> str:
    refused = f" ({facts['refused']:,} files refused)" if facts["refused"] else ""
    first, last = facts["losses"][0], facts["losses"][-1]
    return f"{facts['images']:,} unlabelled crops{refused}, {facts['epochs']} epochs, loss {first:.2f} to {last:.2f}"


def _tuned(facts: list[dict[str, Any]]) -> str:
    best = ", ".join(f"{key} {value}" for key, value in facts[0].items() if key not in ("trial_id", "score"))
    return f"{len(facts)} trials, val loss {facts[-1]['score']:.3f} to {facts[0]['score']:.3f}; best: {best}"


def _sibling(facts: dict[str, Any]) -> str:
    found, held = facts["reported"][facts["kind"]], len(facts["choosing"]) + len(facts["reporting"])
    worth = "none of them in eval" if found["auroc"] is None else f"AUROC {found['auroc']:.3f}, {found['passed']:.0%} passed"
    return f"without {held} SKUs; {facts['kind']} tells unknown products: {worth}"


def _doubt(facts: dict[str, Any]) -> str:
    fitted = facts["calibration"]
    limits = (f"{name.replace('_', ' ')} from {limit:.3f}" for name, limit in facts["thresholds"].items() if limit is not None)
    accepted = ", ".join(limits) or "nothing is accepted"
    return f"{facts['crops']:,} crops, temperatures {fitted['family']['value']:.2f} and {fitted['look']['value']:.2f}; {accepted}"


def _predictions(facts: dict[str, Any]) -> str:
    return ", ".join(f"{role} {count:,}" for role, count in facts["counts"].items())


def _verdict(facts: dict[str, Any]) -> str:
    failed = [
        rule["text"] for rule in facts["rules"] if rule["result"] == "fail" or (rule["result"] == "too_few" and rule.get("kind") != "slice")
    ]
    return "blessed" if facts["blessed"] else f"not blessed: {'; '.join(failed)}"


def _infra(facts: dict[str, Any]) -> str:
    return "a fresh process gives the trainer's answers" if facts["passed"] else f"failed: {facts['reason']}"


_MAKERS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
    "ExampleGen": ("report", "ingest.json", _ingest),
    "DataGate": ("check", "data_check.json", _data_check),
    "Trainer": ("model_run", "history.json", _history),
    "Pretrain": ("trunk", "Format-Serving/pretrain.json", _pretrained),
    "Tuner": ("tuner_results", "tuner_results.json", _tuned),
    "Sibling": ("sibling", "sibling.json", _sibling),
    "Calibrator": ("model", "Format-Serving/assets.extra/doubt.json", _doubt),
    "Predictions": ("predictions", "predictions.json", _predictions),
    "InfraCheck": ("check", "infra_check.json", _infra),
    "Verdict": ("verdict", "verdict.json", _verdict),
}

_SMALL: dict[str, tuple[str, str, dict[str, Callable[[dict[str, Any]], Any]]]] = {
    "ExampleGen": ("report", "ingest.json", {"photos": lambda found: found["photos"]["in"], "crops": lambda found: found["records"]}),
    "DataGate": ("check", "data_check.json", {"anomalies": lambda found: len(found["anomalies"])}),
    "Verdict": ("verdict", "verdict.json", {"blessed": lambda found: found["blessed"]}),
}
