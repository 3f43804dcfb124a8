"""Pairs of 64-bit hashes that differ in few bits, without comparing all with all."""

import math
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_retail.ingest.fingerprints import HASH_BITS

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
BLOCK_PAIRS = 2_000_000  # compared at once: some 100 MB
_PROBE_COST = 30  # what looking one bucket up costs, in comparisons


def near_pairs(hashes: Hashes, bits: int) -> Iterator[tuple[Indices, Indices]]:
    """Yields blocks of index pairs (first, second) of hashes that differ in at most `bits` bits: each such pair at least once.

    Exact, by the pigeonhole principle: of m chunks of the 64 bits, one differs in at most bits // m. So it is enough to compare
    hashes that share a chunk but for so many bits. 200,000 spread-out hashes take a second at 4 bits, half a minute at 10, and steeply
    more above; give each distinct hash once.
    Source: Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
    """
    flips = _cheapest_flips(len(hashes), bits)
    chunks = bits // (flips + 1) + 1
    edges = [HASH_BITS * number // chunks for number in range(chunks + 1)]
    for low, high in pairwise(edges):
        keys = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        for first, second in _sharing(keys, high - low, flips):
            near = distances(hashes[first], hashes[second]) <= bits
            if near.any():
                yield first[near], second[near]


def distances(first: Hashes, second: Hashes) -> npt.NDArray[np.uint64]:
    """Returns in how many bits hashes differ, pair by pair. Source: H. S. Warren, "Hacker's Delight", 5-1."""
    ones = first ^ second
    ones = ones - ((ones >> np.uint64(1)) & np.uint64(0x5555555555555555))
    ones = (ones & np.uint64(0x3333333333333333)) + ((ones >> np.uint64(2)) & np.uint64(0x3333333333333333))
    ones = (ones + (ones >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (ones * np.uint64(0x0101010101010101)) >> np.uint64(56)


def _cheapest_flips(count: int, bits: int) -> int:
    """Returns in how many bits a chunk may differ: more of them make longer chunks, so smaller buckets, but more of these to look at."""

    def cost(flips: int) -> float:
        chunks = bits // (flips + 1) + 1
        width = HASH_BITS / chunks
        probes = sum(math.comb(round(width), number) for number in range(flips + 1))
        return chunks * probes * (_PROBE_COST + count / 2**width)

    return min((0, 1, 2), key=cost)


def _sharing(keys: Hashes, width: int, flips: int) -> Iterator[tuple[Indices, Indices]]:
    """Yields blocks of index pairs whose keys, `width` bits long, differ in at most `flips` bits."""
    order = np.argsort(keys, kind="stable")
    buckets, starts, bucket_of, sizes = np.unique(keys[order], return_index=True, return_inverse=True, return_counts=True)
    places = np.arange(len(keys))
    yield from _expanded(order, places, places + 1, (starts + sizes)[bucket_of] - places - 1)
    for number in range(1, flips + 1):
        for positions in combinations(range(width), number):
            flip = np.uint64(sum(1 << position for position in positions))
            begins, counts = _partners(buckets, starts, sizes, flip)
            yield from _expanded(order, places, begins[bucket_of], counts[bucket_of])


def _partners(buckets: Hashes, starts: Indices, sizes: Indices, flip: np.uint64) -> tuple[Indices, Indices]:
    """Returns for each bucket where the bucket of the flipped key starts and its size: 0 where there is none, or it is the smaller key."""
    wanted = buckets ^ flip
    found = np.minimum(np.searchsorted(buckets, wanted), len(buckets) - 1)
    paired = (buckets[found] == wanted) & (wanted > buckets)  # each pair of buckets from one side
    return starts[found], np.where(paired, sizes[found], 0)


def _expanded(order: Indices, places: Indices, begins: Indices, counts: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yields the pairs of each place with the `counts` places from its `begins` on, as indices, in blocks."""
    busy = np.flatnonzero(counts)
    places, begins, counts = places[busy], begins[busy], counts[busy]
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        limit = (ends[start - 1] if start else 0) + BLOCK_PAIRS
        stop = max(int(np.searchsorted(ends, limit, side="right")), start + 1)
        sizes = counts[start:stop]
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield order[np.repeat(places[start:stop], sizes)], order[np.repeat(begins[start:stop], sizes) + offsets]
        start = stop


def as_hashes(values: Any) -> Hashes:
    """Returns Python integers as an array."""
    return np.fromiter(values, np.uint64)
