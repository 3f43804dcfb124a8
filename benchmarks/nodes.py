"""What each node of a run costs: wall and CPU time, memory, and what it leaves on disk."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, Phase

LOADING, ENDING = "loading, reading the configuration", "page and ending"


def running(root: Path) -> Callable[[], str]:
    """Returns what tells the nodes at work in the newest run below a pipeline's folder."""

    def now() -> str:
        nodes = _newest(root).get("nodes", [])
        return " and ".join(node["node"] for node in nodes if node["state"] == "running") or (ENDING if nodes else LOADING)

    return now


def table(costs: Mapping[int, Cost], root: Path) -> str:
    """Returns a Markdown table of two sizes of a run: the line through both, node by node.

    Nodes that ran side by side are counted together while they did.

    Args:
      costs: by the number of crops.
      root: the pipeline's folder of the largest.
    """
    small, large = min(costs), max(costs)
    heads = "| node | fixed: wall, CPU | per 1,000 crops: wall, CPU | peak | disk, each crop |\n| --- |" + " ---: |" * 4
    found = {name: (costs[small].phases.get(name, Phase()), phase) for name, phase in costs[large].phases.items()}
    left = _left(root, list(found))
    rows = [_row(name, before, after, small, large, left[name]) for name, (before, after) in found.items()]
    counted = [phases for name, phases in found.items() if name not in ("Trainer", LOADING)]
    before, after = _sum(one for one, _ in counted), _sum(one for _, one in counted)
    return "\n".join([heads, *rows, _row("all but loading and Trainer", before, after, small, large, 0)])


def _row(name: str, before: Phase, after: Phase, small: int, large: int, left_bytes: int) -> str:
    wall, cpu = (_line(a, b, small, large) for a, b in ((before.wall_s, after.wall_s), (before.cpu_s, after.cpu_s)))
    disk = f"{left_bytes / large:,.0f} bytes" if left_bytes else ""
    return f"| {name} | {wall[0]:.1f} s, {cpu[0]:.1f} s | {wall[1]:.2f} s, {cpu[1]:.2f} s | {after.peak_mb:,.0f} MB | {disk} |"


def _line(before: float, after: float, small: int, large: int) -> tuple[float, float]:
    """Returns what no crop costs, and what 1,000 cost."""
    each = (after - before) / (large - small) if large > small else 0.0
    return before - small * each, 1000 * each


def _sum(phases: Iterator[Phase]) -> Phase:
    known = list(phases)
    return Phase(sum(one.wall_s for one in known), sum(one.cpu_s for one in known), max(one.peak_mb for one in known))


def _left(root: Path, names: list[str]) -> dict[str, int]:
    """Returns how many bytes the nodes of each phase left; those of a node stand at its first phase."""
    left, told = {}, set[str]()
    for name in names:
        nodes = set(name.split(" and ")) - told
        told |= nodes
        left[name] = sum(file.stat().st_size for node in nodes for file in (root / "nodes" / node).rglob("*") if file.is_file())
    return left


def _newest(root: Path) -> dict[str, Any]:
    runs = sorted((root / "runs").glob("*/run.json"))
    return json.loads(runs[-1].read_text(encoding="utf-8")) if runs else {}
