"""Time and memory of a whole run, at two sizes: the bare script, the stock-style TFX pipeline and this project, in turn on one machine.

python -m benchmarks.bench [--crops 2000 20000] [--only bare stock ours]
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import crops, nodes
from benchmarks.measure import Cost, measure

HERE = Path(__file__).resolve().parent
SCRATCH = HERE.parent / ".cache" / "bench"
CONFIG = HERE / "crops.yaml"
SIDE_PX = 128


class Result(NamedTuple):
    """One contender at one size."""

    cost: Cost
    accuracy: float
    apart_s: float  # what it needed beside the job, not part of the time: the stock pipeline's TFRecords


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    options = _options()
    results = {name: {count: run(name, count) for count in sorted(options.crops)} for name in options.only}
    print(f"\n{machine()}\n")
    print(table(results))
    if len(results.get("ours", {})) > 1:
        print("\n" + nodes.table({count: result.cost for count, result in results["ours"].items()}, _ours(max(options.crops))))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    return parser.parse_args()


def run(name: str, count: int) -> Result:
    """Runs one contender on `count` crops, which are drawn first if they are not there."""
    data = crops.make(SCRATCH / f"crops-{count}-{SIDE_PX}", count=count, side_px=SIDE_PX)
    out = SCRATCH / "out" / f"{name}-{count}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log = SCRATCH / f"{name}-{count}.log"
    env = {"PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    cost = measure(COMMANDS[name](data, out), log=log, env=env, phase=nodes.running(_ours(count)))
    if cost.exit_code:
        sys.exit(f"{name} failed on {count} crops with exit code {cost.exit_code}: {log}")
    result = CONTENDERS[name](cost, out, log)
    print(f"{name} {count}: {result.cost.wall_s:.1f} s, {result.cost.cpu_s:.1f} s CPU, {result.cost.peak_mb:.0f} MB", file=sys.stderr)
    return result


def _ours(count: int) -> Path:
    return SCRATCH / "out" / f"ours-{count}" / "root" / "bench"


def _python(module: str) -> Callable[[Path, Path], list[str]]:
    return lambda data, out: [sys.executable, "-m", module, str(CONFIG), str(data), str(out / "out")]


def ours(data: Path, out: Path, *settings: str) -> list[str]:
    """Returns the command that runs this project on drawn crops."""
    places = {"data.path": data / "photos", "catalog.path": data / "catalog.csv", "root": out / "root", "serving.dir": out / "serving"}
    given = [f"--set={key}={value}" for key, value in places.items()] + [f"--set={text}" for text in settings]
    return [str(Path(sys.executable).parent / "tfx-retail"), "run", str(CONFIG), *given]


def _printed(cost: Cost, _out: Path, log: Path) -> Result:
    figures = json.loads(log.read_text(encoding="utf-8").strip().splitlines()[-1])
    apart_s = figures.get("records_s", 0.0)
    return Result(cost, figures["sku_accuracy"], apart_s)


def _evaluated(cost: Cost, out: Path, _log: Path) -> Result:
    (facts,) = (json.loads(path.read_text(encoding="utf-8")) for path in out.glob("root/bench/runs/*/run.json"))
    (folder,) = (node["outputs"]["evaluation"] for node in facts["nodes"] if node["node"] == "Evaluator")
    evaluation: dict[str, Any] = json.loads((Path(folder) / "evaluation.json").read_text(encoding="utf-8"))
    return Result(cost, evaluation["serving_default"]["overall"]["sku_accuracy"], 0.0)


COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "bare": _python("benchmarks.bare"),
    "stock": _python("benchmarks.stock"),
    "ours": ours,
}
CONTENDERS: dict[str, Callable[[Cost, Path, Path], Result]] = {"bare": _printed, "stock": _printed, "ours": _evaluated}
TITLES = {"bare": "bare script", "stock": "stock-style TFX", "ours": "tfx-retail"}


def table(results: dict[str, dict[int, Result]]) -> str:
    """Returns a Markdown table: wall and CPU time and peak memory of each size; from two sizes, the cost of a run and of 1,000 crops."""
    sizes = sorted({count for of_name in results.values() for count in of_name})
    heads = [f"{count:,} crops: wall, CPU, peak" for count in sizes]
    rows = [f"| | {' | '.join(heads)} | fixed | per 1,000 crops | accuracy |", "| --- |" + " ---: |" * (len(sizes) + 3)]
    for name, of_name in results.items():
        cells = [_cell(of_name[count], _seconds(results.get("bare", {}).get(count))) for count in sizes]
        fixed, each = _line({count: _seconds(result) or 0.0 for count, result in of_name.items()})
        rows.append(f"| {TITLES[name]} | {' | '.join(cells)} | {fixed} | {each} | {of_name[sizes[-1]].accuracy:.3f} |")
    return "\n".join(rows)


def _seconds(result: Result | None) -> float | None:
    return result.cost.wall_s - result.apart_s if result else None


def _cell(result: Result, bare_s: float | None) -> str:
    seconds = _seconds(result) or 0.0
    ratio = f" ({seconds / bare_s:.2f}x)" if bare_s else ""
    return f"{seconds:.1f} s{ratio}, {result.cost.cpu_s:.0f} s, {result.cost.peak_mb:,.0f} MB"


def _line(seconds: dict[int, float]) -> tuple[str, str]:
    """Returns the line through the smallest and the largest size: what a run costs, and what 1,000 crops cost."""
    small, large = min(seconds), max(seconds)
    if small == large:
        return "", ""
    each = (seconds[large] - seconds[small]) / (large - small)
    return f"{seconds[small] - small * each:.1f} s", f"{1000 * each:.2f} s"


def machine() -> str:
    """Returns a line about where and when."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in facts if line.startswith("model name")), "unknown CPU")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {model}, {memory_gb:.0f} GB, Python {python}"


if __name__ == "__main__":
    main()
