"""Peak memory of a whole run by the number of photos: it must not grow with it.

python -m benchmarks.memory [--photos 5000 20000] [--side-px 200]
"""

import argparse
import shutil
import sys

from benchmarks import crops
from benchmarks.bench import SCRATCH, machine, ours
from benchmarks.measure import Cost, measure


def main() -> None:
    """Prints a Markdown table of peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--side-px", type=int, default=200)
    options = parser.parse_args()
    costs = {count: peak(count, options.side_px) for count in sorted(options.photos)}
    print(f"\n{machine()}\n\n| photos of {options.side_px} px | peak, all processes | wall |\n| ---: | ---: | ---: |")
    for count, cost in costs.items():
        print(f"| {count:,} | {cost.peak_mb:,.0f} MB | {cost.wall_s:.0f} s |")


def peak(count: int, side_px: int) -> Cost:
    """Runs the pipeline once on `count` photos, one epoch: memory is a matter of what is held at once, not of how often."""
    data = crops.make(SCRATCH / f"crops-{count}-{side_px}", count=count, side_px=side_px)
    out = SCRATCH / "out" / f"memory-{count}"
    shutil.rmtree(out, ignore_errors=True)
    cost = measure(ours(data, out, "train.epochs=1"), log=SCRATCH / f"memory-{count}.log")
    if cost.exit_code:
        sys.exit(f"the run on {count} photos failed: {SCRATCH / f'memory-{count}.log'}")
    return cost


if __name__ == "__main__":
    main()
