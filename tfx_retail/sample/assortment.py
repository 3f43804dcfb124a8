"""Which products the sample data sells: families of flavours by rule, for any number of SKUs."""

import math
from typing import Literal, NamedTuple

import msgspec

from tfx_retail.catalog_cells import check_digit
from tfx_retail.product import Product

SIZE_RATIO = 1.3  # of both sides of a large pack to its small one: the same picture, only larger
FAMILY_SIZE = 4
LEAST_FAMILIES = 5

Shape = Literal["box", "can", "carton", "jar", "pouch", "bottle"]
Color = tuple[int, int, int]


class Flavor(NamedTuple):
    """What tells the variants of a family apart: the colour of a narrow band, its small print and its glyph."""

    name: str
    color: Color
    glyph: Literal["dots", "leaves", "diamonds", "rings", "bars", "drops"]


class Kind(NamedTuple):
    """A kind of product; sides are those of its large pack."""

    category: str
    name: str
    shape: Shape
    width_mm: float
    height_mm: float
    net_content: float
    unit: str


class Front(NamedTuple):
    """All that decides how a pack looks."""

    shape: Shape
    style: int  # number of the family: decides colours, pattern and emblem
    brand: str  # as printed
    title: str
    flavor: Flavor
    width_mm: float
    height_mm: float


class Item(NamedTuple):
    """A product and its front."""

    product: Product
    front: Front


KINDS = (
    Kind("Drinks", "Cola", "can", 114.0, 180.0, 500.0, "ml"),
    Kind("Snacks", "Crackers", "box", 150.0, 176.0, 250.0, "g"),
    Kind("Drinks", "Green Tea", "carton", 112.0, 196.0, 1000.0, "ml"),
    Kind("Snacks", "Granola", "pouch", 140.0, 190.0, 375.0, "g"),
    Kind("Household", "Detergent", "box", 156.0, 200.0, 1.2, "kg"),
    Kind("Drinks", "Juice", "bottle", 104.0, 206.0, 750.0, "ml"),
    Kind("Snacks", "Chips", "pouch", 146.0, 198.0, 175.0, "g"),
    Kind("Household", "Coffee Filters", "box", 138.0, 150.0, 80.0, "pcs"),
    Kind("Drinks", "Coffee", "jar", 116.0, 158.0, 200.0, "g"),
    Kind("Household", "Dish Soap", "bottle", 100.0, 200.0, 450.0, "ml"),
)
FLAVORS = (
    Flavor("Original", (214, 40, 40), "dots"),
    Flavor("Lime", (122, 190, 44), "leaves"),
    Flavor("Blueberry", (70, 66, 178), "rings"),
    Flavor("Honey", (242, 178, 30), "diamonds"),
    Flavor("Mint", (22, 160, 152), "drops"),
    Flavor("Cocoa", (104, 66, 40), "bars"),
    Flavor("Cherry", (176, 22, 104), "rings"),
    Flavor("Sea Salt", (96, 164, 222), "drops"),
)
_FIRST = ("Nor", "Sun", "Vel", "Bri", "Kal", "Mon", "Tar", "Lu", "Fen", "Ost", "Pia", "Ros", "Hal", "Wen", "Zor", "Ami")
_SECOND = ("da", "mill", "vona", "ko", "berg", "tello", "field", "ra", "nox", "lia", "dine", "wick", "sol", "bay", "quin", "mar")
_CHINESE_STYLE = 2  # one family bears a Chinese brand, SKU and name, as imported goods do


def assortment(skus: int) -> tuple[Item, ...]:
    """Returns `skus` products in at least 5 families of at most 4, over 3 categories. In 2 of 5 families two SKUs differ in size only."""
    families = max(LEAST_FAMILIES, math.ceil(skus / FAMILY_SIZE))
    sizes = [skus // families + (style < skus % families) for style in range(families)]
    items: list[Item] = []
    for style, size in enumerate(sizes):
        items += [_item(style, place, len(items) + place) for place in range(size)]
    return tuple(items)


def _item(style: int, place: int, number: int) -> Item:
    """Returns one product; in a family with a pair of sizes, the first two places are the small and the large pack of one flavour."""
    kind = KINDS[style % len(KINDS)]
    has_pair = style % LEAST_FAMILIES in (0, 2)
    small = has_pair and place == 0
    flavor = FLAVORS[(style + 3 * (place - (has_pair and place > 0))) % len(FLAVORS)]  # 3 and 8 share no factor: no flavour twice
    brand = _brand(style)
    content = kind.net_content / (2.0 if small else 1.0)
    look = f"{brand} {kind.name} {flavor.name}"
    width_mm, height_mm, depth_mm = (
        round(side / (SIZE_RATIO if small else 1.0), 1) for side in (kind.width_mm, kind.height_mm, kind.width_mm / 2)
    )
    product = Product(
        sku=_slug(f"{look} {content:g}{kind.unit}"),
        name=f"{look} {content:g} {kind.unit}",
        category=kind.category,
        family=f"{brand} {kind.name}",
        look=_slug(look),
        brand=brand,
        width_mm=width_mm,
        height_mm=height_mm,
        depth_mm=depth_mm,
        net_content=content,
        unit=kind.unit,
        gtin=(_gtin(number),),
        own=style % 3 != 2,
    )
    front = Front(kind.shape, style, _brand_in_latin(style), kind.name, flavor, width_mm, height_mm)
    return Item(_in_chinese(product, flavor) if style == _CHINESE_STYLE else product, front)


def _brand(style: int) -> str:
    return "青叶" if style == _CHINESE_STYLE else _brand_in_latin(style)


def _brand_in_latin(style: int) -> str:
    """Returns a brand of its own for each family: 256 names, then the same with a number."""
    first, second = _FIRST[style % 16], _SECOND[(style // 16 + style) % 16]
    return f"{first}{second}" + (f" {style // 256 + 1}" if style >= 256 else "")


def _in_chinese(product: Product, flavor: Flavor) -> Product:
    names = {
        "Original": "原味",
        "Lime": "青柠",
        "Blueberry": "蓝莓",
        "Honey": "蜂蜜",
        "Mint": "薄荷",
        "Cocoa": "可可",
        "Cherry": "樱桃",
        "Sea Salt": "海盐",
    }
    look = f"青叶绿茶-{names[flavor.name]}"
    content = f"{product.net_content:g}{product.unit}"
    return msgspec.structs.replace(product, sku=f"{look}-{content}", name=f"{look} {content}", family="青叶绿茶", look=look)


def _gtin(number: int) -> str:
    """Returns a GTIN-13 that no product on sale has: GS1 keeps the prefix 20 for numbers inside a company."""
    digits = f"20{number:010d}"
    return digits + check_digit(digits)


def _slug(text: str) -> str:
    return text.lower().replace(" ", "-")
