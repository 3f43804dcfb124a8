"""What the leader of a training and its workers tell each other: files on the storage that they share, each with one writer."""

import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from tfx_retail.worker_process import Told

_BEAT_S = 5.0  # after which a file is written again, changed or not: who is silent is lost


class Call(Struct, frozen=True, kw_only=True):
    """What the leader says."""

    training: str
    attempt: int
    addresses: tuple[str, ...]
    go: bool = False  # all processes are ready: join
    over: bool = False
    beat: int = 0

    @property
    def key(self) -> str:
        return f"{self.training}.{self.attempt}"


class Answer(Struct, frozen=True, kw_only=True):
    """What a worker's supervisor says."""

    key: str  # of the call that it answers
    told: Told
    beat: int = 0


class Heard:
    """The leader's call, as long as the leader lives: one that does not change under our eyes is what a dead one left."""

    def __init__(self, path: Path, silent_s: float) -> None:
        self._path, self._silent_s = path, silent_s
        self._text, self._changed = read(path), float("-inf")

    def call(self) -> Call | None:
        """Returns the call of a living leader."""
        text = read(self._path)
        if text != self._text:
            self._text, self._changed = text, time.monotonic()
        alive = bool(self._text) and time.monotonic() - self._changed < self._silent_s
        return msgspec.json.decode(self._text, type=Call) if alive else None


class Posted:
    """A file that one process writes and others read, written when it changes and every few seconds."""

    def __init__(self, path: Path) -> None:
        self._path, self._beat, self._written, self._last = path, 0, float("-inf"), b""

    def put(self, what: Call | Answer) -> None:
        """Says this, or goes on saying it."""
        text = msgspec.json.encode(msgspec.structs.replace(what, beat=0))
        if text == self._last and time.monotonic() - self._written < _BEAT_S:
            return
        self._last, self._written, self._beat = text, time.monotonic(), self._beat + 1
        put(self._path, msgspec.structs.replace(what, beat=self._beat))


def put(path: Path, what: Struct) -> None:
    """Replaces a file at once. It need not survive a power cut, and is written often, so nothing waits for the disk."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(msgspec.json.encode(what))
    unfinished.replace(path)


def read(path: Path) -> bytes:
    """Returns what a file says, nothing where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""  # not yet there, or not now: storage across a network hiccups
