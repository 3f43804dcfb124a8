"""What a run came to, as a digest of each thing that has to be the same wherever Beam did the work."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from tfx_retail.runs import RunFacts

NODES = {
    "examples": "ExampleGen",
    "statistics": "StatisticsGen",
    "schema": "SchemaGen",
    "transform_graph": "Transform",
    "evaluation": "Evaluator",
}
_NUMBER = re.compile(r"(?<=_)\d+")


def of_run(facts: RunFacts) -> dict[str, str]:
    """Returns digests by output; what the run did not come to is left out."""
    found = {name: _output(facts, node, name) for name, node in NODES.items()}
    digests = {name: _of_folder(folder) for name, folder in found.items() if folder and name in ("examples", "statistics", "schema")}
    if folder := found["transform_graph"]:
        digests |= {"transform graph": _of_graph(folder / "transform_fn"), "counts of SKUs": _of_folder(folder / "transform_fn" / "assets")}
    if report := _output(facts, "ExampleGen", "report"):
        digests["counts"] = _of_file(report / "ingest.json") + _of_file(report / "rejected.csv")
    if folder := found["evaluation"]:
        digests |= {"metrics": _of_file(folder / "evaluation.json"), "look-alikes": _of_file(folder / "look_alikes.csv")}
    return digests


def counts(facts: RunFacts) -> dict[str, Any]:
    """Returns what ExampleGen counted."""
    report = _output(facts, "ExampleGen", "report")
    assert report, "ExampleGen did not run"
    return dict(json.loads((report / "ingest.json").read_text(encoding="utf-8")))


def _output(facts: RunFacts, node: str, name: str) -> Path | None:
    told = facts.node(node)
    return Path(told.outputs[name]) if told and name in told.outputs else None


def _of_folder(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(f"{path.relative_to(folder)} {_of_file(path)}\n".encode())
    return total.hexdigest()[:16]


def _of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _of_graph(folder: Path) -> str:
    """Nodes and functions in the order of their names: TensorFlow numbers what it saves as it comes."""
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    parts = [*map(str, graph.node), *map(str, graph.library.function)]
    return hashlib.sha256("\n".join(sorted(_NUMBER.sub("", part) for part in parts)).encode()).hexdigest()[:16]
