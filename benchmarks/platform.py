"""One platform's column of the table in README.md: the imports, the sample, and 2,000 crops with all three contenders, once each.

python -m benchmarks.platform          on each platform in turn; all data is drawn before the first clock starts
"""

import shutil
import sys
from importlib.metadata import version

from benchmarks import bench, crops
from benchmarks.measure import Cost, measure
from benchmarks.startup import IMPORTS, SAMPLE, TFX_RETAIL

COUNT = 2000
DATA = bench.SCRATCH / "sample"


def main() -> None:
    """Prints what the column is of, then its lines: wall time, CPU time, peak memory."""
    draw()
    print(f"{bench.machine()}, TFX {version('tfx')}\n")
    for name, cost in [("imports", imports()), ("sample", sample()), *contenders()]:
        print(f"| {name} | {cost.wall_s:.1f} s, {cost.cpu_s:.0f} s, {cost.peak_mb:,.0f} MB |", flush=True)


def draw() -> None:
    """Makes the data that all rows read, as configs/sample.yaml and `bench` want it."""
    bench.SCRATCH.mkdir(parents=True, exist_ok=True)
    crops.make(bench.SCRATCH / f"crops-{COUNT}-{bench.SIDE_PX}", count=COUNT, side_px=bench.SIDE_PX)
    if not DATA.exists():
        _measured([TFX_RETAIL, "sample", "--photos", "240", "--skus", "14", "--seed", "1", str(DATA)])


def imports() -> Cost:
    """Returns what loading TensorFlow and TFX costs, the second time."""
    _measured([sys.executable, "-c", IMPORTS])
    return _measured([sys.executable, "-c", IMPORTS])


def sample() -> Cost:
    """Returns what the whole run of the sample costs on an empty cache."""
    out = bench.SCRATCH / "out" / "sample"
    shutil.rmtree(out, ignore_errors=True)
    places = {"data.path": DATA, "catalog.path": DATA / "catalog.csv", "root": out / "root", "serving.dir": out / "serving"}
    return _measured([TFX_RETAIL, "run", SAMPLE, *(f"--set={key}={value}" for key, value in places.items())])


def contenders() -> list[tuple[str, Cost]]:
    """Returns what the bare script, stock-style TFX and this project cost on the crops."""
    return [(bench.TITLES[name], bench.run(name, COUNT).cost) for name in bench.CONTENDERS]


def _measured(command: list[str]) -> Cost:
    log = bench.SCRATCH / "platform.log"
    cost = measure(command, log=log, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    if cost.exit_code:
        sys.exit(f"{' '.join(command)} failed: {log}")
    return cost


if __name__ == "__main__":
    main()
