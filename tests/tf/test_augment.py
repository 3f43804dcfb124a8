"""Random changes: none where none are asked for, the same for the same seed, and targets that still add up."""

import numpy as np
import pytest
import tensorflow as tf

from tfx_retail.augment import augment, mixed
from tfx_retail.config import AugmentConfig

OFF = AugmentConfig(min_area=1.0, max_aspect=1.0, rotate_deg=0.0, brightness=0.0, contrast=0.0, saturation=0.0)
SEED = tf.constant([3, 4], tf.int64)
IMAGES = tf.constant(np.random.default_rng(1).random((4, 8, 8, 3)), tf.float32)


def test_nothing_changes_where_all_is_off() -> None:
    np.testing.assert_allclose(augment(IMAGES, SEED, OFF, side=8), IMAGES, atol=1e-6)


def test_a_larger_source_is_shrunk_to_the_side_asked_for() -> None:
    ramp = tf.tile(tf.linspace(0.0, 1.0, 16)[None, None, :, None], (1, 16, 1, 3))
    found = augment(ramp, SEED, OFF, side=8).numpy()
    np.testing.assert_allclose(found[0, 4, :, 0], (np.arange(8) * 2 + 0.5) / 15, atol=1e-5)


def test_flipping_mirrors_some_images_left_to_right_and_leaves_others() -> None:
    images = tf.repeat(IMAGES[:1], 32, axis=0)
    found = augment(images, SEED, changed(flip=True), side=8).numpy()
    mirrored = [bool(np.allclose(image, IMAGES[0].numpy()[:, ::-1], atol=1e-5)) for image in found]
    kept = [bool(np.allclose(image, IMAGES[0], atol=1e-5)) for image in found]
    assert all(a or b for a, b in zip(mirrored, kept, strict=True))
    assert 4 < sum(mirrored) < 28


@pytest.mark.parametrize(
    "change",
    [
        {"min_area": 0.3},
        {"max_aspect": 2.0},
        {"rotate_deg": 45.0},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"hue": 0.3},
        {"white_balance": 0.3},
        {"erase": 1.0},
    ],
)
def test_each_setting_changes_images_by_the_seed_alone_and_within_bounds(change: dict[str, float]) -> None:
    config = changed(**change)
    found = augment(IMAGES, SEED, config, side=8).numpy()
    again = augment(IMAGES, SEED, config, side=8).numpy()
    other = augment(IMAGES, SEED + 1, config, side=8).numpy()
    np.testing.assert_array_equal(found, again)
    assert np.abs(found - other).max() > 0.01
    assert np.abs(found - IMAGES).max() > 0.01
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_turning_the_hue_leaves_grey_as_it_is() -> None:
    grey = tf.fill((2, 4, 4, 3), 0.4)
    np.testing.assert_allclose(augment(grey, SEED, changed(hue=0.5), side=4), grey, atol=1e-3)


def test_white_balance_scales_each_colour_of_an_image_alike_everywhere() -> None:
    images = tf.constant([[[[0.2, 0.2, 0.2], [0.4, 0.4, 0.4]]]])
    found = augment(tf.tile(images, (3, 2, 1, 1)), SEED, changed(white_balance=0.3), side=2).numpy()
    gains = found[:, 0, 0] / 0.2
    np.testing.assert_allclose(found[:, 1, 1], gains * 0.4, rtol=1e-4)
    assert gains.min() > np.exp(-0.3) - 1e-4
    assert gains.max() < np.exp(0.3) + 1e-4
    assert np.abs(gains[:, 0] - gains[:, 2]).min() > 0.01


def test_mixup_blends_images_and_targets_with_the_same_share() -> None:
    images = tf.stack([tf.zeros((2, 2, 3)), tf.ones((2, 2, 3))])
    targets = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    found, mixed_targets = mixed(images, targets, SEED, changed(mixup=0.4))
    np.testing.assert_allclose(found[:, 0, 0, 0], mixed_targets[:, 1], atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(mixed_targets, axis=1), [1.0, 1.0], atol=1e-6)
    assert float(mixed_targets[0, 0]) >= 0.5
    assert float(mixed_targets[1, 1]) >= 0.5


def test_cutmix_gives_a_rectangle_and_its_share_of_the_target() -> None:
    images = tf.stack([tf.zeros((40, 40, 3)), tf.ones((40, 40, 3))])
    found, targets = mixed(images, tf.eye(2), SEED, changed(cutmix=1.0))
    for image, own, target in zip(found.numpy(), (0.0, 1.0), targets.numpy(), strict=True):
        inside = image[:, :, 0] != own
        rows, columns = inside.any(axis=1), inside.any(axis=0)
        np.testing.assert_array_equal(inside, rows[:, None] & columns[None])  # one rectangle
        assert 0 < inside.mean() <= 0.55
        assert target[int(own)] == pytest.approx(1 - inside.mean(), abs=1e-5)


def test_some_images_are_cut_and_the_others_blended() -> None:
    images = tf.concat([tf.zeros((32, 8, 8, 3)), tf.ones((32, 8, 8, 3))], axis=0)
    found, _ = mixed(images, tf.one_hot([0] * 32 + [1] * 32, 2), SEED, changed(mixup=0.4, cutmix=0.5))
    cut = [bool(np.isin(image, (0.0, 1.0)).all()) for image in found.numpy()]
    assert 16 < sum(cut) < 48


def changed(**changes: object) -> AugmentConfig:
    fields = {name: getattr(OFF, name) for name in OFF.__struct_fields__}
    return AugmentConfig(**fields | changes)
