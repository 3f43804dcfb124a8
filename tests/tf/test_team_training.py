"""Trainings by two processes of this machine: the same end as by one, killed workers, another machine's command, and what is refused."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.fast.shop import CONFIG
from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import checkpoints, handover, team, training, training_data
from tfx_retail.config import Config
from tfx_retail.errors import UserError
from tfx_retail.fitting import Fitted
from tfx_retail.team import Team
from tfx_retail.training_data import Counts, Part, Sources, TrainingBatches

REPOSITORY = Path(__file__).resolve().parents[2]
EPOCHS = 14
ONE = {"epochs": EPOCHS, "ema": 0.9, "batch_size": 16}
TWO = ONE | {"strategy": "multi_worker", "workers": 2}
LIMIT_S = 300  # for what takes seconds where nothing else runs
SKUS = [sku for sku, _ in retail_set.LABELS]


@pytest.fixture(scope="module")
def packs(packs: RetailSet, tmp_path_factory: pytest.TempPathFactory) -> RetailSet:
    """The set of the other tests, with some of each SKU in both of its files, as ExampleGen writes them."""
    folder = tmp_path_factory.mktemp("mixed")
    for name in ("labels.csv", "catalog.csv", "transform", "Split-validation"):
        (folder / name).symlink_to(packs.folder / name)
    (folder / "Split-train").mkdir()
    files = [tf.io.TFRecordWriter(str(folder / "Split-train" / f"data-{shard:05d}-of-00002")) for shard in range(2)]
    halves = [list(tf.data.TFRecordDataset(str(name)).as_numpy_iterator()) for name in sorted((packs.folder / "Split-train").iterdir())]
    for half in halves:  # one has cola and water in turn, the other lime and still
        for number, example in enumerate(half):
            files[number // 2 % 2].write(example)
    for file in files:
        file.close()
    return RetailSet(folder)


def history(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "run" / "history.json").read_text())
    return found


def counted(graph: tft.TFTransformOutput, config: Config) -> Counts:
    """What is known of the drawn set: water and still are one look, milk has no photo."""
    examples = training_data.examples(graph, SKUS)
    return Counts(examples, training_data.balanced(examples, config.train), np.array([0, 1, 2, 3, 3, 4]), np.array([0, 1, 0, 2, 3]))


def train(packs: RetailSet, output: Path, config: Config, meet: Path | None = None) -> Fitted:
    """Trains as the Trainer, without exporting."""
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    sources = Sources([str(packs.folder / "Split-train" / "*")], [str(packs.folder / "Split-validation" / "*")], graph)
    return training.trained(
        config,
        counted(graph, config),
        sources,
        checkpoints=output / "checkpoints",
        run_dir=output / "run",
        progress=None,
        meet=meet or output / "meet",
    )


@pytest.fixture(scope="module")
def together(packs: RetailSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training by two processes, with what the Trainer makes of it."""
    output = tmp_path_factory.mktemp("together")
    training.run_fn(packs.arguments(output, retail_set.config(TWO), progress=str(output / "progress.jsonl")))
    return output


def test_two_processes_come_to_what_one_comes_to(packs: RetailSet, together: Path, tmp_path: Path) -> None:
    one, two = train(packs, tmp_path, retail_set.config(ONE)), history(together)
    assert (two["resumed_from"], len(two["epochs"])) == (0, EPOCHS)
    (wanted, found) = (epochs[-1] for epochs in (one.progress.history, two["epochs"]))
    assert (found["val_accuracy"], wanted["val_accuracy"]) == (1.0, 1.0)
    assert found["val_loss"] == pytest.approx(wanted["val_loss"], abs=0.15)


def test_what_two_processes_trained_is_exported(together: Path) -> None:
    network, known = handover.load(together / "network")
    images = tf.constant([retail_set.pack(sku, 700) for sku in ("cola", "lime", "water")])
    outputs, _ = handover.of_images(network, known.image_size)(images)
    assert [known.looks[number] for number in outputs["logits"].numpy().argmax(axis=1)] == ["cola", "lime", "water"]


def test_worker_0_tells_of_progress_and_keeps_the_curves(together: Path) -> None:
    lines = [json.loads(line) for line in (together / "progress.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if "val_accuracy" in line] == list(range(1, EPOCHS + 1))
    assert len(list((together / "run").glob("events.out.tfevents.*"))) == 1


@contextmanager
def killing(pid_of: Callable[[], int], folder: Path, then: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Kills a process as soon as a checkpoint is in the folder; yields a list that then holds its number."""
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + LIMIT_S
        while checkpoints.load(folder) is None and time.monotonic() < end:
            threading.Event().wait(0.01)
        killed.append(pid_of())
        os.kill(killed[0], signal.SIGKILL)
        then()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        thread.join()


def goes_on_to_the_same_end(output: Path, together: Path) -> None:
    found, whole = history(output), history(together)
    assert 1 <= found["resumed_from"] < EPOCHS
    assert [epoch["epoch"] for epoch in found["epochs"]] == list(range(1, EPOCHS + 1))
    losses = [[epoch["val_loss"] for epoch in told["epochs"]] for told in (found, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_a_killed_worker_is_started_again_and_training_goes_on(
    packs: RetailSet, together: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def second_worker() -> int:
        (pid,) = re.findall(r"worker 1 \S+ process (\d+) for attempt 1", caplog.text)
        return int(pid)

    with killing(second_worker, tmp_path / "checkpoints") as killed:
        train(packs, tmp_path, retail_set.config(TWO))
    assert len(killed) == 1
    assert "was ended by signal 9; attempt 1 is over" in caplog.text
    goes_on_to_the_same_end(tmp_path, together)


class Machine:
    """Another machine: the command that it runs, which can be started again."""

    def __init__(self, folder: Path, whole: Team) -> None:
        self._folder, self._whole = folder, whole
        (folder / "shop.yaml").write_text(CONFIG + "train: {strategy: multi_worker, workers: 2}\n", encoding="utf-8")
        self.start()

    @property
    def meet(self) -> Path:
        return self._folder / "out" / "shop" / "team"

    def start(self) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tfx_retail", "train-worker", str(self._folder / "shop.yaml")]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "TF_CONFIG": self._whole.at(1).tf_config})

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def test_a_machine_that_dies_may_come_back(
    packs: RetailSet, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = team.on_this_machine(2)
    machine = Machine(tmp_path, whole)
    first = machine.process
    monkeypatch.setenv("TF_CONFIG", whole.tf_config)
    try:
        with killing(lambda: first.pid, tmp_path / "checkpoints", then=machine.start):
            train(packs, tmp_path, retail_set.config(TWO), machine.meet)
    finally:
        machine.end()
        first.wait()
    assert "attempt 1 is over" in caplog.text
    goes_on_to_the_same_end(tmp_path, together)


def test_more_workers_than_files_are_refused(packs: RetailSet, tmp_path: Path) -> None:
    config = retail_set.config({"strategy": "multi_worker", "workers": 4})
    with pytest.raises(UserError, match=r"4 workers read different files of the train split, and it has 2; set beam.shards to 4 or more"):
        train(packs, tmp_path, config)


def parts(packs: RetailSet, folder: Path, files: list[str]) -> list[TrainingBatches]:
    """What each of two processes reads."""
    config, graph = retail_set.config(), tft.TFTransformOutput(str(packs.folder / "transform"))
    scratch = [folder / str(index) for index in range(2)]
    for place in scratch:
        place.mkdir()
    return [training_data.training_batches(files, graph, config, counted(graph, config), scratch[i], Part(i, 2)) for i in range(2)]


@retail_set.WHEREVER_IMAGES_ARE_KEPT
def test_parts_that_differ_in_length_last_for_as_many_steps(
    packs: RetailSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_bytes: int, disk_bytes: int
) -> None:
    monkeypatch.setattr(training_data, "MEMORY_BYTES", memory_bytes)
    monkeypatch.setattr(training_data, "DISK_BYTES", disk_bytes)
    (tmp_path / "uneven").mkdir()
    names = sorted((packs.folder / "Split-train").iterdir())
    for name, examples in zip(names, (24, 5), strict=True):
        with tf.io.TFRecordWriter(str(tmp_path / "uneven" / name.name)) as file:
            for example in tf.data.TFRecordDataset(str(name)).take(examples).as_numpy_iterator():
                file.write(example)
    for part in parts(packs, tmp_path, [str(tmp_path / "uneven" / "*")]):
        assert part.steps == 6  # 48 examples as Transform counted them, 8 a step
        for epoch in range(2):
            batches = list(part.epoch(epoch, replicas=2).take(6).as_numpy_iterator())
            assert [images.shape for images, _, _ in batches] == [(4, 32, 32, 3)] * 6


def test_a_part_without_an_image_ends_instead_of_waiting(packs: RetailSet, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for number in range(2):
        (tmp_path / "files" / str(number)).touch()
    for part in parts(packs, tmp_path, [str(tmp_path / "files" / "*")]):
        assert list(part.epoch(0, replicas=2).take(6)) == []


def test_devices_that_cannot_share_a_batch_are_refused(packs: RetailSet, tmp_path: Path) -> None:
    first, _ = parts(packs, tmp_path, [str(packs.folder / "Split-train" / "*")])
    with pytest.raises(ValueError, match="8 crops cannot be shared by 3 devices; take a multiple of 3"):
        first.epoch(0, replicas=3)


def test_devices_of_one_machine_keep_the_same_statistics_too() -> None:
    script = """
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tfx_retail.normalization import FusedBatchNormalization
from tfx_retail.replicas import Replicas

place = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with place.scope():
    layer = FusedBatchNormalization(momentum=0.5)
    layer.build((None, 1, 1, 1))

@tf.function
def look():
    def replica():
        number = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
        layer(tf.fill((2, 1, 1, 1), 4.0 + 4.0 * number), training=True)
    place.run(replica)

def means():
    return [float(value.numpy()[0]) for value in place.experimental_local_results(layer.moving_mean.value)]

look()
before = means()
Replicas(place, 1).even_out([variable.value for variable in layer.non_trainable_weights])
print(before, means())
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines()[-1:] == ["[2.0, 4.0] [3.0, 3.0]"], ended.stderr
