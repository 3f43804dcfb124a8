"""A bucket as a folder: the same results as on the disk, and one line where it does not answer. Minutes: `make test-engines` runs it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import digests
from tests.engines.clusters import CONFIG, ROOT, Shop

_STORAGE = ROOT / ".cache" / "storage"


def missing() -> str:
    """Returns why no bucket can be mounted here; empty: it can."""
    there = {
        "s3fs (apt-get install s3fs)": shutil.which("s3fs"),
        "/dev/fuse": Path("/dev/fuse").exists(),
        "Go": (_STORAGE / "bin" / "versitygw").exists() or shutil.which("go") or Path("/usr/local/go/bin/go").exists(),
    }
    lacking = [name for name, found in there.items() if not found]
    return f"not here: {', '.join(lacking)}" if lacking else ""


pytestmark = [pytest.mark.engines, pytest.mark.skipif(bool(missing()), reason=missing())]


def call(*words: str, code: int = 0) -> str:
    script = str(ROOT / "deploy" / "storage.sh")
    done = subprocess.run([script, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=900, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    call("up")
    folder = tmp_path_factory.mktemp("mount")
    call("mount", str(folder))
    yield folder
    call("down")


def test_a_run_in_a_bucket_comes_to_the_same_as_on_the_disk(bucket: Path, tmp_path: Path) -> None:
    inside = bucket / tmp_path.name
    inside.mkdir()
    try:
        found = digests.of_run(Shop(inside, "local").run())
    finally:
        shutil.rmtree(inside, ignore_errors=True)
    assert found == digests.of_run(Shop(tmp_path, "local").run())


def test_wrong_keys_are_refused(bucket: Path, tmp_path: Path) -> None:
    keys = _STORAGE / "keys"
    right = keys.read_text(encoding="utf-8")
    keys.write_text("retail:wrong\n", encoding="utf-8")
    try:
        assert "the server refuses" in call("mount", str(tmp_path), code=1)
    finally:
        keys.write_text(right, encoding="utf-8")
    assert not os.path.ismount(tmp_path)


def test_a_server_that_is_away_is_one_line_within_a_minute(bucket: Path, tmp_path: Path) -> None:
    shop = Shop(tmp_path, "local")
    shop.config.write_text(CONFIG.format(root=bucket / "root", data=bucket / "data", patience=60), encoding="utf-8")
    os.kill(int((_STORAGE / "run" / "server.pid").read_text(encoding="ascii")), signal.SIGKILL)
    try:
        command = [sys.executable, "-W", "ignore", "-m", "tfx_retail", "check", str(shop.config)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        call("up")
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "does not answer within 15 s" in told.stderr
