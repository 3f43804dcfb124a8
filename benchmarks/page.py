"""Verdict and page of a large evaluation: time, memory, weight, and how soon a browser has it open.

python -m benchmarks.page [--crops 200000] [--skus 2000]

The evaluation is made first, which takes minutes and 36 kB for each crop, and kept. Then one process judges it and writes its page, as the
end of a run does; loading TensorFlow, which a run has done by then, is not counted in the time, and is counted in the memory.
"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.bench import SCRATCH, machine
from benchmarks.measure import measure
from tfx_retail import catalog, config_file, inputs
from tfx_retail.config import Config
from tfx_retail.page.write import write_page
from tfx_retail.runs import NodeFacts, RunFacts, write_run

RUN = "20260101T000000.000Z"
CONFIG = """
name: shop
root: {folder}/out
catalog: {{path: {folder}/catalog.csv}}
data: {{path: {folder}, format: voc}}
serving: {{dir: {folder}/models}}
verdict:
  rules: [{{metric: sku_accuracy, at_least: 0.5}}]
"""


class Opened(NamedTuple):
    """What a browser needed to open the page."""

    seconds: float  # until it is loaded and its script has drawn the tables
    megabytes: float


def main() -> None:
    """Prints a Markdown table."""
    options = _options()
    if options.step:
        judge_and_write(options.step)
        return
    folder = SCRATCH / f"evaluated-{options.crops}-{options.skus}"
    if not (folder / "whole").is_file():
        _make(folder, options.crops, options.skus)
    log = SCRATCH / "page.log"
    cost = measure([sys.executable, "-m", "benchmarks.page", "--step", str(folder)], log=log)
    if cost.exit_code:
        sys.exit(f"the page of {folder} was not made: {log}")
    found = json.loads(log.read_text(encoding="utf-8").strip().splitlines()[-1])
    opened = open_in_chromium(Path(found["path"]))
    print(f"\n{machine()}\n\n| {options.crops:,} crops, {options.skus:,} SKUs | wall | CPU |\n| --- | ---: | ---: |")
    for name in ("doubt", "verdict", "page"):
        print(f"| {name} | {found[name][0]:.1f} s | {found[name][1]:.1f} s |")
    shown = f"opens in {opened.seconds:.2f} s" if opened else "Chromium or Playwright is missing: it was not opened"
    print(f"\npeak {cost.peak_mb:,.0f} MB; page {found['megabytes']:.2f} MB, {shown}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=200_000)
    parser.add_argument("--skus", type=int, default=2_000)
    parser.add_argument("--step", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _make(folder: Path, crops: int, skus: int) -> None:
    from benchmarks import evaluated  # noqa: PLC0415  # loads TensorFlow

    shutil.rmtree(folder, ignore_errors=True)
    print(f"making {crops:,} evaluated crops of {skus:,} SKUs in {folder}", file=sys.stderr)
    given = evaluated.shelf(skus)
    evaluated.write(folder, crops, given)
    catalog.write(evaluated.products(given), folder / "catalog.csv")
    (folder / "whole").touch()


def judge_and_write(folder: Path) -> None:
    """Judges the evaluation, writes its page, and prints what both took as one line of JSON."""
    from benchmarks import judging  # noqa: PLC0415  # loads TensorFlow, and this is where its time is not counted

    config, facts = run_of(folder)
    doubt = _timed(lambda: judging.measure(folder / "predictions", folder / "evaluation" / "evaluation.json"))
    verdict = _timed(lambda: judging.judge(folder / "predictions", folder / "verdict"))
    page = _timed(lambda: write_page(config, facts))
    path = inputs.workspace(config).run(RUN) / "report.html"
    print(json.dumps({"doubt": doubt, "verdict": verdict, "page": page, "path": str(path), "megabytes": path.stat().st_size / 1e6}))


def _timed(act: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def run_of(folder: Path) -> tuple[Config, RunFacts]:
    """Returns a run whose nodes left what lies in the folder."""
    (folder / "shop.yaml").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    config = config_file.load(folder / "shop.yaml")
    facts_of = msgspec.json.decode((folder / "predictions" / "predictions.json").read_bytes())
    overall = {"sku_accuracy": 0.9, "examples": facts_of["counts"]["eval"]}
    _write(folder / "evaluation" / "evaluation.json", {name: {"overall": overall} for name in ("serving_default", "predict_sized")})
    _write(folder / "report" / "ingest.json", {"records": overall["examples"], "skus": _counted(folder)})
    shutil.copy(folder / "catalog.csv", _folder(folder / "labels") / "catalog.csv")
    outputs = {
        "ExampleGen": {"examples": folder / "examples", "report": folder / "report"},
        "Labels": {"labels": folder / "labels"},
        "Predictions": {"predictions": folder / "predictions"},
        "Evaluator": {"evaluation": folder / "evaluation"},
        "Verdict": {"verdict": _folder(folder / "verdict")},
    }
    nodes = [
        NodeFacts(node=name, state="ran", seconds=1.0, outputs={key: str(at) for key, at in of.items()}) for name, of in outputs.items()
    ]
    facts = RunFacts(run_id=RUN, pipeline="shop", started="2026-01-01T00:00:00+00:00", state="not blessed", seconds=5.0, nodes=nodes)
    write_run(inputs.workspace(config), facts)
    return config, facts


def _counted(folder: Path) -> dict[str, dict[str, int]]:
    """Made up: what the balance table shows is one row for each SKU whatever the numbers are."""
    skus = [product.sku for product in catalog.read(folder / "catalog.csv").products]
    return {
        sku: Counter(train=7 * (1 + place % 90), validation=place % 30, calibration=place % 30, eval=place % 90)
        for place, sku in enumerate(skus)
    }


def _write(path: Path, value: Any) -> None:
    _folder(path.parent)
    path.write_bytes(msgspec.json.encode(value))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def open_in_chromium(path: Path) -> Opened | None:
    """Returns what opening took, the best of three; None without a browser."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  # of the dev group; without it the rest is measured
    except ModuleNotFoundError:
        return None
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        seconds = min(_opening(browser, path) for _ in range(3))
        browser.close()
    return Opened(seconds, path.stat().st_size / 1e6)


def _opening(browser: Any, path: Path) -> float:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    begun = time.perf_counter()
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it has been painted
    seconds = time.perf_counter() - begun
    page.close()
    return seconds


if __name__ == "__main__":
    main()
