"""The Trainer's function on a small drawn set: what it writes, what it refuses, and that a killed one goes on."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import checkpoints, fitting, handover, model, preprocessing, shown, training, training_data
from tfx_retail.config import AugmentConfig, Config, ModelConfig, TrainConfig
from tfx_retail.fitting import Fitted
from tfx_retail.training_data import Counts

SKUS = [sku for sku, _ in retail_set.LABELS]
REPOSITORY = Path(__file__).resolve().parents[2]


def history(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "run" / "history.json").read_text())
    return found


def scores(output: Path) -> Any:
    images = [retail_set.pack(sku, 500 + number) for number in range(2) for sku in ("cola", "lime", "water")]
    network, known = handover.load(output / "network")
    outputs, _ = handover.of_images(network, known.image_size)(tf.constant(images))
    return tf.nn.softmax(outputs["logits"]).numpy()


def counted(graph: tft.TFTransformOutput, config: Config) -> Counts:
    """What is known of the drawn set: water and still are one look, milk has no photo."""
    examples = training_data.examples(graph, SKUS)
    return Counts(examples, training_data.balanced(examples, config.train), np.array([0, 1, 2, 3, 3, 4]), np.array([0, 1, 0, 2, 3]))


def fit(packs: RetailSet, output: Path, config: Config) -> Fitted:
    """Trains without exporting."""
    arguments = packs.arguments(output, config)
    graph = tft.TFTransformOutput(arguments.transform_output)
    known = counted(graph, config)
    batches = training_data.training_batches(arguments.train_files, graph, config, known, output)
    validation = training_data.validation_batches(arguments.eval_files, graph, config, known)
    return fitting.fit(config, batches, validation, checkpoint_dir=output / "checkpoints", report=lambda _: None)


def test_training_learns_what_colour_tells(trained: Path) -> None:
    found = history(trained)
    assert len(found["epochs"]) == 12
    assert found["epochs"][-1]["val_accuracy"] >= 0.95  # of looks: water and still are one
    assert found["parameters"] == 5481
    assert (found["resumed_from"], found["early_stopped"]) == (0, False)


def test_progress_lines_count_epochs_and_steps(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "progress.jsonl").read_text().splitlines()]
    assert {"epoch": 1, "epochs": 12, "step": 1, "steps": 72}.items() <= lines[0].items()
    ends = [line for line in lines if "val_accuracy" in line]
    assert [line["epoch"] for line in ends] == list(range(1, 13))
    assert ends[-1]["step"] == 72


def test_tensorboard_gets_a_file_with_four_curves(trained: Path) -> None:
    (file,) = (trained / "run").glob("events.out.tfevents.*")
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    values = [(event.step, value) for event in events for value in event.summary.value]
    assert [step for step, value in values if value.tag == "val_loss"] == list(range(1, 13))
    assert {value.tag for _, value in values} == {"loss", "val_loss", "val_accuracy", "learning_rate"}
    assert {value.metadata.plugin_data.plugin_name for step, value in values if step == 1} == {"scalars"}


def test_a_killed_training_goes_on_to_the_same_end(packs: RetailSet, tmp_path: Path) -> None:
    config = retail_set.config({"epochs": 4, "ema": 0.9, "augment": AugmentConfig(mixup=0.2)}, dropout=0.3)
    _train_until_killed(packs, tmp_path / "killed", config)
    assert not (tmp_path / "killed" / "network").exists()
    for name in ("killed", "whole"):
        training.run_fn(packs.arguments(tmp_path / name, config))
    resumed, whole = history(tmp_path / "killed"), history(tmp_path / "whole")
    assert resumed["resumed_from"] == 2
    assert [epoch["epoch"] for epoch in resumed["epochs"]] == [1, 2, 3, 4]
    assert [epoch["val_loss"] for epoch in resumed["epochs"]] == pytest.approx([epoch["val_loss"] for epoch in whole["epochs"]], rel=1e-3)
    np.testing.assert_allclose(scores(tmp_path / "killed"), scores(tmp_path / "whole"), atol=1e-3)


def _train_until_killed(packs: RetailSet, output: Path, config: Config) -> None:
    """Trains in another process, which is killed as soon as the state after epoch 2 is on disk."""
    script = """
import os, signal, sys
from pathlib import Path
import msgspec
from tests.tf.retail_set import RetailSet
from tfx_retail import checkpoints, training
from tfx_retail.config import Config

save = checkpoints.save

def save_and_die(folder, state):
    save(folder, state)
    if state.progress.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoints.save = save_and_die
packs, output, config = RetailSet(Path(sys.argv[1])), Path(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=Config)
training.run_fn(packs.arguments(output, config))
"""
    command = [sys.executable, "-W", "ignore", "-c", script, str(packs.folder), str(output), msgspec.json.encode(config).decode()]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


@retail_set.WHEREVER_IMAGES_ARE_KEPT
def test_an_epochs_batches_depend_on_seed_and_number_alone(
    packs: RetailSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_bytes: int, disk_bytes: int
) -> None:
    monkeypatch.setattr(training_data, "MEMORY_BYTES", memory_bytes)
    monkeypatch.setattr(training_data, "DISK_BYTES", disk_bytes)
    config = retail_set.config({"augment": AugmentConfig(mixup=0.2)})
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    files, known = [str(packs.folder / "Split-train" / "*")], counted(graph, config)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (training_data.training_batches(files, graph, config, known, folder) for folder in folders)
    list(first.epoch(0))  # so that the epochs below are another number in one of them
    one, other, next_one = (list(batches.as_numpy_iterator()) for batches in (first.epoch(3), second.epoch(3), first.epoch(4)))
    assert len(one) == 6
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    assert not np.array_equal(one[0][0], next_one[0][0])
    assert any(folders[0].iterdir()) == bool(disk_bytes)


def test_a_finished_training_whose_export_was_lost_is_not_trained_again(packs: RetailSet, trained: Path, tmp_path: Path) -> None:
    arguments = packs.arguments(tmp_path, retail_set.config({"ema": 0.9, "epochs": 12}), checkpoints=str(trained / "checkpoints"))
    training.run_fn(arguments)
    assert history(tmp_path)["resumed_from"] == 12
    np.testing.assert_array_equal(scores(tmp_path), scores(trained))


def test_training_stops_early_and_exports_the_best_epoch(packs: RetailSet, tmp_path: Path) -> None:
    steep = {"epochs": 30, "early_stopping_epochs": 2, "learning_rate": 0.3, "clip_norm": 0.0, "schedule": "constant"}
    found = fit(packs, tmp_path, retail_set.config(steep))
    losses = [epoch["val_loss"] for epoch in found.progress.history]
    assert found.early_stopped
    assert found.exported_epoch == int(np.argmin(losses)) + 1 == len(losses) - 2
    state = checkpoints.load(tmp_path / "checkpoints")
    assert state is not None
    for weight, best in zip(found.network.weights, state.best, strict=True):
        np.testing.assert_array_equal(weight.numpy(), best)


def test_max_steps_ends_within_an_epoch(packs: RetailSet, tmp_path: Path) -> None:
    progress = fit(packs, tmp_path, retail_set.config({"max_steps": 8})).progress
    assert (progress.step, progress.epoch) == (8, 2)  # six steps an epoch


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "embedding_loss": "triplet"},
        {"strategy": "mirrored", "embedding_loss": "supcon", "class_balance": "loss", "augment": AugmentConfig(mixup=0.2)},
        {"class_balance": "loss", "clip_norm": 0.0, "weight_decay": 0.0},
        {"small_size": 16, "small_share": 1.0},
    ],
    ids=["sgd, triplets", "mirrored, supervised contrastive, balanced, mixed", "balanced, not clipped, no decay", "small images"],
)
def test_each_setting_trains(packs: RetailSet, tmp_path: Path, change: dict[str, Any]) -> None:
    found = fit(packs, tmp_path, retail_set.config({"epochs": 1} | change))
    assert 0 < found.progress.history[0]["loss"] < 10


def test_images_are_small_in_the_first_part_of_training(packs: RetailSet, tmp_path: Path) -> None:
    config = retail_set.config({"epochs": 5, "small_size": 16, "small_share": 0.4})
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    batches = training_data.training_batches([str(packs.folder / "Split-train" / "*")], graph, config, counted(graph, config), tmp_path)
    sides = [next(iter(batches.epoch(number)))[0].shape[1] for number in range(5)]
    assert sides == [16, 16, 32, 32, 32]


def test_a_loss_that_is_no_number_stops_with_step_and_cure(packs: RetailSet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"loss of step \d+ is (nan|inf)\. .*learning_rate 1e\+30.*lower the learning rate"):
        fit(packs, tmp_path, retail_set.config({"learning_rate": 1e30, "clip_norm": 0.0}))


def test_one_sku_alone_cannot_be_trained(packs: RetailSet) -> None:
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    with pytest.raises(ValueError, match=r"12 examples of one SKU at most \(cola\); a classifier needs two"):
        training_data.examples(graph, ["cola", "milk"])


def test_validation_without_examples_is_refused(packs: RetailSet, tmp_path: Path) -> None:
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    config = retail_set.config()
    with pytest.raises(ValueError, match="validation: no example of a SKU that has examples in train"):
        training_data.validation_batches([str(tmp_path / "*")], graph, config, counted(graph, config))


def test_balanced_weights_make_skus_equal_up_to_the_limit() -> None:
    config = TrainConfig(class_balance="loss", class_balance_limit=2.0)
    found = training_data.balanced(np.array([1, 9, 20, 0]), config)
    # the mean of the seen is 10: 10 (limited to 2), 10/9, 1/2, 0; then scaled to be 1 on average over the 30 examples
    np.testing.assert_allclose(found, np.array([2, 10 / 9, 0.5, 0]) * 30 / (2 + 10 + 10), rtol=1e-6)


def test_validation_pixels_are_those_of_serving(packs: RetailSet) -> None:
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    config = retail_set.config()
    files = [str(packs.folder / "Split-validation" / "*")]
    batches = training_data.validation_batches(files, graph, config, counted(graph, config))
    seen = np.concatenate([images for images, _ in batches.as_numpy_iterator()])
    images = shown.images(packs.folder / "Split-validation", 100).image
    served, ok = tf.function(lambda encoded: preprocessing.decode(encoded, 32))(tf.constant(images))
    assert ok.numpy().all()
    np.testing.assert_allclose(seen, served, atol=1e-7)  # an optimised graph may multiply by 1/255 where another divides by 255


def test_training_pixels_without_augmentation_are_those_of_serving(packs: RetailSet, tmp_path: Path) -> None:
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    off = AugmentConfig(min_area=1.0, max_aspect=1.0, rotate_deg=0.0, brightness=0.0, contrast=0.0, saturation=0.0)
    config = retail_set.config({"augment": off, "batch_size": 48})
    files = [str(packs.folder / "Split-train" / "*")]
    known = counted(graph, config)
    ((seen, _, _),) = training_data.training_batches(files, graph, config, known, tmp_path).epoch(0).as_numpy_iterator()
    images = shown.images(packs.folder / "Split-train", 100).image
    served, _ = preprocessing.decode(tf.constant(images), 32)
    np.testing.assert_allclose(_sorted(seen), _sorted(served.numpy()), atol=1e-5)


def _sorted(images: Any) -> Any:
    """Orders images by what they show, as training shuffles them."""
    return images[np.lexsort(np.round(images[:, 3:9, 3, 0], 3).T)]


def test_a_network_of_keras_applications_takes_zero_to_one() -> None:
    network = model.build(ModelConfig(backbone="MobileNetV2", image_size=32, embedding_dim=4), (0, 0, 1))
    found = network(tf.zeros((2, 32, 32, 3)), training=False)
    assert found["logits"].shape == (2, 3)
    assert found["embedding"].shape == (2, 4)


def test_two_heads_give_joint_logits_of_families_and_looks() -> None:
    network = model.build(ModelConfig(image_size=32, width=8, blocks=(1,), embedding_dim=4), (1, 0, 1, 1))
    head = network.get_layer("logits")
    assert [weight.shape for weight in head.weights] == [(4, 2), (2,), (4, 4), (4,)]
    for weight, value in zip(head.weights, ([0.0], [1.0, 3.0], [0.0], [np.log(1), 9.0, np.log(2), np.log(5)]), strict=True):
        weight.assign(np.broadcast_to(value, weight.shape))
    logits = network(tf.zeros((1, 32, 32, 3)), training=False)["logits"]
    np.testing.assert_allclose(logits[0], [3 + np.log(1 / 8), 1.0, 3 + np.log(2 / 8), 3 + np.log(5 / 8)], rtol=1e-6)


def test_one_softmax_does_where_each_look_is_a_family_or_the_config_says_so() -> None:
    for config, families in ((ModelConfig(image_size=32, width=8, blocks=(1,)), (0, 1, 2)), (ModelConfig(heads="flat"), (0, 0, 1))):
        assert [weight.shape[-1] for weight in model.build(config, families).get_layer("logits").weights] == [3, 3]


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no network 'ResNet1000'; allowed: compact, .*ResNet50V2"):
        model.build(ModelConfig(backbone="ResNet1000"), (0, 1))


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    config = ModelConfig(image_size=32, width=8, blocks=(1,))
    first = model.build(config, (0, 1))
    first.get_layer("trunk").save_weights(tmp_path / "trunk.weights.h5")
    second = model.build(msgspec.structs.replace(config, weights=str(tmp_path / "trunk.weights.h5")), (0, 0, 0, 1, 1))
    for before, after in zip(first.get_layer("trunk").weights, second.get_layer("trunk").weights, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy())


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "no.weights.h5").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"no\.weights\.h5 does not fit the compact network"):
        model.build(ModelConfig(image_size=32, weights=str(tmp_path / "no.weights.h5")), (0, 1))


def test_training_leaves_keras_precision_as_it_was(trained: Path) -> None:
    assert trained.exists()
    assert keras.config.dtype_policy().name == "float32"
