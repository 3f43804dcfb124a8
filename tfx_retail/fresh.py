"""A fresh process that loads a model and asks it what the trainer asked it; whatever becomes of that process is a result.

It may be started before there is a model: it loads TensorFlow, and waits for the model's folder.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

import tfx_retail
from tfx_retail import golden
from tfx_retail.beside import heed
from tfx_retail.verdict import InfraResult

_HEED_S = 0.2  # how soon a run that has ended ends this process too

# its argument is where to write the differences; it reads the model's folder, and nothing where whoever would ask has ended
PROBE = f"""
import json, pathlib, sys
from {golden.__name__} import check
folder = sys.stdin.readline().rstrip("\\n")
if folder:
    pathlib.Path(sys.argv[1]).write_text(json.dumps(check(pathlib.Path(folder))), encoding="utf-8")
"""


class _Fresh:
    """A process of its own, with what it starts in a group of their own."""

    def __init__(self, program: str) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self._answer, self._log = (Path(self._scratch.name) / name for name in ("differences.json", "log"))
        read, write = os.pipe()
        self._given = open(write, "wb")  # noqa: SIM115  # `end` closes it
        with open(self._log, "wb") as output, open(read, "rb") as given:
            command = [sys.executable, "-c", program, str(self._answer)]
            self.process = subprocess.Popen(command, stdin=given, stdout=output, stderr=output, env=_environment(), start_new_session=True)

    def ask(self, model_dir: Path, timeout_s: float) -> tuple[str, list[str]]:
        """Returns why the model could not be asked, empty where it could, and what it answers otherwise than it should."""
        with suppress(BrokenPipeError), self._given:  # where it has ended its exit code will tell
            self._given.write(f"{model_dir}\n".encode())
        try:
            code = _wait(self.process, timeout_s)
        except subprocess.TimeoutExpired:
            return f"the model did not answer within {timeout_s:g} s", []
        if code:
            return _how_it_ended(code, self._log), []
        if not self._answer.is_file():
            return "the model could not be asked: it gave no answer", []
        return "", msgspec.json.decode(self._answer.read_bytes(), type=list[str])

    def end(self) -> None:
        """Ends it with what it started, and removes what it wrote."""
        self._given.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._scratch.cleanup()


_early: list[_Fresh] = []  # one at most


def start_early() -> None:
    """Starts the process that the next `probe` asks."""
    if not _early:
        _early.append(_Fresh(PROBE))


def forget_early() -> None:
    """Ends the process that was started early and never asked."""
    while _early:
        _early.pop().end()


def probe(model_dir: Path, *, timeout_s: float, program: str = PROBE) -> InfraResult:
    """Returns what a fresh Python process says of the model; its crash or silence is a failed check with its reason."""
    begun = time.monotonic()
    fresh = _early.pop() if _early and program == PROBE else _Fresh(program)
    try:
        failure, differences = fresh.ask(model_dir, timeout_s)
    finally:
        fresh.end()
    reason = failure or _in_short(differences)
    return InfraResult(passed=not reason, reason=reason, differences=differences, seconds=round(time.monotonic() - begun, 3))


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> int:
    until = time.monotonic() + timeout_s
    while True:
        try:
            return process.wait(min(_HEED_S, max(until - time.monotonic(), 0.0)))
        except subprocess.TimeoutExpired:
            heed()
            if time.monotonic() >= until:
                raise


def _environment() -> dict[str, str]:
    """The fresh process finds this package where this one did, installed or not."""
    here = str(Path(tfx_retail.__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in (here, os.environ.get("PYTHONPATH", "")) if part)}


def _how_it_ended(code: int, log: Path) -> str:
    if code == -signal.SIGKILL:
        return "the process that loaded the model was killed (SIGKILL), as the system does when memory runs out"
    if code < 0:
        return f"the process that loaded the model crashed ({signal.Signals(-code).name})"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"the model could not be asked: {lines[-1] if lines else f'exit code {code}'}"


def _in_short(differences: list[str]) -> str:
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    return f"{differences[0]}{more}" if differences else ""
