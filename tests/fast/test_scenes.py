"""Scenes are what photos have in common: a group that is given, near-equal hashes, near-equal colours of one SKU."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fast.photo_rows import HALF_AND_HALF, ONE_COLOR, row
from tfx_retail.config import SplitConfig
from tfx_retail.ingest.hamming import as_hashes, near_pairs
from tfx_retail.ingest.scenes import find_scenes


@pytest.mark.parametrize("bits", [0, 3, 4, 10, 20, 33])
def test_all_pairs_within_the_distance_are_found_and_no_others(bits: int) -> None:
    random = np.random.default_rng(7)
    seeds = random.integers(0, 2**63, 12, dtype=np.uint64)
    flips = [np.bitwise_xor.reduce(np.uint64(1) << random.integers(0, 64, (times, 12), dtype=np.uint64)) for times in range(1, 13)]
    values = [int(value) for value in np.concatenate([seeds, *(seeds ^ flip for flip in flips)])]
    found = {
        frozenset(pair) for one, other in near_pairs(as_hashes(values), bits) for pair in zip(one.tolist(), other.tolist(), strict=True)
    }
    expected = {
        frozenset((one, other)) for one in range(len(values)) for other in range(one) if (values[one] ^ values[other]).bit_count() <= bits
    }
    assert found == expected


@settings(max_examples=25)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.integers(0, 64))
@pytest.mark.long
def test_every_hash_pairs_within_64_bits_and_equal_ones_within_0(values: list[int], bits: int) -> None:
    found = {
        frozenset(pair) for one, other in near_pairs(as_hashes(values), bits) for pair in zip(one.tolist(), other.tolist(), strict=True)
    }
    expected = {frozenset((i, j)) for i in range(len(values)) for j in range(i) if (values[i] ^ values[j]).bit_count() <= bits}
    assert found == expected


def test_photos_within_the_bits_are_one_scene_and_so_are_chains() -> None:
    photos = [row("a", hash=0), row("b", hash=0b111), row("c", hash=0b111111), row("d", hash=2**64 - 1)]
    assert find_scenes(photos, SplitConfig(scene_bits=3)) == ["a", "a", "a", "d"]
    assert find_scenes(photos, SplitConfig(scene_bits=2)) == ["a", "b", "c", "d"]


def test_a_group_that_the_data_names_is_the_scene_and_hashes_do_not_matter() -> None:
    photos = [
        row("a", group="monday", hash=0),
        row("b", group="monday", hash=2**64 - 1),
        row("c", group="tuesday", hash=0),
        row("d", hash=0),
    ]
    assert find_scenes(photos, SplitConfig()) == ["monday", "monday", "tuesday", "d"]


def test_colours_join_photos_of_one_sku_only() -> None:
    photos = [
        row("a", "cola", colors=ONE_COLOR),
        row("b", "cola", colors=ONE_COLOR),
        row("c", "lime", colors=ONE_COLOR),
        row("d", "cola", colors=HALF_AND_HALF),  # half of its pixels have another colour: L1 is 1
        row("e", "cola", "lime", colors=ONE_COLOR),
    ]
    assert find_scenes(photos, SplitConfig(scene_color=0.5)) == ["a", "a", "c", "d", "e"]
    assert find_scenes(photos, SplitConfig(scene_color=1.1)) == ["a", "a", "c", "a", "e"]
    assert find_scenes(photos, SplitConfig(scene_color=0.0)) == ["a", "b", "c", "d", "e"]


def test_split_by_photo_makes_each_photo_its_own_scene() -> None:
    assert find_scenes([row("a", hash=0), row("b", hash=0)], SplitConfig(by="photo")) == ["a", "b"]


def test_a_scene_ends_where_a_store_or_a_given_role_ends() -> None:
    stores = [row("a", hash=0, store="north"), row("b", hash=0, store="south")]
    assert find_scenes(stores, SplitConfig(by="store")) == ["a", "b"]
    assert find_scenes(stores, SplitConfig(by="group")) == ["a", "a"]
    given_roles = [row("a", hash=0, split="train"), row("b", hash=0, split="eval")]
    assert find_scenes(given_roles, SplitConfig(by="given")) == ["a", "b"]


@pytest.mark.long
def test_twenty_thousand_photos_of_nothing_are_one_scene_without_comparing_all_with_all() -> None:
    photos = [row(f"{number:05d}", hash=0) for number in range(20_000)]
    assert set(find_scenes(photos, SplitConfig())) == {"00000"}
