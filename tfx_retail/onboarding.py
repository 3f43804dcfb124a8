"""A catalogue against what a network was taught: which of its looks is which column of the logits, and which SKUs it can answer.

A look is known by the SKUs that the network saw it on, not by its name: names change. What it was not taught needs training.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail.catalog import Catalog
from tfx_retail.labels import Label
from tfx_retail.product import SIDES, Product
from tfx_retail.trained import Taught, Trained

_COMPARED = tuple(side for side in SIDES if side != "depth_mm")  # photos show no depth


class Match(NamedTuple):
    """How a catalogue goes with a network."""

    column: dict[str, int]  # look of the catalogue, or SKU that has left it -> column of the logits; looks that it lacks are left out
    faults: list[str]  # what needs training, or another catalogue, a line for each SKU


def match(known: Trained, order: Sequence[Label], products: Catalog) -> Match:
    """Returns the columns of all looks; with faults where the network cannot tell what the catalogue tells apart, or has never seen it."""
    column = {look: place for place, look in enumerate(known.looks)}
    taught = {product.sku: product for product in known.products if product.examples}
    found: dict[str, int] = {}
    faults = []
    for look, members in _by_look(products).items():
        columns = {column[taught[product.sku].look] for product in members if product.sku in taught}
        if not columns and look in {product.look for product in taught.values()}:
            columns = {column[look]}  # all that were trained have left, or come back under another SKU
        if len(columns) == 1:
            found[look] = columns.pop()
        elif columns:
            faults += [f"SKU {product.sku}: look {look!r} joins looks that the network tells apart; needs training" for product in members]
        else:
            found |= {look: column[look]} if look in column else {}
            faults += [f"SKU {product.sku}: look {look!r} was not trained; needs training" for product in _new(members, known)]
    if not faults and not {column[product.look] for product in taught.values()} & set(found.values()):
        faults.append("no product is left that the network was taught; needs training")
    faults += _split(found, products)
    faults += _regrouped(found, known, products)
    faults += _sizeless(known, products)
    gone = {label.sku: column[taught[label.sku].look] for label in order if label.sku in taught and label.sku not in products.by_sku}
    return Match(found | {sku: place for sku, place in gone.items() if sku not in found}, faults)


def columns(found: Match, looks: Sequence[str]) -> NDArray[np.int64]:
    """Returns [L] the column of the logits of each look; 0 for one that the network lacks: none of its SKUs may win."""
    return np.array([found.column.get(look, 0) for look in looks], np.int64)


def _by_look(products: Catalog) -> dict[str, list[Product]]:
    members: dict[str, list[Product]] = {}
    for product in products.products:
        members.setdefault(product.look, []).append(product)
    return members


def _new(members: Sequence[Product], known: Trained) -> list[Product]:
    """Those that were in the catalogue without a photo then are no fault: they go on being never answered."""
    return [product for product in members if product.sku not in known.by_sku]


def _split(found: dict[str, int], products: Catalog) -> Iterator[str]:
    """Two looks that are one to the network."""
    claimed: dict[int, str] = {}
    for look, place in found.items():
        if claimed.setdefault(place, look) != look:
            for product in _by_look(products)[look]:
                yield f"SKU {product.sku}: look {look!r} and look {claimed[place]!r} are one look to the network; needs training"


def _regrouped(found: dict[str, int], known: Trained, products: Catalog) -> Iterator[str]:
    """A family may have another name, but other looks in it than the network learned to tell apart there need training."""
    learned = [_taught_in(known, look).family for look in known.looks]
    rows = [(members, learned[found[look]]) for look, members in _by_look(products).items() if look in found]
    taken: dict[str, str] = {}  # family of the network -> the catalogue's
    for family in dict.fromkeys(members[0].family for members, _ in rows):
        before = [old for members, old in rows if members[0].family == family]
        taken.setdefault(family if family in before else before[0], family)
    for members, old in rows:
        if taken.get(old) != members[0].family:
            for product in members:
                yield f"SKU {product.sku}: family {product.family!r}: the network learned it in {old!r} beside others; needs training"


def _taught_in(known: Trained, look: str) -> Taught:
    return next(product for product in known.products if product.look == look)


def _sizeless(known: Trained, products: Catalog) -> Iterator[str]:
    """A new pack without the sides that its look has would take from the others what tells them apart."""
    for members in _by_look(products).values():
        new = _new(members, known)
        for side in _COMPARED:
            if any(getattr(product, side) for product in members if product not in new):
                for product in new:
                    if not getattr(product, side):
                        yield f"SKU {product.sku}, column {side}: is empty, and only its size tells it from the others of its look"
