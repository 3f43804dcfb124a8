"""How the data nodes' time grows with the number of crops and of workers: in process, and on a cluster of this machine.

python -m benchmarks.scaling [--engines local spark flink] [--crops 10000 20000 40000 80000] [--workers 1 2]

Java, Maven and an hour. The workers share the machine's cores with each other and with the job server, so that two of them on two cores
show what an engine costs, not what a second machine gains.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks import crops
from benchmarks.bench import CONFIG, HERE, SCRATCH, SIDE_PX, machine

NODES = ("ExampleGen", "StatisticsGen", "Transform")


class Case(NamedTuple):
    """Where the work is done, and by how many workers; none: in the process itself."""

    engine: str
    workers: int

    def __str__(self) -> str:
        return f"{self.engine}, {self.workers} worker{'s' if self.workers > 1 else ''}" if self.workers else "in process"


def main() -> None:
    """Prints a line for each case and size as soon as it is known, then the tables."""
    options = _options()
    sizes = sorted(options.crops)
    whole = crops.make(SCRATCH / f"crops-{options.of or sizes[-1]}-{SIDE_PX}", count=sizes[-1], side_px=SIDE_PX)
    folders = {count: _first(whole, count) for count in sizes}
    print(machine(), flush=True)
    found = {}
    for case in _cases(options.engines, options.workers):
        found[case] = dict(_measured(case, folders))
    print("\n" + table(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=("local", "spark", "flink"), default=["local", "spark", "flink"])
    parser.add_argument("--crops", type=int, nargs="+", default=[10_000, 20_000, 40_000, 80_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--of", type=int, help="take them from a drawn set of so many, if there is one")
    return parser.parse_args()


def _cases(engines: list[str], workers: list[int]) -> Iterator[Case]:
    for engine in engines:
        yield from [Case(engine, 0)] if engine == "local" else [Case(engine, count) for count in workers]


def _first(whole: Path, count: int) -> Path:
    """Returns a folder with the first crops of a larger one, by links."""
    folder = SCRATCH / f"first-{count}-{SIDE_PX}"
    if not (folder / "catalog.csv").exists():
        shutil.rmtree(folder, ignore_errors=True)
        for path in sorted(whole.glob("photos/*/*/*/*.jpg"), key=lambda path: path.name)[:count]:
            target = folder / path.relative_to(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
        shutil.copy(whole / "catalog.csv", folder / "catalog.csv")
    return folder


def _measured(case: Case, folders: Mapping[int, Path]) -> Iterator[tuple[int, dict[str, float]]]:
    """Yields the seconds of each node by the number of crops."""
    if case.workers:
        _script(case, "up", "--workers", str(case.workers))
    try:
        for count, data in folders.items():
            seconds = _run(case, data)
            print(f"{case}, {count:,} crops: " + ", ".join(f"{node} {value:.1f} s" for node, value in seconds.items()), flush=True)
            yield count, seconds
    finally:
        if case.workers:
            _script(case, "down")


def _run(case: Case, data: Path) -> dict[str, float]:
    out = SCRATCH / "out" / "scaling"
    shutil.rmtree(out, ignore_errors=True)
    places = {"data.path": data / "photos", "catalog.path": data / "catalog.csv", "root": out / "root", "serving.dir": out / "serving"}
    words = ["run", str(CONFIG), "--to", "Transform", *(f"--set={key}={value}" for key, value in places.items())]
    if case.workers:
        _script(case, *words, "--set=beam.patience_s=240")
    else:
        _call([str(Path(sys.executable).parent / "tfx-retail"), *words])
    (facts,) = (json.loads(path.read_text(encoding="utf-8")) for path in out.glob("root/bench/runs/*/run.json"))
    return {node["node"]: node["seconds"] for node in facts["nodes"] if node["node"] in NODES}


def _script(case: Case, *words: str) -> None:
    _call([str(HERE.parent / "deploy" / f"{case.engine}.sh"), *words])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def table(found: Mapping[Case, Mapping[int, Mapping[str, float]]]) -> str:
    """Returns a Markdown table: all nodes by size, and the line through the smallest and the largest."""
    sizes = sorted({count for of_case in found.values() for count in of_case})
    heads = " | ".join(f"{count:,}" for count in sizes)
    rows = [f"| seconds of {', '.join(NODES)} | {heads} | fixed | each 1,000 |", "| --- |" + " ---: |" * (len(sizes) + 2)]
    for case, by_size in found.items():
        total = {count: sum(seconds.values()) for count, seconds in by_size.items()}
        each = (total[sizes[-1]] - total[sizes[0]]) / max(sizes[-1] - sizes[0], 1)
        cells = " | ".join(f"{total[count]:.0f}" for count in sizes)
        rows.append(f"| {case} | {cells} | {total[sizes[0]] - sizes[0] * each:.0f} s | {1000 * each:.2f} s |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
