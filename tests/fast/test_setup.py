"""Which platform `tools/setup.sh` chooses, and what it says: with stand-ins for uv, the C library and Pythons of every version."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = """#!/bin/sh
case "$1 $2" in
  --version*) echo "uv 0.13.8" ;;
  "python find") for version; do :; done; [ -x "$PYTHONS/$version" ] && echo "$PYTHONS/$version" ;;
  "sync --locked")
    echo "$UV_PYTHON" >> "$PYTHONS/synced"
    mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
    cp "$UV_PYTHON" "$UV_PROJECT_ENVIRONMENT/bin/python" ;;
  *) exit 1 ;;
esac
"""
PYTHON = """#!/bin/sh
case "$2" in
  *python_version*) echo "{version}.9" ;;
  *Python.h*) [ "$3" = {version} ] ;;
esac
"""


class Machine:
    """A copy of the script in a folder of its own, on a machine that we make up."""

    def __init__(self, folder: Path, glibc: str, pythons: tuple[str, ...]) -> None:
        self.folder, self.programs = folder, folder / "programs"
        for name in ("tools/setup.sh", "uv.lock", "pyproject.toml"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.programs.mkdir()
        self._program("uv", UV)
        self._program("getconf", f'#!/bin/sh\necho "glibc {glibc}"\n')
        self._program("uname", "#!/bin/sh\necho x86_64\n")
        for version in pythons:
            self._program(version, PYTHON.format(version=version))

    def setup(self, code: int = 0, **variables: str) -> str:
        env = {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.folder), "PYTHONS": str(self.programs), **variables}
        done = subprocess.run([str(self.folder / "tools/setup.sh")], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        return done.stderr

    def synced(self) -> list[str]:
        log = self.programs / "synced"
        return [Path(line).name for line in log.read_text().splitlines()] if log.exists() else []

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)


def test_a_newer_c_library_gets_the_newest_python_that_is_there(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.41", ("3.10", "3.11", "3.12"))
    assert "setup: Python 3.12.9 with TFX 1.21: the newest there is, glibc 2.41 is new enough" in machine.setup()
    assert machine.synced() == ["3.12"]


def test_an_older_c_library_gets_tfx_1_16(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.36", ("3.10", "3.13"))
    assert "setup: Python 3.10.9 with TFX 1.16: TFX 1.21 is not for this machine: glibc is 2.36" in machine.setup()
    assert machine.synced() == ["3.10"]


def test_a_second_call_says_the_same_and_installs_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.36", ("3.10",))
    machine.setup()
    (line,) = machine.setup().splitlines()
    assert line.startswith(
        "setup: Python 3.10.9 with TFX 1.16: TFX 1.21 is not for this machine: glibc is 2.36, its packages are built for 2.39"
    )
    assert machine.synced() == ["3.10"]


def test_another_python_can_be_asked_for_and_makes_the_environment_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.39", ("3.10", "3.13"))
    machine.setup()
    assert "setup: Python 3.10.9 with TFX 1.16: PYTHON=3.10 asks for it" in machine.setup(PYTHON="3.10")
    assert machine.synced() == ["3.13", "3.10"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("3.12", "PYTHON=3.12 asks for TFX 1.21, but glibc is 2.36, its packages are built for 2.39"),
        ("3.9", "PYTHON=3.9: TFX 1.16 runs on Python 3.10, TFX 1.21 on 3.11, 3.12 and 3.13; name one of these, or none"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(asked: str, told: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.36", ("3.10", "3.12"))
    (line,) = machine.setup(code=1, PYTHON=asked).splitlines()
    assert told in line
    assert machine.synced() == []
