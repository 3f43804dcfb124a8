"""Loads heavy packages without the garbage collector: it would look through all that is there, again and again, for a third of the time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Keeps the collector out of what is imported in this block, during it and for good: modules stay until the process ends."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()  # whatever it was: of two threads that load side by side the last one leaves it at work


def before_exit() -> None:
    """Lets Python end without looking through all that is loaded once more: 2 s with TensorFlow. Call it where the process ends."""
    gc.freeze()
