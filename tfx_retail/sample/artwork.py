"""The front of a pack as a picture: brand, title and pattern by family; a narrow band, its glyphs and small print by flavour."""

import colorsys
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfx_retail.sample.assortment import KINDS, Color, Front

HEIGHT_PX = 320  # of the drawing; on the shelf a pack is less than half as high, so that edges come out smooth
_WHITE, _INK = (250, 250, 246), (36, 34, 40)


def pack(front: Front, size_px: tuple[int, int]) -> Image.Image:
    """Returns the pack as an RGBA picture of `size_px` (width, height); its opaque part touches all four edges.

    Packs of one look have the same drawing, whatever their size.
    """
    size = (round(HEIGHT_PX * front.width_mm / front.height_mm), HEIGHT_PX)
    canvas = Image.new("RGB", size, _colors(front.style)[0])
    draw = ImageDraw.Draw(canvas)
    _pattern(draw, front.style, size)
    _labels(draw, front, size)
    canvas.paste((0, 0, 0), (0, 0, *size), _shadow(front.shape, size))
    _trim(canvas, front, size)
    canvas.putalpha(_outline(front, size))
    return canvas.resize(size_px, Image.Resampling.BOX, reducing_gap=2.0)


def _colors(style: int) -> tuple[Color, Color]:
    """Returns the family's ground and accent; the golden angle keeps the hues of families that follow each other far apart."""
    hue = (0.02 + style * 0.6180339887) % 1.0
    dark = style % 3 != 1
    ground = colorsys.hsv_to_rgb(hue, 0.78 if dark else 0.30, 0.66 if dark else 0.95)
    accent = colorsys.hsv_to_rgb((hue + 0.12 + 0.09 * (style % 4)) % 1.0, 0.65, 0.93 if dark else 0.62)
    return _rgb(ground), _rgb(accent)


def _rgb(color: tuple[float, float, float]) -> Color:
    red, green, blue = (round(255 * part) for part in color)
    return red, green, blue


def _pattern(draw: ImageDraw.ImageDraw, style: int, size: tuple[int, int]) -> None:
    """Draws one of six grounds; which one changes with each family and again after six."""
    patterns = (_wave, _stripes, _rays, _halves, _spots, _chevrons)
    patterns[(style + style // len(patterns)) % len(patterns)](draw, _colors(style)[1], *size)


def _wave(draw: ImageDraw.ImageDraw, color: Color, width: int, height: int) -> None:
    draw.ellipse((-width * 0.6, height * 0.52, width * 1.2, height * 1.5), fill=color)


def _stripes(draw: ImageDraw.ImageDraw, color: Color, width: int, height: int) -> None:
    broad = width // 7
    for left in range(-height, width, width // 3):
        draw.polygon([(left, height), (left + height, 0), (left + height + broad, 0), (left + broad, height)], fill=color)


def _rays(draw: ImageDraw.ImageDraw, color: Color, width: int, height: int) -> None:
    for turn in range(0, 360, 30):
        draw.pieslice((-width, -height * 0.2, width * 2, height * 1.2), turn, turn + 14, fill=color)


def _halves(draw: ImageDraw.ImageDraw, color: Color, width: int, height: int) -> None:
    draw.rectangle((0, height * 0.5, width, height), fill=color)


def _spots(draw: ImageDraw.ImageDraw, color: Color, width: int, height: int) -> None:
    radius = width * 0.07
    for row in range(6):
        for column in range(4):
            x, y = (column + 0.5 * (row % 2)) * width / 3.5, row * height / 5
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _chevrons(draw: ImageDraw.ImageDraw, color: Color, width: int, height: int) -> None:
    for top in range(-height // 3, height, height // 4):
        points = [(0, top + height * 0.22), (width / 2, top), (width, top + height * 0.22)]
        draw.line(points, fill=color, width=height // 14, joint="curve")


def _labels(draw: ImageDraw.ImageDraw, front: Front, size: tuple[int, int]) -> None:
    width, height = size
    _emblem(draw, front.style, (width * 0.5, height * 0.36), width * 0.42)
    _text(draw, front.brand.upper(), (width * 0.5, height * 0.34), (width * 0.74, height * 0.13), _INK)
    _text(draw, front.title, (width * 0.5, height * 0.445), (width * 0.55, height * 0.06), _INK)
    _band(draw, front, (0.0, height * 0.68, float(width), height * 0.79))
    for line in range(3):  # what nobody reads
        y = height * (0.88 + 0.025 * line)
        draw.line((width * 0.22, y, width * (0.78 - 0.1 * line), y), fill=_WHITE, width=2)


def _emblem(draw: ImageDraw.ImageDraw, style: int, center: tuple[float, float], radius: float) -> None:
    """Draws the plate behind the brand, one of five shapes."""
    x, y = center
    flat = radius * 0.62
    shape = (style // len(KINDS) + style) % 5
    if shape == 0:
        draw.ellipse((x - radius, y - radius * 0.8, x + radius, y + radius * 0.8), fill=_WHITE)
    elif shape == 1:
        draw.rounded_rectangle((x - radius, y - flat, x + radius, y + flat), radius * 0.25, fill=_WHITE)
    elif shape == 2:
        draw.polygon([(x - radius * 1.15, y), (x, y - radius), (x + radius * 1.15, y), (x, y + radius)], fill=_WHITE)
    elif shape == 3:
        draw.polygon(
            [
                (x - radius, y - flat),
                (x + radius, y - flat),
                (x + radius, y + flat * 0.6),
                (x, y + flat * 1.3),
                (x - radius, y + flat * 0.6),
            ],
            fill=_WHITE,
        )
    else:
        draw.regular_polygon((x, y, radius * 1.05), 6, rotation=30, fill=_WHITE)


def _band(draw: ImageDraw.ImageDraw, front: Front, box: tuple[float, float, float, float]) -> None:
    """Draws all that tells one flavour from another."""
    left, top, right, bottom = box
    draw.rectangle(box, fill=front.flavor.color)
    height, middle = bottom - top, (top + bottom) / 2
    _text(draw, front.flavor.name, (right * 0.62, middle), (right * 0.58, height * 0.62), _WHITE)
    for place in range(2):
        _glyph(draw, front.flavor.glyph, (right * (0.13 + 0.13 * place), middle), height * 0.28)
    draw.line((left, top, right, top), fill=_WHITE, width=2)
    draw.line((left, bottom, right, bottom), fill=_WHITE, width=2)


def _glyph(draw: ImageDraw.ImageDraw, glyph: str, center: tuple[float, float], radius: float) -> None:
    x, y = center
    around = (x - radius, y - radius, x + radius, y + radius)
    if glyph == "dots":
        draw.ellipse(around, fill=_WHITE)
    elif glyph == "leaves":
        draw.chord(around, 20, 200, fill=_WHITE)
    elif glyph == "diamonds":
        draw.polygon([(x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)], fill=_WHITE)
    elif glyph == "rings":
        draw.ellipse(around, outline=_WHITE, width=4)
    elif glyph == "bars":
        draw.rectangle((x - radius * 0.4, y - radius, x + radius * 0.4, y + radius), fill=_WHITE)
    else:
        draw.polygon([(x, y - radius * 1.2), (x + radius * 0.8, y + radius), (x - radius * 0.8, y + radius)], fill=_WHITE)


def _text(draw: ImageDraw.ImageDraw, text: str, center: tuple[float, float], room: tuple[float, float], color: Color) -> None:
    """Writes a line as large as its room (width, height) allows."""
    wide = _font(100).getlength(text)
    size = max(8, min(int(room[1]), int(100 * room[0] / wide)))
    draw.text(center, text, fill=color, font=_font(size), anchor="mm", stroke_width=size // 18, stroke_fill=color)


@lru_cache(maxsize=128)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)  # comes with Pillow: the same letters on every machine
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _outline(front: Front, size: tuple[int, int]) -> Image.Image:
    """Returns the pack's silhouette, uint8: 255 inside."""
    width, height = size
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    right, bottom = width - 1, height - 1
    if front.shape == "bottle":
        draw.rounded_rectangle((0, height * 0.22, right, bottom), width * 0.18, fill=255)
        draw.polygon(
            [(width * 0.08, height * 0.27), (width * 0.32, height * 0.1), (width * 0.68, height * 0.1), (width * 0.92, height * 0.27)],
            fill=255,
        )
        draw.rectangle((width * 0.32, 0, width * 0.68, height * 0.12), fill=255)
    elif front.shape == "pouch":
        teeth = [(width * step / 16, 0.0 if step % 2 else height * 0.015) for step in range(17)]
        sides = [(right, 0), (width * 0.97, height * 0.3), (right, bottom), (0, bottom), (width * 0.03, height * 0.3), (0, 0)]
        draw.polygon([*teeth, *sides], fill=255)
    elif front.shape == "carton":
        draw.polygon(
            [(0, height * 0.12), (width * 0.12, 0), (width * 0.88, 0), (right, height * 0.12), (right, bottom), (0, bottom)], fill=255
        )
    else:
        draw.rounded_rectangle((0, 0, right, bottom), {"can": 0.1, "jar": 0.12, "box": 0.015}[front.shape] * width, fill=255)
    return mask


@lru_cache(maxsize=32)  # as many as there are kinds and sizes
def _shadow(shape: str, size: tuple[int, int]) -> Image.Image:
    """Returns how much of the light is missing on the front, uint8: round packs are dark on their flanks, flat ones on one edge."""
    width, height = size
    across = np.linspace(-1.0, 1.0, width)
    if shape in ("can", "jar", "bottle"):
        light = 0.55 + 0.45 * np.sqrt(np.clip(1.0 - (across + 0.15) ** 2 * 0.75, 0.0, 1.0))
    elif shape == "pouch":
        light = 0.86 + 0.14 * np.cos(across * 2.6) ** 2
    else:
        light = np.where(across > 0.95, 0.78, 1.0 - 0.04 * (across + 1.0))
    down = np.linspace(1.0, 0.9, height)
    return Image.fromarray((255 * (1.0 - np.outer(down, light))).astype(np.uint8))


def _trim(picture: Image.Image, front: Front, size: tuple[int, int]) -> None:
    """Draws lids, caps and seams, which have no print."""
    width, height = size
    draw = ImageDraw.Draw(picture)
    if front.shape == "can":
        for top, bottom in ((0.0, 0.035), (0.965, 1.0)):
            draw.rectangle((0, height * top, width, height * bottom), fill=(176, 178, 182))
    elif front.shape == "jar":
        draw.rectangle((0, 0, width, height * 0.15), fill=(58, 52, 50))
        draw.line((0, height * 0.15, width, height * 0.15), fill=(120, 112, 104), width=3)
    elif front.shape == "bottle":
        draw.rectangle((0, 0, width, height * 0.1), fill=_colors(front.style)[1])
    elif front.shape == "pouch":
        draw.line((0, height * 0.06, width, height * 0.06), fill=(230, 230, 230), width=2)
    elif front.shape == "carton":
        draw.line((0, height * 0.12, width, height * 0.12), fill=(214, 214, 210), width=2)
