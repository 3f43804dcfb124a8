"""Evaluated crops cut into slices, and each slice by group (scene): how many crops, how often two models are right."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_retail import features
from tfx_retail.bounds import Floats, Totals

ALL, SIZE_PAIRS, TOP_FACINGS, DAY = "all", "size_pairs", "top_facings", "day"
METRICS = tuple(f"{level}_accuracy" for level in features.LEVELS)
TOP = 20  # SKUs in `top_facings` where no number is given
ALWAYS = (ALL, features.CATEGORY.name, features.FAMILY.name, features.BRAND.name, features.LOOK.name, features.SKU.name, SIZE_PAIRS)
WHERE_SEVERAL = (features.STORE.name, DAY, features.FACE.name, features.SOURCE.name, features.TRUNCATED.name)  # one value says nothing
NOWHERE = -1

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Column(NamedTuple):
    """One fact of N crops."""

    codes: Codes  # [N], into `values`; NOWHERE for a crop that is in no slice of this feature
    values: list[str]


class Crops(NamedTuple):
    """N evaluated crops: what they show, and at which LEVELS each answer was right."""

    columns: dict[str, Column]  # feature -> its values; `group`, `sku` and those of the slices
    right: dict[str, Flags]  # `<signature>` and `<against>/<signature>` -> [N, 4]
    masked: dict[str, tuple[Flags, Flags]]  # `<against>/<signature>` -> [N, 4] of new and earlier model, asked about common SKUs only
    same_look: frozenset[str] = frozenset()  # SKUs that share their look with another


class Key(NamedTuple):
    """Which slice, of what, against whom."""

    against: str  # `baseline` or `reference`
    feature: str
    value: str
    metric: str
    signature: str


class Pair(NamedTuple):
    """The crops of one slice by group: how often each model is right."""

    sizes: Floats  # [G]
    new: Floats
    earlier: Floats

    @property
    def losses(self) -> Totals:
        """What the new model gets wrong that the earlier one got right, less the other way round."""
        return Totals(self.sizes, self.earlier - self.new)


EMPTY = Pair(np.zeros(0), np.zeros(0), np.zeros(0))


def values(crops: Crops, feature: str) -> list[str]:
    """Returns the slices that a feature makes, in order; a look of one SKU is that SKU, and is left out."""
    if feature == ALL:
        return [ALL]
    if feature == SIZE_PAIRS:
        return [SIZE_PAIRS]
    if feature == TOP_FACINGS:
        return [str(TOP)]
    column = crops.columns[feature]
    codes = column.codes[showing(crops, crops.same_look)] if feature == features.LOOK.name else column.codes
    return sorted(column.values[code] for code in np.unique(codes) if code != NOWHERE)


def listed(crops: Crops, against: str) -> Iterator[Key]:
    """Yields every slice that a report has: SKU accuracy without sizes, and with sizes where they are what matters."""
    for feature in (*ALWAYS, *WHERE_SEVERAL):
        found = values(crops, feature)
        if feature in WHERE_SEVERAL and len(found) < 2:
            continue
        signatures = features.SIGNATURES if feature in (ALL, SIZE_PAIRS) else features.SIGNATURES[:1]
        yield from (Key(against, feature, value, METRICS[0], signature) for value in found for signature in signatures)


def showing(crops: Crops, skus: Iterable[str]) -> Flags:
    """Returns [N]: whether the crop shows one of the SKUs."""
    column, wanted = crops.columns[features.SKU.name], frozenset(skus)
    among = np.array([value in wanted for value in column.values], bool)
    return among[column.codes] if len(column.codes) else np.zeros(0, bool)


def by_group(crops: Crops, right: Flags) -> Totals:
    """Returns, for each group that has crops, how many it has and how many of them are right, of [N] flags."""
    groups = crops.columns[features.GROUP.name].codes
    sizes = np.bincount(groups).astype(float)
    sums = np.bincount(groups, weights=right).astype(float)
    return Totals(sizes[sizes > 0], sums[sizes > 0])


def pairs(crops: Crops, keys: Iterable[Key], kept: Mapping[str, Flags], answers: Callable[[Key], tuple[Flags, Flags]]) -> dict[Key, Pair]:
    """Returns each slice by group; EMPTY for one without crops.

    Args:
      kept: against -> [N], which crops are compared.
      answers: what the new and the earlier model got right, [N, 4] each, for a key, whatever its value.
    """
    found: dict[Key, Pair] = {}
    tables: dict[Key, dict[str, Pair]] = {}
    for key in keys:
        made_up = key.feature in (ALL, SIZE_PAIRS, TOP_FACINGS)
        table = key if made_up else key._replace(value="")  # the slices of a real feature are cut in one go
        if table not in tables:
            new, earlier = (flags[:, METRICS.index(key.metric)] for flags in answers(key))
            tables[table] = _cut(crops, _column(crops, key.feature, key.value), kept[key.against], new, earlier)
        found[key] = tables[table].get(key.value, EMPTY)
    return found


def _column(crops: Crops, feature: str, value: str) -> Column:
    """Returns the column that has the slice; made up for those that are not a fact of a crop."""
    if feature == ALL:
        return Column(np.zeros_like(crops.columns[features.SKU.name].codes), [value])
    if feature == SIZE_PAIRS:
        return Column(np.where(showing(crops, crops.same_look), 0, NOWHERE), [value])
    if feature == TOP_FACINGS:
        return Column(np.where(showing(crops, _most_crops(crops, int(value))), 0, NOWHERE), [value])
    return crops.columns[feature]


def _most_crops(crops: Crops, count: int) -> list[str]:
    column = crops.columns[features.SKU.name]
    crops_of = np.bincount(column.codes, minlength=len(column.values))
    order = sorted(range(len(column.values)), key=lambda code: (-crops_of[code], column.values[code]))
    return [column.values[code] for code in order[:count]]


def _cut(crops: Crops, column: Column, kept: Flags, new: Flags, earlier: Flags) -> dict[str, Pair]:
    kept = kept & (column.codes != NOWHERE)
    groups = crops.columns[features.GROUP.name]
    cells = column.codes[kept] * len(groups.values) + groups.codes[kept]
    cell, place, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    new_sums, earlier_sums = (np.bincount(place, weights=flags[kept], minlength=len(cell)) for flags in (new, earlier))
    starts = np.searchsorted(cell, np.arange(len(column.values) + 1) * len(groups.values))
    spans = [slice(start, end) for start, end in itertools.pairwise(starts.tolist())]
    return {
        value: Pair(sizes[span].astype(float), new_sums[span].astype(float), earlier_sums[span].astype(float))
        for value, span in zip(column.values, spans, strict=True)
        if span.start < span.stop
    }
