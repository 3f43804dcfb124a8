"""A shop to run the pipeline in: a folder with a configuration, driven through the command line as a user does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = """
name: shop
root: output
catalog: {path: data/catalog.csv}
data:
  path: data
  format: voc
  photo_facts: photos.csv
  schema: schema.pbtxt
  sample: {photos: 60, skus: 12, seed: 3}
model: {image_size: 32, width: 8, blocks: [1, 1], embedding_dim: 16}
train: {epochs: 3, warmup_epochs: 0.5, batch_size: 32, early_stopping_epochs: 0}
serving: {dir: served}
verdict:
  min_examples: 10
  rules:
    - {metric: family_accuracy, at_least: 0.05}
"""


class Shop:
    """A folder with a pipeline, driven through the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "shop.yaml"
        self.config.write_text(CONFIG, encoding="utf-8")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tfx_retail", *words]

    def call(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(self.command(*words), cwd=self.folder, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()[-4000:]}"
        return done.stdout + done.stderr

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        self.text = self.call("run", "shop.yaml", *words, code=code)
        return self.facts()

    def facts(self) -> dict[str, Any]:
        return dict(json.loads(self.run_folders()[-1].joinpath("run.json").read_text()))

    def run_folders(self) -> list[Path]:
        return sorted((self.folder / "output" / "shop" / "runs").glob("*"))

    def log(self) -> str:
        folders = self.run_folders()
        log = folders[-1] / "run.log" if folders else None
        return log.read_text(errors="replace") if log and log.is_file() else ""

    def states(self) -> dict[str, str]:
        return {node["node"]: node["state"] for node in self.facts()["nodes"]}

    def kill_in(self, node: str, *words: str, once: str = "") -> None:
        """Starts a run and kills it with SIGKILL while `node` is at work.

        Args:
          once: pattern below the pipeline's folder; the kill waits for the first file of that name.
        """
        before = len(self.run_folders())
        with subprocess.Popen(self.command("run", "shop.yaml", *words), cwd=self.folder, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 600
            while not (self._is_running(before, node) and (not once or any((self.folder / "output" / "shop").glob(once)))):
                assert process.poll() is None and time.monotonic() < deadline, f"{node} was not seen running\n{self.log()[-3000:]}"
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)

    def _is_running(self, before: int, node: str) -> bool:
        folders = self.run_folders()
        file = folders[-1] / "run.json" if len(folders) > before else None
        if file is None or not file.is_file():
            return False
        return any(item["node"] == node and item["state"] == "running" for item in json.loads(file.read_text())["nodes"])
