"""Roles go to whole scenes, stores or days, in the shares that were asked for, and no product is lost to train."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fast.photo_rows import row
from tfx_retail.config import Role, SplitConfig
from tfx_retail.features import ROLES
from tfx_retail.ingest.record import DataError
from tfx_retail.ingest.rows import PhotoRow
from tfx_retail.ingest.splits import assign_roles

SHARES: dict[Role, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "eval": 0.1}


def by(kind: str, **more: object) -> SplitConfig:
    return SplitConfig(by=kind, shares=SHARES, **more)  # type: ignore[arg-type]


def singles(count: int, *skus: str) -> list[PhotoRow]:
    return [row(f"p{number:03d}", skus[number % len(skus)]) for number in range(count)]


def alone(photos: list[PhotoRow]) -> list[str]:
    return [photo.photo_id for photo in photos]


def test_shares_are_met_exactly_where_every_photo_is_its_own_scene() -> None:
    photos = singles(100, "cola")
    assert Counter(assign_roles(photos, alone(photos), by("group")).roles) == {"train": 70, "validation": 10, "calibration": 10, "eval": 10}


def test_each_sku_is_spread_over_the_roles_as_the_shares_say() -> None:
    photos = singles(200, "cola", "lime")
    splits = assign_roles(photos, alone(photos), by("group"))
    for sku in ("cola", "lime"):
        found: Counter[str] = Counter(role for photo, role in zip(photos, splits.roles, strict=True) if photo.skus == (sku,))
        assert found["train"] in (69, 70, 71)
        assert all(found[role] in (9, 10, 11) for role in ROLES[1:])


def test_the_seed_decides_and_nothing_else() -> None:
    photos = singles(60, "cola", "lime")
    first = assign_roles(photos, alone(photos), by("group", seed=1)).roles
    turned = assign_roles(photos[::-1], alone(photos)[::-1], by("group", seed=1)).roles
    assert first == turned[::-1]
    assert first != assign_roles(photos, alone(photos), by("group", seed=2)).roles


def test_a_scene_is_never_divided() -> None:
    photos = singles(60, "cola", "lime")
    groups = [f"scene {number // 5}" for number in range(60)]
    roles = assign_roles(photos, groups, by("group")).roles
    assert all(len({role for role, group in zip(roles, groups, strict=True) if group == name}) == 1 for name in set(groups))
    assert set(roles) == set(ROLES)


def test_a_scene_too_large_for_a_role_stays_in_train() -> None:
    photos = singles(100, "cola")
    groups = ["giant"] * 50 + [f"scene {number}" for number in range(50)]
    splits = assign_roles(photos, groups, by("group"))
    assert set(splits.roles[:50]) == {"train"}
    assert Counter(splits.roles) == {"train": 70, "validation": 10, "calibration": 10, "eval": 10}
    assert splits.warnings == [
        "one scene (giant) holds 50 of 100 photos; if they are not one place, lower split.scene_bits or split.scene_color"
    ]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 11), st.sets(st.sampled_from("abcdef"), min_size=1)), min_size=4, max_size=60), st.integers(0, 5))
def test_no_role_is_empty_and_no_sku_is_lost_to_train_where_that_can_be(photos: list[tuple[int, set[str]]], seed: int) -> None:
    rows = [row(f"p{number:02d}", *sorted(skus)) for number, (_, skus) in enumerate(photos)]
    groups = [f"scene {scene}" for scene, _ in photos]
    if len(set(groups)) < 4:
        with pytest.raises(DataError, match="4 roles need one each"):
            assign_roles(rows, groups, by("group", seed=seed))
        return
    splits = assign_roles(rows, groups, by("group", seed=seed))
    assert set(splits.roles) == set(ROLES)
    learnt = {sku for photo, role in zip(rows, splits.roles, strict=True) if role == "train" for sku in photo.skus}
    told = any("not in train" in warning for warning in splits.warnings)
    assert told == (learnt != {sku for photo in rows for sku in photo.skus})


def test_a_role_without_a_unit_gets_one_and_train_keeps_its_own() -> None:
    photos = singles(23, "cola")
    groups = ["giant"] * 20 + ["a", "b", "c"]
    for seed in range(10):
        roles = assign_roles(photos, groups, by("group", seed=seed)).roles
        assert set(roles[:20]) == {"train"}
        assert set(roles[20:]) == {"validation", "calibration", "eval"}


def test_a_sku_with_one_scene_stays_in_train() -> None:
    photos = [*singles(40, "cola", "lime"), *(row(f"r{number}", f"rare {number}") for number in range(10))]
    splits = assign_roles(photos, alone(photos), by("group"))
    assert set(splits.roles[40:]) == {"train"}
    assert splits.warnings == []


def test_skus_that_train_lacks_are_named() -> None:
    photos = [row("a", "cola"), row("b", "lime"), row("c", "milk"), row("d", "可乐")]
    (warning,) = assign_roles(photos, alone(photos), by("group")).warnings
    assert warning.startswith("3 SKUs are not in train, so no model can know them: ")


def test_too_few_scenes_are_refused_with_counts_and_a_cure() -> None:
    photos = singles(9, "cola")
    with pytest.raises(DataError) as caught:
        assign_roles(photos, ["a"] * 4 + ["b"] * 5, by("group"))
    assert str(caught.value) == (
        "split.by group: 9 photos make 2 scenes (a, b), but 4 roles need one each; "
        "add photos, lower split.scene_bits or split.scene_color, or choose another split.by"
    )


def test_stores_are_kept_whole() -> None:
    photos = [row(f"p{number}", store=f"store {number % 5}") for number in range(20)]
    roles = assign_roles(photos, alone(photos), by("store")).roles
    assert len({(photo.store, role) for photo, role in zip(photos, roles, strict=True)}) == 5
    assert set(roles) == set(ROLES)


def test_photos_without_a_store_are_refused_where_stores_split() -> None:
    with pytest.raises(DataError, match=r"split.by store: 1 of 2 photos have no store, b among them; give it in"):
        assign_roles([row("a", store="north"), row("b")], ["a", "b"], by("store"))


def test_the_oldest_train_and_the_newest_judge() -> None:
    days = [row(f"p{day:02d}", taken_at=f"2024-05-{day:02d}") for day in range(1, 11)]
    assert assign_roles(days, alone(days), by("time")).roles == ["train"] * 7 + ["validation", "calibration", "eval"]


def test_times_are_compared_as_moments_whatever_their_zone() -> None:
    photos = [
        row("a", taken_at="2024-05-01T10:00:00+02:00"),  # 8:00
        row("b", taken_at="2024-05-01T09:00:00Z"),
        row("c", taken_at="2024-05-01T09:30:00"),
        row("d", taken_at="2024-05-02"),
    ]
    assert assign_roles(photos, alone(photos), by("time")).roles == ["train", "validation", "calibration", "eval"]


def test_a_scene_is_as_old_as_its_first_photo() -> None:
    photos = [row(f"p{day}", taken_at=f"2024-05-0{day}") for day in (1, 9, 2, 3, 4)]
    assert assign_roles(photos, ["x", "x", "c", "d", "e"], by("time")).roles == ["train", "train", "validation", "calibration", "eval"]


def test_given_roles_are_kept() -> None:
    photos = [row(role, split=role) for role in ("eval", "train", "calibration", "validation")]
    assert assign_roles(photos, alone(photos), SplitConfig(by="given")).roles == ["eval", "train", "calibration", "validation"]


def test_roles_that_the_lists_lack_are_carved_from_the_scenes_of_train() -> None:
    photos = [row(f"p{number:02d}", split="train") for number in range(20)] + [row(f"q{number}", split="eval") for number in range(5)]
    groups = [f"scene {number // 2}" for number in range(20)] + ["far"] * 5
    roles = assign_roles(photos, groups, SplitConfig(by="given", carve={"validation": 0.1, "calibration": 0.2})).roles
    assert Counter(roles) == {"train": 14, "validation": 2, "calibration": 4, "eval": 5}
    assert set(roles[20:]) == {"eval"}
    assert all(first == second for first, second in zip(roles[0:20:2], roles[1:20:2], strict=True))


def test_photos_that_no_list_names_are_refused() -> None:
    with pytest.raises(DataError, match=r"split.by given: 1 of 2 photos have no role, b among them; name them in the lists"):
        assign_roles([row("a", split="train"), row("b")], ["a", "b"], SplitConfig(by="given"))


def test_roles_that_nothing_fills_are_named() -> None:
    with pytest.raises(DataError, match=r"no photo is validation or calibration; list some, or add the role to split.carve"):
        assign_roles([row("a", split="train"), row("b", split="eval")], ["a", "b"], SplitConfig(by="given"))


def test_a_role_is_not_both_listed_and_carved() -> None:
    photos = [row("a", split="train"), row("b", split="eval")]
    with pytest.raises(DataError, match=r"split.carve takes eval from train, but the lists give 1 photos that role"):
        assign_roles(photos, ["a", "b"], SplitConfig(by="given", carve={"eval": 0.5}))


def test_the_largest_scene_of_a_sku_is_trains_whatever_the_seed() -> None:
    photos = singles(60, "cola") + [row(f"lime{number}", "lime") for number in range(10)]
    groups = [*alone(photos[:60]), "lone", "burst", "burst", "burst", "burst", "burst", "burst", "burst", "other", "last"]
    for seed in range(5):
        roles = assign_roles(photos, groups, by("group", seed=seed)).roles
        assert set(roles[61:68]) == {"train"}
