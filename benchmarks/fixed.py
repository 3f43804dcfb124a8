"""What a run costs that has next to nothing to do: 50 crops and one step on an empty cache, against `import tensorflow` beside it.

python -m benchmarks.fixed [--rounds 5] [--stock]      the walls of other hours do not compare: both are run in turn
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks import bench, crops
from benchmarks.measure import Cost, measure

CROPS = 50
IMPORT = "import tensorflow"
AROUND = "start of the command, imports, page and ending"
_OUT = bench.SCRATCH / "out" / "fixed"
_ENV = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(bench.HERE.parent)}


class Round(NamedTuple):
    """Each contender once, one after the other."""

    loaded: Cost  # `import tensorflow`
    ours: Cost
    nodes: dict[str, float]  # wall seconds, in the order in which they began; those that ran side by side overlap
    stock: Cost | None


def main() -> None:
    """Prints a Markdown table of medians, and the nodes' seconds below it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stock", action="store_true", help="the stock-style pipeline beside it")
    options = parser.parse_args()
    data = crops.make(bench.SCRATCH / f"crops-{CROPS}-{bench.SIDE_PX}", count=CROPS, side_px=bench.SIDE_PX)
    _round(data, stock=options.stock)  # so that what all read lies in memory
    rounds = [_told(_round(data, stock=options.stock)) for _ in range(options.rounds)]
    print(f"\n{bench.machine()}; medians of {len(rounds)} rounds\n\n{table(rounds)}\n\n{of_nodes(rounds)}")


def table(rounds: list[Round]) -> str:
    """Returns medians of wall and CPU time, and how many times the import's they are: medians of the rounds' own ratios."""
    lines = ["| | wall | CPU | wall, times the import |", "| --- | ---: | ---: | ---: |"]
    imports = [one.loaded for one in rounds]
    rows = {f"`python -c '{IMPORT}'`": imports, f"tfx-retail, {CROPS} crops, 1 step": [one.ours for one in rounds]}
    stock = [one.stock for one in rounds if one.stock]
    rows |= {"stock-style TFX, the same": stock} if stock else {}
    for name, costs in rows.items():
        ratios = [cost.wall_s / loaded.wall_s for cost, loaded in zip(costs, imports, strict=True)]
        wall, cpu = _median(cost.wall_s for cost in costs), _median(cost.cpu_s for cost in costs)
        lines.append(f"| {name} | {wall} s | {cpu} s | {statistics.median(ratios):.2f} |")
    return "\n".join(lines)


def of_nodes(rounds: list[Round]) -> str:
    """Returns the median seconds of each node."""
    lines = ["| node | wall |", "| --- | ---: |"]
    return "\n".join([*lines, *(f"| {name} | {_median(one.nodes[name] for one in rounds)} s |" for name in rounds[0].nodes)])


def _median(values: Any) -> str:
    return f"{statistics.median(values):.1f}"


def _round(data: Path, *, stock: bool) -> Round:
    loaded = _measured([sys.executable, "-c", IMPORT], _OUT)
    out = _OUT / "ours"
    ours = _measured(bench.ours(data, out, "train.epochs=1", "train.max_steps=1"), out)
    nodes = _nodes(out, ours)
    return Round(loaded, ours, nodes, _stock(data) if stock else None)


def _stock(data: Path) -> Cost:
    """Runs the stock-style pipeline for one step on all; writing its TFRecords is counted too, and takes no time."""
    settings = msgspec.yaml.decode(bench.CONFIG.read_bytes())
    settings["train"] |= {"epochs": 1, "batch_size": 40}  # as many as its train split has
    config = bench.SCRATCH / "fixed.yaml"
    config.write_bytes(msgspec.yaml.encode(settings))
    out = _OUT / "stock"
    return _measured([sys.executable, "-m", "benchmarks.stock", str(config), str(data), str(out / "out")], out)


def _measured(command: list[str], out: Path) -> Cost:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log = bench.SCRATCH / "fixed.log"
    cost = measure(command, log=log, env=_ENV)
    if cost.exit_code not in (0, 3):  # one step makes no model that is blessed
        sys.exit(f"{' '.join(command)} failed with exit code {cost.exit_code}: {log}")
    return cost


def _nodes(out: Path, cost: Cost) -> dict[str, float]:
    (file,) = out.glob("root/bench/runs/*/run.json")
    facts = json.loads(file.read_text(encoding="utf-8"))
    return {AROUND: cost.wall_s - facts["seconds"]} | {node["node"]: node["seconds"] for node in facts["nodes"]}


def _told(one: Round) -> Round:
    print(f"{one.loaded.wall_s:.1f} s, {one.ours.wall_s:.1f} s: {one.ours.wall_s / one.loaded.wall_s:.2f} times", file=sys.stderr)
    return one


if __name__ == "__main__":
    main()
