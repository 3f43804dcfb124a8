"""The benchmarks' own arithmetic: a table that is wrong looks as good as one that is right."""

import sys
from pathlib import Path

from benchmarks.bench import Result, table
from benchmarks.measure import Cost, measure

BARE = {2000: Result(Cost(20.0, 30.0, 800.0, 0), 0.5, 0.0), 20000: Result(Cost(56.0, 90.0, 900.0, 0), 0.75, 0.0)}
STOCK = {2000: Result(Cost(31.0, 50.0, 1100.0, 0), 0.5, 1.0), 20000: Result(Cost(122.0, 150.0, 2000.0, 0), 0.75, 10.0)}


def test_two_sizes_give_the_cost_of_a_run_and_of_a_thousand_crops() -> None:
    row = table({"bare": BARE}).splitlines()[2]
    assert row == "| bare script | 20.0 s (1.00x), 30 s, 800 MB | 56.0 s (1.00x), 90 s, 900 MB | 16.0 s | 2.00 s | 0.750 |"


def test_what_a_contender_needed_beside_the_job_is_not_counted() -> None:
    row = table({"bare": BARE, "stock": STOCK}).splitlines()[3]
    assert row == "| stock-style TFX | 30.0 s (1.50x), 50 s, 1,100 MB | 112.0 s (2.00x), 150 s, 2,000 MB | 20.9 s | 4.56 s | 0.750 |"


def test_a_command_costs_what_its_children_cost_too(tmp_path: Path) -> None:
    child = "data = bytearray(100 << 20)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True); print('done'); sys.exit(3)"
    cost = measure([sys.executable, "-c", parent], log=tmp_path / "log")
    assert (cost.exit_code, (tmp_path / "log").read_text()) == (3, "done\n")
    assert cost.peak_mb > 100
