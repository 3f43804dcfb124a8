"""Shelf photos: a scene drawn once, then seen by a camera that is shifted, tilted, nearer or farther, in changing light and focus."""

import io
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from tfx_retail.sample.artwork import pack
from tfx_retail.sample.assortment import Front
from tfx_retail.sample.shelves import FIXTURE_WIDTH_MM, ROWS, Facing, Scene

WIDTH, HEIGHT = 480, 360  # of a photo, in pixels
MM_PER_PX = 1.4  # of the drawn scene; photos show less detail than that
NEAR_MM_PER_PX, FAR_MM_PER_PX = 1.75, 2.25
SCALE_NOISE = 0.02  # of the scale that a photo is said to have
UNKNOWN_SCALE_SHARE = 0.15
LEAST_VISIBLE = 0.4  # of a pack: annotators leave smaller pieces out

_MARGIN_MM = 90.0  # left and right of the fixture
_HEADER_MM, _ROW_MM, _RAIL_MM, _FLOOR_MM = 150.0, 285.0, 34.0, 170.0
_JPEG_QUALITY = 80
_GRAIN_SPARE_PX = 128

Edges = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the scene


class Mark(NamedTuple):
    """One box as labelImg writes it: pixels, 0-based, half-open."""

    label: str
    left: int
    top: int
    right: int
    bottom: int
    truncated: bool


class View(NamedTuple):
    """A camera's view: scene = (along * x - across * y + x0, across * x + along * y + y0) for a photo's (x, y)."""

    along: float
    across: float
    x: float
    y: float

    def to_photo(self, x: float, y: float) -> tuple[float, float]:
        """Returns the photo's place of a point of the scene."""
        right, down = x - self.x, y - self.y
        square = self.along**2 + self.across**2
        return (self.along * right + self.across * down) / square, (self.along * down - self.across * right) / square


class Shot(NamedTuple):
    """One photo with what is on it."""

    jpeg: bytes
    marks: tuple[Mark, ...]
    mm_per_px: float | None  # as measured; None where nothing in the photo has a known length


def shots(scene: Scene, count: int, seed: int) -> list[Shot]:
    """Returns `count` photos of one scene, taken one step apart."""
    random = np.random.default_rng([seed, 3, scene.number])
    picture, places = _draw(scene, random)
    half_view = FAR_MM_PER_PX * WIDTH / 2
    middle = random.uniform(_MARGIN_MM + half_view, _MARGIN_MM + FIXTURE_WIDTH_MM - half_view)
    light = random.uniform(0.72, 1.12), random.normal(0.0, 0.035, 3)  # strength, and tint of red, green and blue
    return [_shot(picture, places, middle + (step - (count - 1) / 2) * 70.0, light, random) for step in range(count)]


# ---- the scene ----

Place = tuple[str, Edges]  # label and box


def _draw(scene: Scene, random: Generator) -> tuple[Image.Image, list[Place]]:
    picture = _furniture(int(random.integers(4))).copy()
    places = []
    for facing in scene.facings:
        box = _scene_box(facing)
        if facing.item is None:
            places.append(("gap", box))
        else:
            _put(picture, facing.item.front, box, facing)
            places.append((facing.item.product.sku, box))
    return picture, places


def _scene_box(facing: Facing) -> Edges:
    """Returns whole pixels, so that the pasted pack and its box agree."""
    left = round((_MARGIN_MM + facing.x_mm) / MM_PER_PX)
    bottom = round((_HEADER_MM + facing.shelf * _ROW_MM - _RAIL_MM) / MM_PER_PX)
    width, height = _size_px(facing.width_mm, facing.height_mm)
    return left, bottom - height, left + width, bottom


def _size_px(width_mm: float, height_mm: float) -> tuple[int, int]:
    return round(width_mm / MM_PER_PX), round(height_mm / MM_PER_PX)


def _put(picture: Image.Image, front: Front, box: Edges, facing: Facing) -> None:
    drawn = _drawn(front)
    left, top = box[:2]
    if facing.second:
        picture.paste(_behind(front), (left + 3, top - 3), _behind(front))
    level = round(255 * (1.0 - min(facing.light, 1.0)))
    picture.paste(drawn, (left, top), drawn)
    if level:
        picture.paste((0, 0, 0), (left, top), drawn.getchannel("A").point([value * level // 255 for value in range(256)]))


@lru_cache(maxsize=4096)  # 50 kB each
def _drawn(front: Front) -> Image.Image:
    return pack(front, _size_px(front.width_mm, front.height_mm))


@lru_cache(maxsize=4096)
def _behind(front: Front) -> Image.Image:
    """Returns the next pack in the row, of which a dark rim is seen."""
    drawn = _drawn(front)
    dark = Image.merge("RGB", drawn.split()[:3]).point([value * 35 // 100 for value in range(256)] * 3)
    dark.putalpha(drawn.getchannel("A"))
    return dark


@lru_cache(maxsize=8)
def _furniture(style: int) -> Image.Image:
    """Returns the empty shelf: header, back wall with the shadow of the board above, price rails with tags, floor."""
    width = round((FIXTURE_WIDTH_MM + 2 * _MARGIN_MM) / MM_PER_PX)
    height = round((_HEADER_MM + ROWS * _ROW_MM + _FLOOR_MM) / MM_PER_PX)
    wall = np.array(((196, 192, 184), (120, 124, 132), (168, 150, 126), (222, 222, 220))[style], np.float64)
    picture = Image.fromarray(np.broadcast_to((wall * 0.8).astype(np.uint8), (height, width, 3)))
    draw = ImageDraw.Draw(picture)
    rail = ((232, 232, 228), (58, 62, 70), (236, 214, 70), (196, 40, 44))[style]
    for shelf in range(ROWS + 1):
        board = (_HEADER_MM + shelf * _ROW_MM - _RAIL_MM) / MM_PER_PX
        for step in range(60):  # the shadow below a board
            y = board + _RAIL_MM / MM_PER_PX + step
            draw.line((0, y, width, y), fill=_rgb(wall * (0.30 + 0.5 * step / 60)))
        draw.rectangle((0, board, width, board + _RAIL_MM / MM_PER_PX), fill=rail)
        draw.line((0, board, width, board), fill=(74, 74, 78), width=2)
        _tags(draw, board, width, style + shelf)
    draw.rectangle((0, height - _FLOOR_MM / MM_PER_PX, width, height), fill=_rgb(wall * 0.42))
    return picture


def _tags(draw: ImageDraw.ImageDraw, board: float, width: int, style: int) -> None:
    """Draws price tags that nobody can read, at uneven distances."""
    random = np.random.default_rng(style)
    left = 12.0
    while left < width:
        draw.rectangle((left, board + 4, left + 34, board + 21), fill=(248, 246, 238))
        draw.rectangle((left + 3, board + 7, left + 3 + random.uniform(12, 20), board + 13), fill=(40, 40, 44))
        draw.line((left + 3, board + 17, left + 28, board + 17), fill=(150, 150, 150), width=2)
        left += random.uniform(70, 190)


def _rgb(color: NDArray[np.float64]) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in color)
    return red, green, blue


# ---- the camera ----


def _shot(picture: Image.Image, places: list[Place], x_mm: float, light: tuple[float, NDArray[np.float64]], random: Generator) -> Shot:
    scale = random.uniform(NEAR_MM_PER_PX, FAR_MM_PER_PX)
    y_mm = _HEADER_MM + (ROWS * _ROW_MM - _RAIL_MM) / 2 + random.uniform(-25.0, 25.0)
    to_scene = _view(x_mm, y_mm, scale, random)
    marks = [mark for label, box in places if (mark := _mark(label, box, to_scene))]
    exposed = _exposed(_seen(picture, to_scene), light, random)
    blur_px = random.uniform(-0.6, 1.2)
    if blur_px > 0:
        exposed = exposed.filter(ImageFilter.BoxBlur(blur_px))  # a third of a Gaussian's time
    known = random.random() >= UNKNOWN_SCALE_SHARE
    measured = scale * (1.0 + SCALE_NOISE * float(np.clip(random.normal(), -2.0, 2.0)))
    return Shot(_jpeg(exposed), tuple(marks), round(measured, 4) if known else None)


def _view(x_mm: float, y_mm: float, scale: float, random: Generator) -> View:
    """Returns where the photo's pixels lie in the scene: scale, and a turn of at most 1.5 degrees, about the photo's middle."""
    turn = math.radians(min(max(random.normal(0.0, 0.6), -1.5), 1.5))
    along, across = scale / MM_PER_PX * math.cos(turn), scale / MM_PER_PX * math.sin(turn)
    x = x_mm / MM_PER_PX - along * WIDTH / 2 + across * HEIGHT / 2
    y = y_mm / MM_PER_PX - across * WIDTH / 2 - along * HEIGHT / 2
    return View(along, across, x, y)


def _seen(picture: Image.Image, view: View) -> Image.Image:
    """Returns the camera's view. Four nearest points a pixel are smoother than one point between pixels, and three times as fast."""
    along, across = view.along / 2, view.across / 2
    coefficients = (along, -across, view.x, across, along, view.y)
    return picture.transform((2 * WIDTH, 2 * HEIGHT), Image.Transform.AFFINE, coefficients, Image.Resampling.NEAREST).reduce(2)


def _mark(label: str, box: Edges, view: View) -> Mark | None:
    """Returns the box on the photo, cut to it; None where too little is seen."""
    left, top, right, bottom = box
    corners = [view.to_photo(x, y) for x in (left, right) for y in (top, bottom)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    whole = round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys))
    cut = max(whole[0], 0), max(whole[1], 0), min(whole[2], WIDTH), min(whole[3], HEIGHT)
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        return None
    visible = (cut[2] - cut[0]) * (cut[3] - cut[1]) / ((whole[2] - whole[0]) * (whole[3] - whole[1]))
    return Mark(label, *cut, truncated=cut != whole) if visible >= LEAST_VISIBLE else None


def _exposed(seen: Image.Image, light: tuple[float, NDArray[np.float64]], random: Generator) -> Image.Image:
    """Returns the photo brighter or darker, tinted, lit from one side, and noisy. Rows are one long axis: numpy is slow on axes of 3."""
    strength, tint = light
    across, down = (1.0 + random.uniform(-0.14, 0.14) * np.linspace(-1, 1, size) for size in (WIDTH, HEIGHT))
    gain = strength * random.uniform(0.93, 1.07) * (1.0 + tint)
    pixels = np.asarray(seen, np.float32).reshape(HEIGHT, WIDTH * 3)
    pixels *= np.outer(across, gain).ravel().astype(np.float32)
    pixels *= down[:, None].astype(np.float32)
    left, top = random.integers(0, _GRAIN_SPARE_PX, 2)
    pixels += np.float32(random.uniform(0.5, 3.0)) * _grain()[top : top + HEIGHT, 3 * left : 3 * (left + WIDTH)]
    np.clip(pixels, 0, 255, out=pixels)
    return Image.fromarray(pixels.astype(np.uint8).reshape(HEIGHT, WIDTH, 3))


@lru_cache(maxsize=1)
def _grain() -> NDArray[np.float32]:
    """Returns sensor noise of unit variance, larger than a photo: each takes another cut of it, which is faster than drawing it anew."""
    size = HEIGHT + _GRAIN_SPARE_PX, 3 * (WIDTH + _GRAIN_SPARE_PX)
    return np.random.default_rng(7).standard_normal(size, np.float32)


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()
