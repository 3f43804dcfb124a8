"""A cluster on this machine for tests, driven by the scripts that a user has, and a shop to run on it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tfx_retail.runs import RunFacts

ROOT = Path(__file__).parents[2]
BEAM_NODES = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator")
# ExampleGen: a worker of the trial job, one that reads, one that writes, or two of the same where the cluster is quick
KILLS = {"ExampleGen": 3, "StatisticsGen": 1, "Transform": 1, "Evaluator": 1}
PATIENCE_S = 240  # for the job of one element: machines that run tests are busy
CONFIG = """
name: shop
root: {root}
catalog: {{path: {data}/catalog.csv}}
data: {{path: {data}, format: voc, photo_facts: photos.csv, sample: {{photos: 120, skus: 12, seed: 3}}}}
model: {{image_size: 32, width: 8, blocks: [1, 1], embedding_dim: 16}}
train: {{epochs: 1, warmup_epochs: 0.5, batch_size: 32, early_stopping_epochs: 0}}
serving: {{dir: {root}/served}}
verdict: {{min_examples: 10, rules: [{{metric: family_accuracy, at_least: 0.0}}]}}
beam: {{shards: 4, patience_s: {patience}}}
"""


def missing() -> str:
    """Returns why no cluster can be started here; empty: it can."""
    lacking = [program for program in ("java", "mvn") if shutil.which(program) is None]
    return f"{' and '.join(lacking)} not found: apt-get install openjdk-17-jre-headless maven" if lacking else ""


class Shop:
    """One pipeline on one engine, or in process; all of them share the photos."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.engine = engine
        self.root = folder / engine
        self.config = folder / f"{engine}.yaml"
        self.config.write_text(CONFIG.format(root=self.root, data=folder / "data", patience=PATIENCE_S), encoding="utf-8")
        self.text = ""

    def run(self, *words: str, code: int = 0) -> RunFacts:
        """Runs the pipeline and returns its facts."""
        command = [sys.executable, "-W", "ignore", "-m", "tfx_retail", "run"] if self.engine == "local" else [_script(self.engine), "run"]
        done = subprocess.run(
            [*command, str(self.config), "--no-cache", *words],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=3000,
            check=False,
        )
        self.text = done.stdout + done.stderr
        assert done.returncode == code, self.text
        return self.facts()

    def running(self) -> str:
        """Returns the node that runs now, the infra check aside; empty: none does."""
        try:
            return next((told.node for told in self.facts().nodes[::-1] if told.state == "running" and told.node in BEAM_NODES), "")
        except (ValueError, OSError, msgspec.MsgspecError):  # no run yet
            return ""

    def facts(self) -> RunFacts:
        latest = max((self.root / "shop" / "runs").glob("*/run.json"))
        return msgspec.json.decode(latest.read_bytes(), type=RunFacts)


class Cluster:
    """What deploy/<engine>.sh starts."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.logs = ROOT / ".cache" / "engines" / engine / "logs"

    def call(self, *words: str) -> str:
        done = subprocess.run([_script(self.engine), *words], env=_environment(), capture_output=True, text=True, timeout=1800, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def kill_workers(self, shop: "Shop") -> Iterator[dict[str, list[int]]]:
        """Kills the first worker processes that get a job in each Beam node while the block goes on; gives their ids by node."""
        killed: dict[str, list[int]] = {}
        over = threading.Event()
        killer = threading.Thread(target=self._kill, args=(shop, killed, over))
        killer.start()
        try:
            yield killed
        finally:
            over.set()
            killer.join()

    def _kill(self, shop: "Shop", killed: dict[str, list[int]], over: threading.Event) -> None:
        known = len(self._begun())
        while not over.wait(0.05):
            begun = self._begun()
            node = shop.running()
            if len(begun) > known and node in BEAM_NODES and len(killed.get(node, ())) < KILLS[node]:
                time.sleep(0.3)  # it has connected, and works or is about to
                killed.setdefault(node, []).append(begun[-1])
                with suppress(ProcessLookupError):
                    os.kill(begun[-1], signal.SIGKILL)
            known = len(begun)

    def _begun(self) -> list[int]:
        """Returns the processes that were given a job, in the order of time."""
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in self.logs.glob("pool-*.log")]
        lines = sorted(line for text in texts for line in text.splitlines() if re.search(r"pool worker \S+: process \d+$", line))
        return [int(line.rpartition(" ")[2]) for line in lines]


def _script(engine: str) -> str:
    return str(ROOT / "deploy" / f"{engine}.sh")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TFX_RETAIL_PYTHON": sys.executable}
