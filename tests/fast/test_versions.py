"""Versions: whole or not there, numbered on, rolled back as the next one, and refused where they are damaged."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tfx_retail import versions
from tfx_retail.versions import Manifest, VersionError, find, latest, list_versions, push, remove, rollback, verify

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def manifest(run_id: str = "run-1", **values: Any) -> Manifest:
    facts = Manifest(
        name="shop",
        run_id=run_id,
        time="2026-11-21T10:00:00+00:00",
        config={"name": "shop"},
        config_digest="c0",
        data_digest="d0",
        code_digest="e0",
        metrics={"serving_default": {"sku_accuracy": 0.75, "log_loss": None}},
        verdict={"blessed": True},
        schema_reviewed=True,
    )
    return msgspec.structs.replace(facts, **values)


def model(folder: Path, weights: str = "weights", skus: tuple[str, ...] = ("cola", "lime")) -> Path:
    """Returns a folder that is laid out as a SavedModel is."""
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_text("graph", encoding="utf-8")
    (folder / "variables" / "variables.data-00000-of-00001").write_text(weights, encoding="utf-8")
    rows = "".join(f"{index},{sku},active\n" for index, sku in enumerate(skus))
    (folder / "assets.extra" / "labels.csv").write_text(f"index,sku,status\n{rows}", encoding="utf-8")
    return folder


def weights_of(version: versions.Version) -> str:
    return (version.path / "variables" / "variables.data-00000-of-00001").read_text(encoding="utf-8")


def hidden(shop: Path) -> list[str]:
    return [path.name for path in shop.iterdir() if path.name.startswith(".tmp-")]


def changes_the_disk(event: str, given: tuple[Any, ...]) -> bool:
    """Tells it of an audit event; being killed before one that only looks is being killed before the next that changes something."""
    if event == "open":
        return bool(given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "os.utime")


def in_child(act: Callable[[], object]) -> int:
    """Runs `act` in a process of its own and returns how that ended: minus the signal, or 0."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_versions_are_numbered_from_one_on(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    assert latest(shop) is None
    assert push(model(tmp_path / "a", "first"), shop, manifest("run-1")) == 1
    assert push(model(tmp_path / "b", "second"), shop, manifest("run-2", baseline=1)) == 2
    assert [(version.number, weights_of(version)) for version in list_versions(shop)] == [(1, "first"), (2, "second")]
    served = latest(shop)
    assert served is not None
    assert served.path == shop / "2"
    assert (served.manifest.version, served.manifest.run_id, served.manifest.baseline) == (2, "run-2", 1)
    assert served.manifest.metrics == {"serving_default": {"sku_accuracy": 0.75, "log_loss": None}}


def test_a_version_holds_what_explains_it(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# 可乐\n", encoding="utf-8")
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest(), {"assets.extra/model_card.md": card})
    assert (shop / "1" / "assets.extra" / "model_card.md").read_text(encoding="utf-8") == "# 可乐\n"
    version = find(shop, 1)
    assert version is not None
    assert sorted(version.manifest.files) == [
        "assets.extra/labels.csv",
        "assets.extra/model_card.md",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
    ]
    assert verify(version) == []


def test_the_next_number_is_above_whatever_lies_there(tmp_path: Path) -> None:
    """A folder of TFX's own Pusher, named by unix seconds, is served by TensorFlow Serving: a lower number would never be."""
    shop = tmp_path / "shop"
    (shop / "1700000000").mkdir(parents=True)
    assert push(model(tmp_path / "a"), shop, manifest()) == 1700000001
    assert [version.number for version in list_versions(shop)] == [1700000001]


def test_folders_that_are_no_versions_are_left_out(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest())
    (shop / "3").mkdir()
    (shop / "notes").mkdir()
    assert [version.number for version in list_versions(shop)] == [1]


def test_the_same_run_and_model_are_pushed_once(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    assert push(model(tmp_path / "a"), shop, manifest("run-1")) == 1
    assert push(model(tmp_path / "a"), shop, manifest("run-1", time="2026-11-21T11:00:00+00:00")) == 1
    assert push(model(tmp_path / "a"), shop, manifest("run-2")) == 2
    assert push(model(tmp_path / "b", "other weights"), shop, manifest("run-1")) == 3


def test_a_pushed_version_that_was_damaged_or_removed_is_pushed_again(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest())
    (shop / "1" / "saved_model.pb").write_text("half a gra", encoding="utf-8")
    assert push(model(tmp_path / "a"), shop, manifest()) == 2
    for version in list_versions(shop):
        remove(version)
    assert push(model(tmp_path / "a"), shop, manifest()) == 1


def test_a_rollback_is_the_next_version_with_all_that_the_old_one_held(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a", "good"), shop, manifest("run-1"))
    push(model(tmp_path / "b", "bad"), shop, manifest("run-2", baseline=1))
    assert rollback(shop, 1, "version 2 mixes up 可乐", now=NOON) == 3
    served = latest(shop)
    assert served is not None
    assert weights_of(served) == "good"
    assert served.manifest.rollback_of == 1
    assert served.manifest.reason == "version 2 mixes up 可乐"
    assert served.manifest.time == "2026-11-21T12:00:00+00:00"
    assert (served.manifest.version, served.manifest.run_id) == (3, "run-1")
    assert verify(served) == []


def test_a_run_finds_its_own_push_and_not_the_rollback_to_it(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest("run-1"))
    rollback(shop, 1)
    assert push(model(tmp_path / "a"), shop, manifest("run-1")) == 1


def test_a_rollback_to_what_is_not_there_names_what_is(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest("run-1"))
    push(model(tmp_path / "b"), shop, manifest("run-2"))
    with pytest.raises(VersionError, match=r"shop: no version 7; there are: 1, 2$"):
        rollback(shop, 7)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "saved_model.pb").write_text("other"), "saved_model.pb is not as it was pushed"),
        (lambda folder: (folder / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (lambda folder: (folder / "variables" / "more").write_text("x"), "variables/more was added"),
    ],
)
def test_a_damaged_version_is_refused_with_what_is_wrong(tmp_path: Path, damage: Callable[[Path], object], fault: str) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest())
    damage(shop / "1")
    with pytest.raises(VersionError, match=fault):
        rollback(shop, 1)
    assert [version.number for version in list_versions(shop)] == [1]


def test_a_manifest_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a"), shop, manifest())
    (shop / "1" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(VersionError, match=r"1/manifest\.json: cannot be read"):
        list_versions(shop)


def test_new_labels_may_only_be_appended_to_the_served_ones(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    push(model(tmp_path / "a", skus=("cola", "lime")), shop, manifest("run-1"))
    assert push(model(tmp_path / "b", skus=("cola", "lime", "water")), shop, manifest("run-2")) == 2
    with pytest.raises(VersionError, match=r"index 2 is water there and milk in the new model; run again"):
        push(model(tmp_path / "c", skus=("cola", "lime", "milk")), shop, manifest("run-3"))
    with pytest.raises(VersionError, match=r"index 2 is water there and nothing in the new model"):
        push(model(tmp_path / "d", skus=("cola", "lime")), shop, manifest("run-4"))
    assert [version.number for version in list_versions(shop)] == [1, 2]
    assert hidden(shop) == []


def test_pushes_at_once_all_succeed_with_numbers_of_their_own(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    sources = [model(tmp_path / f"source-{number}", f"weights {number}") for number in range(6)]
    got: list[int] = []
    threads = [
        threading.Thread(target=lambda number=number: got.append(push(sources[number], shop, manifest(f"run-{number}"))))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [1, 2, 3, 4, 5, 6]
    assert all(verify(version) == [] for version in list_versions(shop))


def test_a_number_that_another_host_took_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock may not reach across a network file system; the rename decides there."""
    shop = tmp_path / "shop"
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        if target.name == "1" and not target.exists():
            (target / "saved_model.pb").mkdir(parents=True)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert push(model(tmp_path / "a"), shop, manifest()) == 2
    version = find(shop, 2)
    assert version is not None
    assert version.manifest.version == 2
    assert verify(version) == []


def test_a_reader_sees_whole_versions_only(tmp_path: Path) -> None:
    shop, source = tmp_path / "shop", model(tmp_path / "a")
    done = threading.Event()
    faults: list[str] = []
    seen: set[int] = set()

    def watch() -> None:
        while not done.is_set():
            for version in list_versions(shop):
                faults.extend(verify(version))
                seen.add(version.number)

    reader = threading.Thread(target=watch)
    reader.start()
    for number in range(4):
        push(source, shop, manifest(f"run-{number}"))
        rollback(shop, 1)
    done.set()
    reader.join()
    assert faults == []
    assert seen <= set(range(1, 9))


@pytest.mark.long
def test_a_push_that_is_killed_anywhere_leaves_nothing_that_is_taken_for_a_version(tmp_path: Path) -> None:
    shop, source = tmp_path / "shop", model(tmp_path / "a")
    push(source, shop, manifest("run-0"))
    before = 1

    def push_until(event: int) -> None:
        count = 0

        def kill(name: str, given: tuple[Any, ...]) -> None:
            nonlocal count
            if changes_the_disk(name, given):
                count += 1
                if count == event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)  # in the child only: hooks cannot be removed
        push(source, shop, manifest(f"run-{event}"))

    event = 0
    ended = -signal.SIGKILL
    while ended == -signal.SIGKILL:  # until the push is through before so many changes
        event += 1
        ended = in_child(partial(push_until, event))
        assert all(verify(version) == [] for version in list_versions(shop))
    assert event > 15
    assert ended == 0
    assert len(list_versions(shop)) > before
    assert push(source, shop, manifest("run-last")) == len(list_versions(shop))
    assert hidden(shop) == []


def test_what_another_host_is_copying_is_left_alone_for_a_day(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    for name in (".tmp-elsewhere-12", ".tmp-elsewhere-34"):
        (shop / name / "variables").mkdir(parents=True)
    os.utime(shop / ".tmp-elsewhere-34", (0, 0))
    push(model(tmp_path / "a"), shop, manifest())
    assert hidden(shop) == [".tmp-elsewhere-12"]


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tmp_path / "shop"
    synced: list[int] = []

    def full(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VersionError, match=r"shop: no space left on the disk; nothing was pushed"):
        push(model(tmp_path / "a"), shop, manifest())
    assert list_versions(shop) == []
    assert hidden(shop) == []


def test_a_serving_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(VersionError, match="nothing was pushed"):
        push(model(tmp_path / "a"), tmp_path / "file" / "shop", manifest())


def test_others_may_read_what_was_pushed(tmp_path: Path) -> None:
    """TensorFlow Serving often runs as another user."""
    shop = tmp_path / "shop"
    before = os.umask(0o022)
    try:
        push(model(tmp_path / "a"), shop, manifest())
    finally:
        os.umask(before)
    assert (shop / "1").stat().st_mode & 0o777 == 0o755
    assert (shop / "1" / "saved_model.pb").stat().st_mode & 0o777 == 0o644


def test_a_removed_version_is_gone_and_its_number_is_not_the_next_while_a_higher_one_is_there(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    for number in range(3):
        push(model(tmp_path / "a"), shop, manifest(f"run-{number}"))
    first = find(shop, 1)
    assert first is not None
    remove(first)
    assert [version.number for version in list_versions(shop)] == [2, 3]
    assert hidden(shop) == []
    assert push(model(tmp_path / "a"), shop, manifest("run-9")) == 4
