"""The garbage collector rests while heavy packages are loaded, and is at work again afterwards."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tfx_retail import loading


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_the_collector_rests_in_the_block_and_is_at_work_after_it() -> None:
    with loading.without_collector():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_is_at_work_after_an_import_that_failed() -> None:
    with pytest.raises(ModuleNotFoundError), loading.without_collector():
        raise ModuleNotFoundError
    assert gc.isenabled()


def test_what_was_loaded_is_not_looked_through_again() -> None:
    loaded: list[object] = []
    with loading.without_collector():
        loaded.append([])
    assert not any(item is loaded[0] for item in gc.get_objects())


def test_a_process_ends_as_it_would_with_the_collector() -> None:
    script = "import atexit; from tfx_retail import loading; atexit.register(print, 'removed'); loading.before_exit(); raise SystemExit(3)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "removed\n")
