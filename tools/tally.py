"""Prints how many tests passed, failed and were skipped, over all the JUnit files of some folders."""

import sys
from pathlib import Path

from defusedxml import ElementTree


def tally(*folders: Path) -> dict[str, int]:
    """Returns the number of tests by outcome; a test that broke while being set up has failed."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.xml"))]
    suites = [suite for path in paths for suite in ElementTree.parse(path).iter("testsuite")]
    total, failures, errors, skipped = (
        sum(int(suite.get(key, "0")) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
    )
    return {"passed": total - failures - errors - skipped, "failed": failures + errors, "skipped": skipped}


if __name__ == "__main__":
    outcome = tally(*map(Path, sys.argv[1:]))
    print(", ".join(f"{count} {name}" for name, count in outcome.items()))
    sys.exit(outcome["failed"] > 0 or outcome["passed"] == 0)
