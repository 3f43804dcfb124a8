"""What `predict` says beside its answers."""

import json
from pathlib import Path

from tfx_retail.prediction import unseen


def version(folder: Path, never: list[str], examples: dict[str, int]) -> Path:
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "model.json").write_text(json.dumps({"never_answered": never, "examples": examples}))
    return folder


def test_skus_that_nobody_has_photographed_are_named(tmp_path: Path) -> None:
    found = unseen(version(tmp_path, ["milk", "gone"], {"cola": 12, "milk": 0, "gone": 3}))  # gone is retired: that is no news
    assert list(found) == ["never answered, as no photo of them was in train: milk"]


def test_of_many_the_first_are_named(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(7)]
    assert list(unseen(version(tmp_path, names, {}))) == ["never answered, as no photo of them was in train: s0, s1, s2, s3, s4 and 2 more"]


def test_nothing_is_said_where_all_are_known(tmp_path: Path) -> None:
    assert list(unseen(version(tmp_path, [], {"cola": 12}))) == []
