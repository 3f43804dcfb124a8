"""The state of a training between two epochs, on disk, so that a killed one goes on where it was.

One file, written under another name and then renamed: a reader sees a whole state or none, and two runs at once cannot mix theirs.
The folder is named by configuration and data (the caller's part), so any state in it is one that this training could have reached itself.
"""

import json
import logging
import os
import shutil
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

Arrays = Sequence[npt.NDArray[Any]]
_FILE = "state.npz"
_log = logging.getLogger(__name__)


class Progress(NamedTuple):
    """What training has done so far, beside its variables."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done
    history: tuple[dict[str, float], ...] = ()  # one entry for each epoch done
    best_epoch: int = 0  # epoch with the lowest validation loss, counted from 1; 0: none yet
    best_loss: float = float("inf")
    seconds: float = 0.0  # spent on these epochs, by all processes that took part


class State(NamedTuple):
    """A whole state: `progress`, the variables in a fixed order, and the weights of the best epoch (none yet: empty)."""

    progress: Progress
    variables: Arrays
    best: Arrays


def save(folder: Path, state: State) -> None:
    """Replaces the folder's state by this one, at once.

    Raises:
      OSError: the disk is full or cannot be written; the state before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{uuid.uuid4().hex}.unfinished"
    arrays = {f"variable_{i}": array for i, array in enumerate(state.variables)} | {
        f"best_{i}": array for i, array in enumerate(state.best)
    }
    try:
        with unfinished.open("wb") as file:
            _write_arrays(file, {"progress": np.array(json.dumps(state.progress._asdict())), **arrays})
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with no content
        unfinished.replace(folder / _FILE)
    finally:
        unfinished.unlink(missing_ok=True)


def load(folder: Path) -> State | None:
    """Returns the folder's state; None where there is none, or none that can be read, which is logged."""
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = json.loads(str(arrays["progress"]))
            progress = Progress(**kept | {"history": tuple(kept["history"])})
            return State(progress, _numbered(arrays, "variable"), _numbered(arrays, "best"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("%s: cannot be read (%s); training starts from its first epoch", path, error)
        return None


def remove(folder: Path) -> None:
    """Removes the folder with all states. For the caller to call once the exported model is safe."""
    shutil.rmtree(folder, ignore_errors=True)


def _write_arrays(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes what numpy.savez writes, and closes its archive too when the disk is full."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]


def _numbered(arrays: Any, name: str) -> Arrays:
    count = sum(key.startswith(f"{name}_") for key in arrays.files)
    return [arrays[f"{name}_{i}"] for i in range(count)]
