"""The InfraCheck node: a fresh process loads the exported model and asks it again what the trainer asked it.

TFX's InfraValidator does it in a container; this needs nothing but Python, and a crash of that process is a result, not an error.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils

import tfx_retail
from tfx_retail import golden
from tfx_retail.beside import heed
from tfx_retail.components import artifacts
from tfx_retail.verdict import InfraResult

_HEED_S = 0.2  # how soon a run that has ended ends this process too

# arguments: the model's folder, and where to write the differences
PROBE = f"""
import json, pathlib, sys
from {golden.__name__} import check
pathlib.Path(sys.argv[2]).write_text(json.dumps(check(pathlib.Path(sys.argv[1]))), encoding="utf-8")
"""


@component
def InfraCheck(  # noqa: N802  # TFX names a component after its function
    model: InputArtifact[Model],
    check: OutputArtifact[artifacts.InfraCheck],
    code: Parameter[str],
    timeout_s: Parameter[int] = 600,
) -> None:
    """Writes `infra_check.json`. A model that fails does not fail the node: the verdict says so."""
    del code  # read by the cache alone
    result = probe(Path(path_utils.serving_model_path(model.uri)), timeout_s=timeout_s)
    folder = Path(check.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "infra_check.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))


def probe(model_dir: Path, *, timeout_s: float, program: str = PROBE) -> InfraResult:
    """Returns what a fresh Python process says of the model; its crash or silence is a failed check with its reason."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        answer, log = Path(scratch) / "differences.json", Path(scratch) / "log"
        failure = _run([sys.executable, "-c", program, str(model_dir), str(answer)], log, timeout_s)
        if not failure and not answer.is_file():
            failure = "the model could not be asked: it gave no answer"
        differences = [] if failure else msgspec.json.decode(answer.read_bytes(), type=list[str])
    reason = failure or _in_short(differences)
    return InfraResult(passed=not reason, reason=reason, differences=differences, seconds=round(time.monotonic() - begun, 3))


def _run(command: list[str], log: Path, timeout_s: float) -> str:
    """Runs a program with what it starts in a group of its own; returns why it failed, empty where it did not."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment(), start_new_session=True)
        try:
            code = _wait(process, timeout_s)
        except subprocess.TimeoutExpired:
            return f"the model did not answer within {timeout_s:g} s"
        finally:
            _end(process)
    return "" if code == 0 else _how_it_ended(code, log)


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


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


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
