"""Scenes: photos that show the same place at the same time, so that one says what is on the other."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_retail.config import SplitConfig
from tfx_retail.ingest.hamming import Indices, as_hashes, near_pairs
from tfx_retail.ingest.rows import PhotoRow

_BLOCK_CELLS = 4_000_000  # colour differences held at once


def find_scenes(photos: Sequence[PhotoRow], settings: SplitConfig) -> list[str]:
    """Returns the scene of each photo: the data's own group, or the id of the first photo that it hangs together with.

    Photos hang together within `scene_bits` of their hashes, or within `scene_color` of their colour histograms where each shows one
    SKU only, and it is the same; and so do, in chains, those between. A scene never reaches across stores or given roles where these
    are what is split by: leakage across them is looked for apart. A pack shot is a scene of its own: it is learnt from whatever it is like.
    """
    if settings.by == "photo":
        return [photo.photo_id for photo in photos]
    scopes = [_scope(photo, settings) for photo in photos]
    joined = _Components(len(photos))
    _join_equal(joined, [(scope, photo.group) if photo.group else None for scope, photo in zip(scopes, photos, strict=True)])
    for indices in _by_key(scopes, [not (photo.group or photo.of_catalog) for photo in photos]).values():
        _join_hashes(joined, photos, indices, settings.scene_bits)
        if settings.scene_color:
            _join_colors(joined, photos, indices, settings.scene_color)
    return _names(photos, joined.roots)


def _scope(photo: PhotoRow, settings: SplitConfig) -> str:
    if settings.by == "given":
        return photo.split or ""
    return photo.store if settings.by == "store" else ""


class _Components:
    """Disjoint sets of 0..n-1; the smallest member stands for its set."""

    def __init__(self, count: int) -> None:
        self.roots: Indices = np.arange(count)

    def join(self, first: Indices, second: Indices) -> None:
        """Joins pairs, array by array: a loop over pairs in Python would take minutes."""
        while True:
            ends = self.roots[first], self.roots[second]
            apart = ends[0] != ends[1]
            if not apart.any():
                return
            first, second = first[apart], second[apart]
            low, high = np.minimum(*ends)[apart], np.maximum(*ends)[apart]
            np.minimum.at(self.roots, high, low)
            self._flatten()

    def _flatten(self) -> None:
        while True:
            above = self.roots[self.roots]
            if np.array_equal(above, self.roots):
                return
            self.roots = above


def _by_key(keys: Sequence[Any], wanted: Sequence[bool]) -> dict[Any, Indices]:
    found: dict[Any, list[int]] = defaultdict(list)
    for index, (key, want) in enumerate(zip(keys, wanted, strict=True)):
        if want:
            found[key].append(index)
    return {key: np.array(indices) for key, indices in found.items()}


def _join_equal(joined: _Components, keys: Sequence[Any]) -> None:
    for indices in _by_key(keys, [key is not None for key in keys]).values():
        joined.join(indices[:-1], indices[1:])


def _join_hashes(joined: _Components, photos: Sequence[PhotoRow], indices: Indices, bits: int) -> None:
    hashes = as_hashes(photos[index].hash for index in indices)
    distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    joined.join(indices, indices[first][inverse])
    for one, other in near_pairs(distinct, bits):
        joined.join(indices[first[one]], indices[first[other]])


def _join_colors(joined: _Components, photos: Sequence[PhotoRow], indices: Indices, limit: float) -> None:
    """Compares all photos of a SKU with each other: 10,000 photos of one take some 10 s."""
    skus = [set(photos[index].skus) for index in indices]
    for of_sku in _by_key([min(names) for names in skus], [len(names) == 1 for names in skus]).values():
        members = indices[of_sku]
        colors = np.stack([np.frombuffer(photos[index].colors, np.uint8) for index in members]).astype(np.int16)
        step = max(_BLOCK_CELLS // colors.size, 1)
        for start in range(0, len(members), step):
            one, other = np.nonzero(_color_distances(colors[start : start + step], colors) < limit)
            joined.join(members[start + one], members[other])


def _color_distances(first: npt.NDArray[np.int16], second: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Returns the L1 distances of histograms [m, 64] and [n, 64], [m, n] in [0, 2]."""
    return np.abs(first[:, None] - second[None]).sum(axis=2) / 255.0


def _names(photos: Sequence[PhotoRow], roots: Indices) -> list[str]:
    smallest: dict[int, str] = {}
    for photo, root in zip(photos, roots.tolist(), strict=True):
        name = photo.group or photo.photo_id
        smallest[root] = min(smallest.get(root, name), name)
    return [smallest[root] for root in roots.tolist()]
