"""What a person sees of a run: one live line a node, and the noise of TensorFlow, absl and Beam in the log file instead."""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tfx_retail.runs import NodeFacts

_MARKS = {
    "ran": ("✔", "green"),
    "cached": ("=", "cyan"),
    "skipped": ("-", "yellow"),
    "failed": ("✘", "red"),
    "interrupted": ("✘", "red"),
}


@contextmanager
def quiet(log: Path, *, verbose: bool = False) -> Iterator[Console]:
    """Sends file descriptors 1 and 2 of this process, C++ libraries included, to a log file; yields a console on the real output.

    With `verbose` nothing is redirected.
    """
    if verbose:
        yield Console(highlight=False)
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    with open(log, "ab", buffering=0) as file, os.fdopen(os.dup(saved_out), "w", encoding="utf-8", errors="replace") as real:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield Console(file=real, highlight=False)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(saved_out, 1)
            os.dup2(saved_err, 2)
            os.close(saved_out)
            os.close(saved_err)


class Outlet:
    """A text stream that goes on when its reader is gone, and remembers it: a task whose scheduler died still has a node to finish."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.is_read = True

    def write(self, text: str) -> int:
        """Writes to the stream as long as somebody reads it."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hands on what is written, as long as somebody reads it."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            if self.is_read:
                act()
        except BrokenPipeError:
            self.is_read = False


STARTING = "starting"  # what runs before the first node


class _Running(NamedTuple):
    since: float
    progress: Path | None


class Board:
    """The lines of the nodes. On a terminal those that run are live; elsewhere each line is printed once, when its node ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, _Running] = {}
        self._spinner = Spinner("dots")
        live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)
        self._live = live if console.is_terminal else None

    def __enter__(self) -> "Board":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running = {}
        if self._live:
            self._live.stop()

    def start(self, node: str, progress: Path | None = None) -> None:
        """Shows that a node has begun; `progress` is a file of JSON lines that it may write."""
        others = {name: line for name, line in self._running.items() if name != STARTING}
        self._running = {**others, node: _Running(time.monotonic(), progress)}  # anew: another thread may be drawing it

    def end(self, facts: NodeFacts) -> None:
        """Prints the line of a node that has ended."""
        self._running = {name: line for name, line in self._running.items() if name != facts.node}
        mark, color = _MARKS[facts.state]
        said = " · ".join(part for part in (facts.summary, facts.why) if part)
        line = Text.assemble((f"{mark} {facts.node:<17}", color), f"{facts.state:<8}", f"{facts.seconds:7.1f} s  ", (said, "dim"))
        self._console.print(line, soft_wrap=True)

    def _render(self) -> Table | str:
        running = self._running
        if not running:
            return ""
        table = Table.grid(padding=(0, 1))
        for node, (since, progress) in running.items():
            told = f"running {time.monotonic() - since:7.1f} s "
            table.add_row(self._spinner, f"{node:<16}", told, Text(training_line(progress), style="dim"))
        return table


def training_line(progress: Path | None) -> str:
    """Returns how far training is and when it will end, from the last whole line of its progress file; empty where there is none."""
    last = _last_line(progress) if progress else None
    if not last:
        return ""
    done = last["step"] / max(last["steps"], 1)
    parts = [f"epoch {last['epoch']} of {last['epochs']}", f"step {last['step']} of {last['steps']}"]
    parts += [f"{name.replace('_', ' ')} {last[name]:.3f}" for name in ("loss", "val_accuracy") if last.get(name) is not None]
    return ", ".join([*parts, f"about {_duration(last['seconds'] * (1 - done) / max(done, 1e-6))} left"])


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _last_line(path: Path) -> dict[str, float] | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return dict(json.loads(lines[-1])) if lines else None
    except (OSError, ValueError):
        return None  # not there yet, or its last line is being written


@contextmanager
def quiet_errors() -> Iterator[None]:
    """Drops what C++ libraries write to file descriptor 2, and Python's warnings: they speak to this program's authors.

    What Python itself writes to standard error, errors above all, goes on as before.
    """
    saved = os.dup(2)
    real = os.fdopen(os.dup(saved), "w", encoding="utf-8", errors="replace")
    null = os.open(os.devnull, os.O_WRONLY)
    before, sys.stderr = sys.stderr, real
    os.dup2(null, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        real.flush()
        sys.stderr = before
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
