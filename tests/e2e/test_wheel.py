"""The built package on its own, without this folder and without the extra that brings TensorFlow."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "tfx_retail")
BUILD = "from setuptools import build_meta; build_meta.build_wheel('dist')"
WITHOUT_EXTRA = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "keras", "tfx", "apache_beam", "ml_metadata", "tfx_bsl"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    subprocess.run([sys.executable, "-c", BUILD], cwd=folder, check=True, capture_output=True)
    (built,) = (folder / "dist").glob("*.whl")
    return built


def call(wheel: Path, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Calls the command line of the unpacked wheel as an environment without the extra would."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "sitecustomize.py").write_text(WITHOUT_EXTRA)
    env = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "tfx_retail", *words]
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    source = {
        str(path.relative_to(ROOT)) for path in (ROOT / "tfx_retail").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        assert source - set(archive.namelist()) == set()


def test_the_sample_is_drawn_without_the_extra(wheel: Path, tmp_path: Path) -> None:
    done = call(wheel, tmp_path, "sample", "shelves", "--photos", "2", "--skus", "12")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shelves" / "catalog.csv").is_file()


def test_a_command_that_needs_the_extra_names_it_and_exits_2(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = call(wheel, tmp_path, "predict", "model", "photo.jpg")
    assert done.returncode == 2
    assert "pip install 'tfx-retail[tfx]'" in done.stderr
