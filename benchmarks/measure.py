"""What a command costs: wall time, CPU time, and the peak memory of all its processes together."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.1


@dataclass(frozen=True)
class Cost:
    """One run of one command."""

    wall_s: float
    cpu_s: float  # user and system, of all processes that were waited for
    peak_mb: float  # resident, summed over the process tree: pages that processes share count for each
    exit_code: int


def measure(command: list[str], *, log: Path, env: dict[str, str] | None = None) -> Cost:
    """Runs a command with its output in `log` and returns its cost."""
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
        peak = _Peak(process.pid)
        peak.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun
        peak.ended.set()
        peak.join()
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here
    # the kernel's own peak of the largest process fills in what polling missed
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, max(peak.bytes / 2**20, usage.ru_maxrss / 2**10), process.returncode)


class _Peak(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.bytes = 0
        self._pid = pid

    def run(self) -> None:
        while not self.ended.wait(POLL_S):
            self.bytes = max(self.bytes, sum(_resident(pid) for pid in _tree(self._pid)))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ProcessLookupError):  # it ended between two looks
        return ""
