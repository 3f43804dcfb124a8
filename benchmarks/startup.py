"""How long a person waits before anything happens: help, check, and a run with nothing to do against the imports that it cannot avoid.

python -m benchmarks.startup
"""

import statistics
import sys
from pathlib import Path

from benchmarks.bench import HERE, SCRATCH, machine
from benchmarks.measure import measure

SAMPLE = str(HERE.parent / "configs" / "sample.yaml")
TFX_RETAIL = str(Path(sys.executable).parent / "tfx-retail")
IMPORTS = "import tensorflow, tfx.components, tfx.orchestration.portable.launcher"
REPEATS = 5


def main() -> None:
    """Prints a Markdown table of medians."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    seconds([TFX_RETAIL, "run", SAMPLE], repeats=1)  # so that all that follows finds the sample and a finished run
    rows = {
        "tfx-retail --help": seconds([TFX_RETAIL, "--help"]),
        "tfx-retail check configs/sample.yaml": seconds([TFX_RETAIL, "check", SAMPLE]),
        f"python -c '{IMPORTS}'": seconds([sys.executable, "-c", IMPORTS], repeats=3),
        "tfx-retail run configs/sample.yaml, nothing changed": seconds([TFX_RETAIL, "run", SAMPLE], repeats=3),
    }
    print(f"\n{machine()}\n\n| command | median |\n| --- | ---: |")
    for command, median_s in rows.items():
        print(f"| `{command}` | {median_s:.2f} s |")


def seconds(command: list[str], *, repeats: int = REPEATS) -> float:
    """Returns the median wall time."""
    log = SCRATCH / "startup.log"
    costs = [measure(command, log=log) for _ in range(repeats)]
    if any(cost.exit_code for cost in costs):
        sys.exit(f"{' '.join(command)} failed: {log}")
    return statistics.median(cost.wall_s for cost in costs)


if __name__ == "__main__":
    main()
