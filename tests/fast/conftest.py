"""Tests here take milliseconds because nothing that they touch loads TensorFlow; the one that does fails."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

gc.disable()  # while tests are imported and collected: nearly nothing of that is garbage
HEAVY = ("tensorflow", "keras", "tfx", "apache_beam")


def _loaded() -> list[str]:
    return [name for name in HEAVY if name in sys.modules]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if _loaded() and all(here in item.path.parents for item in items):
        raise pytest.UsageError(f"a module in tests/fast imports {', '.join(_loaded())}: such tests belong in tests/tf")


def pytest_collection_finish() -> None:
    gc.freeze()  # what is there by now stays: no search for garbage needs to look at it again
    gc.enable()


@pytest.fixture(autouse=True)
def nothing_heavy_is_imported() -> Iterator[None]:
    """Fails the test whose call imported a heavy library."""
    before = _loaded()
    yield
    new = [name for name in _loaded() if name not in before]
    assert not new, f"this test imported {', '.join(new)}: it belongs in tests/tf, or the code should import less"
