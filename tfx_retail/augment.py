"""Random changes of training batches, each drawn from a seed, so that the same seed gives the same images.

They work on whole batches: one affine warp does flip, crop, stretch and turn at once.
"""

import math
from typing import Any

import tensorflow as tf

from tfx_retail.config import AugmentConfig
from tfx_retail.preprocessing import PADDING

LUMA = (0.299, 0.587, 0.114)  # Source: ITU-R BT.601
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))  # Source: NTSC, FCC 1953
ERASED_AREA = (0.02, 0.2)  # Source: Zhong et al. 2017, arXiv:1708.04896, its smaller half: packs are told apart by small print


def augment(images: Any, seed: Any, config: AugmentConfig, *, side: int) -> Any:
    """Returns changed images, [B, side, side, 3] float32 in [0, 1].

    Args:
      images: [B, S, S, 3] float32 in [0, 1]; with S above `side` a crop is still sharp.
      seed: [2] int64; the same seed changes the same batch in the same way.
    """
    warp, color, erase = (tf.random.experimental.stateless_fold_in(seed, part) for part in range(3))
    images = _warped(images, warp, config, side)
    images = _recolored(images, color, config)
    return _erased(images, erase, config.erase) if config.erase else images


def mixed(images: Any, targets: Any, seed: Any, config: AugmentConfig) -> tuple[Any, Any]:
    """Returns each image and target blended with another one's, or with a rectangle of it.

    Source: Zhang et al. 2017, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899.

    Args:
      images: [B, S, S, 3] float32.
      targets: [B, N] float32 probabilities.
    """
    if not (config.mixup or config.cutmix):
        return images, targets
    blend, cut = (tf.random.experimental.stateless_fold_in(seed, part) for part in (3, 4))
    taken = _blended(images, blend, config.mixup)
    if config.cutmix:
        taken = tf.where(_chosen(images, cut, config.cutmix), _rectangles(images, cut), taken)
    share = tf.reduce_mean(taken, axis=(1, 2, 3))[:, None]
    return images + taken * (images[::-1] - images), targets + share * (targets[::-1] - targets)


def _blended(images: Any, seed: Any, alpha: float) -> Any:
    """Returns the share of the other image, [B, S, S, 1]: at most one half."""
    count, side = tf.shape(images)[0], tf.shape(images)[1]
    if not alpha:
        return tf.zeros((count, side, side, 1))
    # the ratio of two Gamma variables is Beta distributed; the small term keeps 0 / 0 out
    a, b = tf.unstack(tf.random.stateless_gamma((2, count), seed, alpha) + 1e-6)
    return tf.broadcast_to((tf.minimum(a, b) / (a + b))[:, None, None, None], (count, side, side, 1))


def _chosen(images: Any, seed: Any, probability: float) -> Any:
    draw = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), tf.random.experimental.stateless_fold_in(seed, 0))
    return draw < probability


def _rectangles(images: Any, seed: Any) -> Any:
    """Returns 1 within a rectangle of each image, of up to one half of it, [B, S, S, 1]."""
    count, side = tf.shape(images)[0], tf.shape(images)[1]
    u = tf.random.stateless_uniform((3, count, 1), tf.random.experimental.stateless_fold_in(seed, 1))
    half = tf.sqrt(u[0] / 2) / 2
    line = (tf.cast(tf.range(side), tf.float32)[None] + 0.5) / tf.cast(side, tf.float32)
    inside_x, inside_y = (tf.abs(line - (half + (1 - 2 * half) * place)) < half for place in (u[1], u[2]))
    return tf.cast(inside_y[:, :, None] & inside_x[:, None, :], tf.float32)[..., None]


def _warped(images: Any, seed: Any, config: AugmentConfig, side: int) -> Any:
    count, source = tf.shape(images)[0], tf.cast(tf.shape(images)[1], tf.float32)
    u = tf.random.stateless_uniform((6, count), seed)
    area = config.min_area + (1 - config.min_area) * u[0]
    stretch = tf.exp(math.log(config.max_aspect) * (2 * u[1] - 1) / 2)
    width, height = tf.minimum(tf.sqrt(area) * stretch, 1.0), tf.minimum(tf.sqrt(area) / stretch, 1.0)
    turn = math.radians(config.rotate_deg) * (2 * u[2] - 1)
    mirror = tf.where(u[3] < 0.5, -1.0, 1.0) if config.flip else tf.ones_like(turn)
    center_x = (source - 1) / 2 + source * (1 - width) * (u[4] - 0.5)
    center_y = (source - 1) / 2 + source * (1 - height) * (u[5] - 0.5)
    # rows of the map from output to input pixels: scale (and mirror), then turn, about the centres
    scale_x, scale_y, middle = width * mirror * source / side, height * source / side, (side - 1) / 2
    a, b = tf.cos(turn) * scale_x, -tf.sin(turn) * scale_y
    d, e = tf.sin(turn) * scale_x, tf.cos(turn) * scale_y
    zero = tf.zeros_like(a)
    rows = [a, b, center_x - (a + b) * middle, d, e, center_y - (d + e) * middle, zero, zero]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, axis=1),
        output_shape=(side, side),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=PADDING,
    )


def _recolored(images: Any, seed: Any, config: AugmentConfig) -> Any:
    u = 2 * tf.random.stateless_uniform((4, tf.shape(images)[0], 1, 1, 1), seed) - 1
    if config.hue:
        images = _hue_turned(images, 2 * math.pi * config.hue * u[3][:, 0, 0, 0])
    if config.saturation:
        gray = tf.reduce_sum(images * tf.constant(LUMA), axis=-1, keepdims=True)
        images = gray + (images - gray) * (1 + config.saturation * u[0])
    if config.contrast:
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        images = mean + (images - mean) * (1 + config.contrast * u[1])
    if config.white_balance:
        images = images * _gains(images, tf.random.experimental.stateless_fold_in(seed, 0), config.white_balance)
    return tf.clip_by_value(images + config.brightness * u[2], 0.0, 1.0)


def _gains(images: Any, seed: Any, largest: float) -> Any:
    """Returns what each colour of each image is scaled by, [B, 1, 1, 3]."""
    return tf.exp(largest * (2 * tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 3), seed) - 1))


def _hue_turned(images: Any, angles: Any) -> Any:
    """Turns colours about the grey axis by `angles` [B] in radians: a rotation of I and Q in YIQ."""
    one, zero = tf.ones_like(angles), tf.zeros_like(angles)
    cos, sin = tf.cos(angles), tf.sin(angles)
    turn = tf.stack([tf.stack(row, -1) for row in ([one, zero, zero], [zero, cos, -sin], [zero, sin, cos])], -2)
    to_yiq = tf.constant(RGB_TO_YIQ)
    matrix = tf.linalg.inv(to_yiq)[None] @ turn @ to_yiq[None]
    return tf.einsum("bij,bhwj->bhwi", matrix, images)


def _erased(images: Any, seed: Any, probability: float) -> Any:
    """Blanks a rectangle of some images. Source: Zhong et al. 2017, arXiv:1708.04896."""
    count, side = tf.shape(images)[0], tf.shape(images)[1]
    u = tf.random.stateless_uniform((5, count), seed)
    area = ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * u[0]
    aspect = tf.exp(math.log(3.0) * (2 * u[1] - 1) / 2)
    line = (tf.cast(tf.range(side), tf.float32)[None] + 0.5) / tf.cast(side, tf.float32)
    inside_x = tf.abs(line - u[2][:, None]) < tf.sqrt(area * aspect)[:, None] / 2
    inside_y = tf.abs(line - u[3][:, None]) < tf.sqrt(area / aspect)[:, None] / 2
    chosen = (u[4] < probability)[:, None, None]
    blank = inside_y[:, :, None] & inside_x[:, None, :] & chosen
    return tf.where(blank[..., None], PADDING, images)
