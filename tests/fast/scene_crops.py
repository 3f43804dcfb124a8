"""Evaluated crops written by hand: scenes with crops, and which of two models was right on each."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfx_retail.slices import DAY, NOWHERE, Column, Crops

SIGNATURES = ("serving_default", "predict_sized")
FACTS = ("group", "sku", "look", "family", "category", "brand", "store", DAY, "face", "source", "truncated")
OTHERWISE = {"source": "shelf", "truncated": "0"}


class Shown(NamedTuple):
    """One crop."""

    group: str
    sku: str
    new: bool  # whether each model names it rightly
    old: bool
    facts: Mapping[str, str] = {}  # others than group and SKU; a look, family and category of the SKU's name if not given


def crops(shown: Sequence[Shown], *, same_look: Sequence[str] = (), against: Sequence[str] = ("baseline",)) -> Crops:
    """Returns them as the verdict reads them; both models are wrong at all levels or at none."""
    right = {name: _levels([crop.new for crop in shown]) for name in SIGNATURES}
    right |= {f"{name}/{signature}": _levels([crop.old for crop in shown]) for name in against for signature in SIGNATURES}
    columns = {name: _column([_fact(crop, name) for crop in shown]) for name in FACTS}
    return Crops(columns, right, {}, frozenset(same_look))


def scenes(count: int, sku: str, *, new: bool, old: bool, each: int = 1, first: int = 0, **facts: str) -> list[Shown]:
    """Returns `each` crops of a SKU in each of `count` scenes, all of them alike."""
    return [Shown(f"g{first + scene}", sku, new, old, facts) for scene in range(count) for _ in range(each)]


def _fact(crop: Shown, name: str) -> str:
    if name in ("sku", "look", "family", "category"):
        return crop.facts.get(name, crop.sku)
    return crop.group if name == "group" else crop.facts.get(name, OTHERWISE.get(name, ""))


def _levels(right: list[bool]) -> np.ndarray:  # type: ignore[type-arg]
    return np.repeat(np.array(right, bool).reshape(-1, 1), 4, axis=1)


def _column(texts: list[str]) -> Column:
    values = sorted(set(texts) - {""})
    codes = {"": NOWHERE, **{value: code for code, value in enumerate(values)}}
    return Column(np.array([codes[text] for text in texts], np.int64), values)
