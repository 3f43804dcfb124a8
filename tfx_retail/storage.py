"""Whether the folders of a configuration answer: a mount whose server is away lets each look at a file wait, and a run would hang."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tfx_retail.errors import RunError

PATIENCE_S = 15.0


def check_answers(places: Mapping[str, str], *, patience_s: float = PATIENCE_S) -> None:
    """Returns if each place, or the folder that will hold it, can be looked at in time; what is there is not judged.

    Args:
      places: paths by what messages call them.

    Raises:
      RunError: one does not answer.
    """
    for name, path in places.items():  # one after another: a process cannot end before the looks that wait, and each waits by itself
        if not _Look(path).over.wait(patience_s):
            raise RunError(
                f"{name}: {path} does not answer within {patience_s:g} s; if it is a mount, its server is away or refuses: "
                "look at both, and run again"
            )


class _Look(threading.Thread):
    """Looks at a path, in a thread that may stay behind: nothing ends a look at a file but the file system."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self._path = Path(path)
        self.start()

    def run(self) -> None:
        with suppress(OSError):  # what cannot be read is told by who reads it
            self._path.exists()
        self.over.set()
