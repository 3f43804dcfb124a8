"""A process that trains, as the one that started it sees it: it is told to join and to end, and tells how far it is."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tfx_retail.team import VARIABLE, Team

State = Literal["here", "ready", "joined", "done", "failed"]
GO = "go"
_END_S = 5.0  # in which a process that was told to end has to be gone


class Told(Struct, frozen=True):
    """How far a process is."""

    state: State = "here"  # `ready`: TensorFlow is loaded; `joined`: connected to all others; `done`: trained to the end
    words: str = ""  # why it failed
    final: bool = False  # it would fail again
    epoch: int = 0  # that it went on from


class WorkerProcess:
    """One process of this machine that takes part in a training. It ends when this one does, even if this one is killed."""

    def __init__(self, team: Team, job: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._name = team.name(team.number)
        self.told = Told()
        self._child = subprocess.Popen(
            [*command, str(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, VARIABLE: team.tf_config},
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def go(self) -> None:
        """Lets it join the others."""
        assert self._child.stdin is not None
        with suppress(OSError):  # it died: what listens to it tells
            self._child.stdin.write(f"{GO}\n")
            self._child.stdin.flush()

    def end(self) -> None:
        """Ends it, at once where it is at work."""
        assert self._child.stdin is not None
        with suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as lines:
            for line in lines:
                self.told = Told(**json.loads(line))
        code = self._child.wait()
        if self.told.state not in ("done", "failed"):
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self.told = Told("failed", f"{self._name} {how}", epoch=self.told.epoch)


def command() -> list[str]:
    """Returns what starts the process that trains, but for the job's file."""
    return [sys.executable, "-m", "tfx_retail.member"]


def surroundings(*, alone: bool) -> dict[str, str]:
    """Returns the environment of a process that trains.

    Args:
      alone: whether it has this machine's GPUs for itself; several processes would each take all of their memory.
    """
    return dict(os.environ) if alone else {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
