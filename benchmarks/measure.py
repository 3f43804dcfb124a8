"""What a command costs: wall time, CPU time, and the peak memory of all its processes together; of each of its phases too."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

POLL_S = 0.1


@dataclass
class Phase:
    """What a command costs while it does one thing, as often as it does it."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Cost:
    """One run of one command."""

    wall_s: float
    cpu_s: float  # user and system, of all processes that were waited for
    peak_mb: float  # resident, summed over the process tree: pages that processes share count for each
    exit_code: int
    phases: dict[str, Phase] = field(default_factory=dict)  # in the order in which they began


def measure(command: list[str], *, log: Path, env: dict[str, str] | None = None, phase: Callable[[], str] = str) -> Cost:
    """Runs a command with its output in `log` and returns its cost.

    Args:
      phase: tells what the command does at this moment; asked every `POLL_S` seconds.
    """
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
        watch = _Watch(process.pid, phase)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun
        watch.ended.set()
        watch.join()
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here
    # the kernel's own peak of the largest process fills in what polling missed
    peak_mb = max([usage.ru_maxrss / 2**10, *(phase.peak_mb for phase in watch.phases.values())])
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak_mb, process.returncode, watch.phases)


class _Watch(threading.Thread):
    """Looks at a process and its children every now and then."""

    def __init__(self, pid: int, phase: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.phases: dict[str, Phase] = {}
        self._pid, self._phase = pid, phase

    def run(self) -> None:
        name, seen_s, used_s = self._phase(), time.perf_counter(), 0.0
        while not self.ended.wait(POLL_S):
            now_s, pids = time.perf_counter(), list(_tree(self._pid))
            cpu_s = max(sum(map(_cpu_s, pids)), used_s)  # a process that ends counts for nobody until its parent has waited for it
            known = self.phases.setdefault(name, Phase())
            known.wall_s, known.cpu_s = known.wall_s + now_s - seen_s, known.cpu_s + cpu_s - used_s
            known.peak_mb = max(known.peak_mb, sum(map(_resident, pids)) / 2**20)
            name, seen_s, used_s = self._phase(), now_s, cpu_s


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _cpu_s(pid: int) -> float:
    """Returns the processor time of a process and of the children that it has waited for."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ProcessLookupError):  # it ended between two looks
        return ""
