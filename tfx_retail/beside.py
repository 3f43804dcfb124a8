"""Work on a thread of its own that can be told to end: an interrupt, and what fails elsewhere, reach the main thread alone."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Ended(Exception):
    """This work was told to end before it was done."""


class Beside(threading.Thread, Generic[Result]):
    """Work that has begun on another thread."""

    def __init__(self, work: Callable[[], Result]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._told = threading.Event()
        self._over = threading.Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Keeps what the work returns or raises."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001  # whoever asks for the result gets it
            self._error = error
        finally:
            self._over.set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    @property
    def is_told(self) -> bool:
        return self._told.is_set()

    def result(self) -> Result:
        """Waits until the work is over, and returns or raises what came of it."""
        self._over.wait()  # unlike a thread's `join`, which does not take an interrupt well
        if self._error is not None:
            raise self._error
        return self._results[0]

    def end(self) -> None:
        """Tells the work to end, and waits until it is over, whatever comes of it."""
        self._told.set()
        self._over.wait()


def heed() -> None:
    """Called by work that waits, again and again.

    Raises:
      Ended: this thread was told to end. On any other thread than those here, nothing happens.
    """
    thread = threading.current_thread()
    if isinstance(thread, Beside) and thread.is_told:
        raise Ended("told to end: the run has")
