"""Digests move when what they stand for moves, and only then."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tfx_retail import digests


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "top.py").write_text("from shop import middle\n")
    (folder / "middle.py").write_text("from shop.bottom import x\nTABLE = {'a': 'shop.named'}\n")
    (folder / "bottom.py").write_text("x = 1\n")
    (folder / "named.py").write_text("y = 1\n")
    (folder / "apart.py").write_text("z = 1\n")
    monkeypatch.setattr(digests, "_PACKAGE", folder)
    digests.code_digest.cache_clear()
    yield folder
    digests.code_digest.cache_clear()


@pytest.mark.parametrize("changed", ["top", "middle", "bottom", "named"])
def test_a_change_of_what_a_module_stands_on_changes_its_digest(package: Path, changed: str) -> None:
    before = digests.code_digest("shop.top")
    (package / f"{changed}.py").write_text("# changed\n")
    digests.code_digest.cache_clear()
    assert digests.code_digest("shop.top") != before


def test_a_change_elsewhere_leaves_the_digest_alone(package: Path) -> None:
    before = digests.code_digest("shop.top")
    (package / "apart.py").write_text("# changed\n")
    digests.code_digest.cache_clear()
    assert digests.code_digest("shop.top") == before


def test_parts_do_not_run_into_each_other() -> None:
    assert digests.text_digest("ab", "c") != digests.text_digest("a", "bc")
