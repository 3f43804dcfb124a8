"""A trunk trained on crops without labels: what it reads, that a killed training goes on, and that the Trainer begins with it."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from tests.tf import retail_set
from tfx_retail import model, pretraining, training
from tfx_retail.config import AugmentConfig, PretrainConfig
from tfx_retail.errors import UserError
from tfx_retail.pretraining import Pretrained, views


def settings(folder: Path, epochs: int) -> PretrainConfig:
    return PretrainConfig(path=str(folder), epochs=epochs, batch_size=8, learning_rate=0.01)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 crops in folders that mean nothing, and a file that is no image."""
    folder = tmp_path_factory.mktemp("crops")
    (folder / "a" / "b").mkdir(parents=True)
    for number in range(24):
        sku = list(retail_set.COLORS)[number % 5]
        (folder / ("a" if number % 2 else "a/b") / f"{number}.jpg").write_bytes(retail_set.pack(sku, number))
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def trunk(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was stopped after two of four epochs, and then went on."""
    output, config = tmp_path_factory.mktemp("trunk"), retail_set.config()
    first = pretraining.run(config, settings(crops, 2), output / "first", checkpoint_dir=output / "checkpoints")
    assert first.epochs == 2
    pretraining.run(config, settings(crops, 4), output / "second", checkpoint_dir=output / "checkpoints")
    return output


def test_all_images_are_read_and_others_counted(trunk: Path) -> None:
    found = msgspec.json.decode((trunk / "second" / "pretrain.json").read_bytes(), type=Pretrained)
    assert (found.images, found.refused, found.epochs) == (24, 1, 4)
    assert np.isfinite(found.losses).all()


def test_a_training_goes_on_where_it_was(trunk: Path) -> None:
    first, second = (msgspec.json.decode((trunk / name / "pretrain.json").read_bytes(), type=Pretrained) for name in ("first", "second"))
    assert second.losses[:2] == first.losses


def test_the_trainer_begins_with_the_trunk(trunk: Path) -> None:
    config = retail_set.config()
    assert training.begun_with(config, None) == config
    begun = training.begun_with(config, str(trunk / "second"))
    first, second = (model.build(begun.model, (0, 1)).get_layer("trunk").get_weights() for _ in range(2))
    random = model.build(config.model, (0, 1)).get_layer("trunk").get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert not np.array_equal(first[0], random[0])


def test_two_views_of_a_crop_differ_and_depend_on_the_seed_alone() -> None:
    pixels = tf.constant(np.random.default_rng(1).integers(0, 256, (3, 40, 40, 3)), tf.uint8)
    seed = tf.constant([5, 8], tf.int64)
    one, other = views(pixels, seed, AugmentConfig(), side=32)
    assert one.shape == other.shape == (3, 32, 32, 3)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(one, views(pixels, seed, AugmentConfig(), side=32)[0])


def test_a_single_crop_is_nothing_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "1.jpg").write_bytes(retail_set.pack("cola", 1))
    with pytest.raises(UserError, match=r"pretrain\.path: .* has 1 images that can be decoded, of 1; two at least"):
        pretraining.run(retail_set.config(), settings(tmp_path / "crops", 1), tmp_path / "out", checkpoint_dir=tmp_path / "checkpoints")
