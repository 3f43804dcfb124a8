"""What stands where: each store's planogram, and the scenes that a photographer found, with gaps and misplaced packs."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from tfx_retail.sample.assortment import Item

STORES = ("harbour", "station")
FIXTURE_WIDTH_MM = 1600.0
ROWS = 2
SPACE_MM = 7.0  # between two packs
MOST_FACINGS = 3
LEAST_SLOTS = 84  # of a store
GAP_SHARE, MISPLACED_SHARE = 0.05, 0.03
PHOTOS_PER_SCENE = 4
_FIRST_DAY = datetime(2024, 3, 4, 8, 0)  # noqa: DTZ001 - shop time, as cameras write it
_DAYS = 60


class Slot(NamedTuple):
    """One entry of a planogram: facings of one product side by side."""

    store: str
    fixture: int
    shelf: int  # from the top, from 1
    slot: int  # from the left, from 1
    item: Item
    facings: int
    x_mm: float  # left edge of the first facing
    width_mm: float  # of all facings and the space between them


class Facing(NamedTuple):
    """One place on a shelf as the photographer found it."""

    item: Item | None  # None: a gap
    shelf: int
    x_mm: float
    width_mm: float
    height_mm: float
    light: float  # of this pack, about 1
    second: bool  # another one stands behind it


class Scene(NamedTuple):
    """A piece of shelf at one moment; all photos of it are one group."""

    number: int
    store: str
    taken_at: datetime
    facings: tuple[Facing, ...]


def planogram(items: tuple[Item, ...], seed: int) -> tuple[Slot, ...]:
    """Returns the slots of both stores: fixtures of two full shelves, families side by side, every product at least once.

    A small assortment fills several fixtures, each time in another order, so that no product stands at the edge everywhere.
    """
    return tuple(
        slot for number, store in enumerate(STORES) for slot in _store_slots(items, store, np.random.default_rng([seed, 1, number]))
    )


def scene(number: int, slots_of: dict[tuple[str, int], tuple[Slot, ...]], seed: int) -> Scene:
    """Returns scene `number`; it is the same whoever asks, and in whatever order.

    Args:
      slots_of: the planogram by (store, fixture).
    """
    random = np.random.default_rng([seed, 2, number])
    place = list(slots_of)[number % len(slots_of)]
    slots = slots_of[place]
    items = [slot.item for slot in slots]
    moment = _FIRST_DAY + timedelta(days=int(random.integers(_DAYS)), minutes=int(random.integers(12 * 60)))
    facings = tuple(facing for slot in slots for facing in _facings(slot, items, random))
    return Scene(number, place[0], moment, facings)


def by_fixture(slots: tuple[Slot, ...]) -> dict[tuple[str, int], tuple[Slot, ...]]:
    """Returns the slots of each (store, fixture), sorted by fixture, so that the first scenes show all stores."""
    found: dict[tuple[str, int], list[Slot]] = {}
    for slot in sorted(slots, key=lambda slot: slot.fixture):
        found.setdefault((slot.store, slot.fixture), []).append(slot)
    return {place: tuple(group) for place, group in found.items()}


def _store_slots(items: tuple[Item, ...], store: str, random: Generator) -> list[Slot]:
    rounds = max(1, math.ceil(LEAST_SLOTS / len(items)))
    order = [item for _ in range(rounds) for item in _by_family(items, random)]
    slots: list[Slot] = []
    x_mm, place, shelf, fixture, next_item = SPACE_MM, 1, 1, 1, 0
    while True:
        item = order[next_item % len(order)]
        facings = int(random.integers(1, MOST_FACINGS + 1))
        width = facings * (item.front.width_mm + SPACE_MM) - SPACE_MM
        if x_mm + width > FIXTURE_WIDTH_MM:
            x_mm, place, shelf = SPACE_MM, 1, shelf + 1
            if shelf > ROWS:
                if next_item >= len(order):
                    return slots
                shelf, fixture = 1, fixture + 1
        slots.append(Slot(store, fixture, shelf, place, item, facings, round(x_mm, 1), round(width, 1)))
        x_mm, place, next_item = x_mm + width + SPACE_MM, place + 1, next_item + 1


def _by_family(items: tuple[Item, ...], random: Generator) -> list[Item]:
    families: dict[int, list[Item]] = {}
    for item in items:
        families.setdefault(item.front.style, []).append(item)
    return [item for style in random.permutation(list(families)) for item in families[int(style)]]


def _facings(slot: Slot, items: list[Item], random: Generator) -> list[Facing]:
    found = []
    for place in range(slot.facings):
        chance = random.random()
        item = slot.item if chance > MISPLACED_SHARE else items[int(random.integers(len(items)))]
        width, room = item.front.width_mm, slot.item.front.width_mm
        if width > room:  # what does not fit is not misplaced there
            item, width = slot.item, room
        x_mm = slot.x_mm + place * (room + SPACE_MM) + (room - width) / 2 + random.uniform(-0.4, 0.4) * SPACE_MM
        gap = chance > 1.0 - GAP_SHARE
        light, second = random.uniform(0.88, 1.06), random.random() < 0.6
        found.append(Facing(None if gap else item, slot.shelf, x_mm, width, item.front.height_mm, light, second))
    return found
