"""Sample data: shelf photos of drawn packs, with annotations, catalogue and planogram; the same bytes for the same seed."""

import json
import math
import multiprocessing
import os
import re
import shutil
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from tfx_retail.errors import UserError
from tfx_retail.sample import files, photos, shelves
from tfx_retail.sample.assortment import Item, assortment

LEAST_SKUS = 12
_SCENES_PER_TASK = 4
_MARK = "sample.json"  # says that a folder is ours to replace


class SampleError(UserError):
    """The sample cannot be made: a number is too small, or the folder is not to be written to."""


class SampleSummary(Struct, frozen=True):
    """What was drawn."""

    folder: Path
    photos: int
    boxes: int
    scenes: int
    skus: int
    families: int

    def __str__(self) -> str:
        drawn = f"{self.photos:,} photos of {self.scenes:,} scenes with {self.boxes:,} boxes"
        return f"{self.folder}: {drawn}; {self.skus:,} SKUs in {self.families:,} families"


def make(folder: Path, *, photos: int, skus: int, seed: int, processes: int | None = None) -> SampleSummary:
    """Draws a sample and returns what is in it. `folder` is there whole or not at all; an older sample in it is replaced.

    Args:
      processes: how many draw; the result does not depend on it. None: one for each processor, fewer for small samples.

    Raises:
      SampleError: too few photos or SKUs, the folder holds something else, or it cannot be written.
    """
    if photos < 1 or skus < LEAST_SKUS or seed < 0:
        raise SampleError(f"sample of {photos} photos, {skus} SKUs, seed {seed}: expected at least 1, {LEAST_SKUS} and 0")
    _require_ours(folder)
    place = folder.resolve()
    draft = place.with_name(f".{place.name}.draft-{os.getpid()}")
    try:
        _remove_stale(place)
        summary = _fill(draft, folder, (photos, skus, seed), processes)
        _put(draft, place)
    except OSError as error:
        raise SampleError(f"{folder}: the sample cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return summary


def _require_ours(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise SampleError(f"{folder}: is a file, expected a folder for the sample")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise SampleError(f"{folder}: holds other files (no {_MARK}) and is not replaced; name another folder, or empty it")


def _remove_stale(place: Path) -> None:
    """Removes the drafts of processes that were killed."""
    for draft in place.parent.glob(f".{place.name}.draft-*"):
        found = re.search(r"\.draft-([0-9]+)(\.old)?$", draft.name)
        if found and not _lives(int(found[1])):
            shutil.rmtree(draft, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def _fill(draft: Path, folder: Path, wanted: tuple[int, int, int], processes: int | None) -> SampleSummary:
    count, skus, seed = wanted
    shutil.rmtree(draft, ignore_errors=True)
    for name in (files.IMAGES, files.ANNOTATIONS):
        (draft / name).mkdir(parents=True)
    facts = _draw_all(draft, wanted, processes)
    items, slots, _ = _stock(skus, seed)
    files.write_tables(draft, items, slots, facts)
    (draft / _MARK).write_text(json.dumps({"photos": count, "skus": skus, "seed": seed}) + "\n")
    boxes, families = sum(row.boxes for row in facts), len({item.product.family for item in items})
    return SampleSummary(folder, count, boxes, len({row.group for row in facts}), skus, families)


def _draw_all(draft: Path, wanted: tuple[int, int, int], processes: int | None) -> list[files.PhotoFacts]:
    scenes = math.ceil(wanted[0] / shelves.PHOTOS_PER_SCENE)
    tasks = [range(first, min(first + _SCENES_PER_TASK, scenes)) for first in range(0, scenes, _SCENES_PER_TASK)]
    workers = processes or min(len(os.sched_getaffinity(0)), math.ceil(len(tasks) / 16))  # a worker takes a second to start
    if workers == 1:
        return [row for task in tasks for row in _draw(draft, task, wanted)]
    # spawned, not forked: the caller may have threads
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        drawn = [pool.submit(_draw, draft, task, wanted) for task in tasks]
        return [row for future in drawn for row in future.result()]
    finally:
        pool.shutdown(cancel_futures=True)


def _draw(draft: Path, numbers: range, wanted: tuple[int, int, int]) -> list[files.PhotoFacts]:
    """Draws the photos of some scenes; the last scene of all may have fewer."""
    count, skus, seed = wanted
    slots_of = _stock(skus, seed)[2]
    facts = []
    for number in numbers:
        scene = shelves.scene(number, slots_of, seed)
        rest = min(shelves.PHOTOS_PER_SCENE, count - number * shelves.PHOTOS_PER_SCENE)
        shots = photos.shots(scene, rest, seed)
        facts += [files.write_photo(draft, scene, step, shot) for step, shot in enumerate(shots)]
    return facts


@lru_cache(maxsize=1)
def _stock(skus: int, seed: int) -> tuple[tuple[Item, ...], tuple[shelves.Slot, ...], dict[tuple[str, int], tuple[shelves.Slot, ...]]]:
    """Returns products, planogram, and the planogram by fixture, stores in turn."""
    items = assortment(skus)
    slots = shelves.planogram(items, seed)
    return items, slots, shelves.by_fixture(slots)


def _end_with_parent() -> None:
    """Makes a worker end when the process that started it was killed, and leaves an interrupt to that process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parents_end, daemon=True).start()


def _wait_for_parents_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _put(draft: Path, folder: Path) -> None:
    """Puts the finished draft in the folder's place. Where another process was faster with the same sample, that one stays."""
    old = draft.with_name(f"{draft.name}.old")
    if folder.exists():
        folder.rename(old)
    try:
        draft.rename(folder)
    except OSError:
        if (folder / _MARK).read_bytes() != (draft / _MARK).read_bytes():
            raise
    shutil.rmtree(old, ignore_errors=True)
