"""Kill -9 in every node, two runs at once, a full disk: long tests, run by `make test-faults`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.shops import Shop

pytestmark = pytest.mark.faults

NODES = (
    "ExampleGen",
    "Labels",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Trainer",
    "Calibrator",
    "InfraCheck",
    "Predictions",
    "Evaluator",
    "Verdict",
    "ModelCard",
    "Pusher",
)


def served(shop: Shop) -> list[str]:
    return sorted(path.name for path in (shop.folder / "served" / "shop").iterdir() if path.name.isdigit())


def test_a_run_that_was_killed_in_every_node_ends_as_one_that_was_not(tmp_path: Path) -> None:
    calm = Shop(tmp_path / "calm")
    expected = calm.run()
    shop = Shop(tmp_path / "killed")
    for node in NODES:
        shop.kill_in(node)
    facts = shop.run()
    assert facts["state"] == expected["state"] == "blessed"
    assert [node["node"] for node in facts["nodes"]] == list(NODES)
    assert served(shop) == served(calm) == ["1"]
    manifests = [json.loads((place.folder / "served" / "shop" / "1" / "manifest.json").read_text()) for place in (shop, calm)]
    assert manifests[0]["metrics"] == manifests[1]["metrics"]
    assert not list((shop.folder / "served" / "shop").glob(".tmp-*"))
    assert not list((shop.folder / "output" / "shop" / "checkpoints").glob("*"))


def test_two_runs_at_once_end_with_one_version_and_one_set_of_results(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    first, second = (
        subprocess.Popen(shop.command("run", "shop.yaml"), cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    )
    texts = [process.communicate(timeout=600)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), texts
    assert sum("waiting for it to end" in text for text in texts) == 1
    assert served(shop) == ["1"]
    assert set(shop.states().values()) == {"cached"}


def test_a_full_disk_is_one_clear_line_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system to fill needs the right to mount one")
    try:
        shop = Shop(disk)
        shop.call("sample", "data", "--photos", "60", "--skus", "12", "--seed", "3")
        (disk / "filler").write_bytes(bytes(max(0, free(disk) - 3_000_000)))
        facts = shop.run(code=1)
        assert facts["state"] == "failed"
        assert "no space left" in shop.text and "Traceback" not in shop.text
        (disk / "filler").unlink()
        shop.run("--to", "DataGate")
        assert set(shop.states().values()) <= {"ran", "cached"}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
