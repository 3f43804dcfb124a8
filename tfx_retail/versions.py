"""Pushed versions of a model: whole folders `<serving_dir>/<name>/<integer>/` that never change once they are there.

A version is copied into a hidden sibling folder, brought to the disk, and claimed by one rename: a reader sees all of it or nothing.
TensorFlow Serving looks at folders named by integers only and serves the highest, so a rollback is a copy under the next integer.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tfx_retail import labels
from tfx_retail.digests import text_digest
from tfx_retail.errors import UserError

MANIFEST = "manifest.json"
EXTRA = "assets.extra"  # the SavedModel folder for files that TensorFlow does not read
LABELS = f"{EXTRA}/labels.csv"
_HIDDEN = ".tmp-"
_OWN = f"{_HIDDEN}{socket.gethostname()}-"
_FORGOTTEN_S = 24 * 3600  # a hidden folder of another host that is older was left by a killed push: none takes so long
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


class VersionError(UserError):
    """A version cannot be pushed, found or trusted."""

    exit_code = 1


class Manifest(Struct, frozen=True, kw_only=True):
    """What a version is, where it comes from and why it was allowed; `manifest.json` in its folder."""

    name: str
    run_id: str
    time: str  # ISO 8601, UTC
    config: dict[str, Any]
    config_digest: str
    data_digest: str
    code_digest: str
    metrics: dict[str, dict[str, float | None]]  # signature -> metric -> value on eval
    verdict: dict[str, Any]
    schema_reviewed: bool
    accepts: dict[str, Any] = {}  # what `accepted` promises: target, bound, scenes, threshold of each signature and of families
    baseline: int | None = None  # the version that it was compared with
    version: int = 0  # from here on filled in by `push` and `rollback`
    rollback_of: int | None = None
    reason: str = ""  # why it was rolled back to
    model_digest: str = ""  # over the exported model, without what the push adds
    files: dict[str, str] = {}  # path in the folder -> SHA-256 of its content


class Version(Struct, frozen=True):
    """One pushed version."""

    number: int
    path: Path
    manifest: Manifest


def list_versions(model_dir: Path) -> list[Version]:
    """Returns the pushed versions, oldest first. Folders of integers without a manifest are not ours and are left out.

    Raises:
      VersionError: a manifest cannot be read.
    """
    numbers = sorted(number for number in _taken(model_dir) if (model_dir / str(number) / MANIFEST).is_file())
    return [Version(number, model_dir / str(number), _read_manifest(model_dir / str(number))) for number in numbers]


def latest(model_dir: Path) -> Version | None:
    """Returns the version that is served, or None before the first push."""
    return next(reversed(list_versions(model_dir)), None)


def find(model_dir: Path, number: int) -> Version | None:
    """Returns the version of that number, or None."""
    return next((version for version in list_versions(model_dir) if version.number == number), None)


def verify(version: Version) -> list[str]:
    """Returns what is wrong with a version's files; empty if they are what was pushed."""
    listed = version.manifest.files
    present = {str(path.relative_to(version.path)) for path in version.path.rglob("*") if path.is_file()} - {MANIFEST}
    faults = [f"{name} is missing" for name in sorted(listed.keys() - present)]
    faults += [f"{name} was added" for name in sorted(present - listed.keys())]
    changed = [name for name in sorted(listed.keys() & present) if _digest(version.path / name) != listed[name]]
    return faults + [f"{name} is not as it was pushed" for name in changed]


def push(exported: Path, model_dir: Path, manifest: Manifest, extras: Mapping[str, Path] | None = None) -> int:
    """Returns the number of the version that holds the exported model: a new one, or that of an earlier push of the same run and model.

    Args:
      exported: folder of the SavedModel.
      extras: further files of the version, path in it -> where to read it.

    Raises:
      VersionError: the disk is full, the model's labels do not go on from the served ones, or a manifest cannot be read.
    """
    files = {str(path.relative_to(exported)): path for path in sorted(exported.rglob("*")) if path.is_file()}
    digests = {name: _digest(path) for name, path in files.items()}
    model_digest = text_digest(*(part for pair in digests.items() for part in pair))
    with _exclusive(model_dir):
        versions = list_versions(model_dir)
        pushed = _pushed_before(versions, manifest.run_id, model_digest)
        if pushed is not None:
            return pushed
        if versions:
            _check_labels(versions[-1], exported / "assets.extra" / "labels.csv")
        return _claim(model_dir, files | dict(extras or {}), msgspec.structs.replace(manifest, model_digest=model_digest))


def rollback(model_dir: Path, number: int, reason: str = "", *, now: datetime | None = None) -> int:
    """Returns the number of a new version that holds what version `number` holds: model, labels, thresholds, verdict.

    Raises:
      VersionError: there is no such version, its files are not what was pushed, or the disk is full.
    """
    with _exclusive(model_dir):
        version = find(model_dir, number)
        if version is None:
            known = ", ".join(str(item.number) for item in list_versions(model_dir)) or "none"
            raise VersionError(f"{model_dir}: no version {number}; there are: {known}")
        faults = verify(version)
        if faults:
            raise VersionError(f"{version.path}: damaged, not rolled back to: {'; '.join(faults[:5])}; choose another version")
        at = (now or datetime.now(timezone.utc)).isoformat(timespec="seconds")
        manifest = msgspec.structs.replace(version.manifest, time=at, rollback_of=number, reason=reason)
        return _claim(model_dir, {name: version.path / name for name in manifest.files}, manifest)


def remove(version: Version) -> None:
    """Removes a version; a reader sees all of it or nothing."""
    with _exclusive(version.path.parent):
        hidden = version.path.parent / f"{_OWN}{os.getpid()}-{version.number}"
        version.path.rename(hidden)
        shutil.rmtree(hidden)


def _taken(model_dir: Path) -> set[int]:
    names = (path.name for path in model_dir.iterdir()) if model_dir.is_dir() else iter(())
    return {int(name) for name in names if name.isascii() and name.isdigit()}


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise VersionError(f"{path}: cannot be read: {error}; restore the file, or move the folder out of the serving folder") from None


def _pushed_before(versions: list[Version], run_id: str, model_digest: str) -> int | None:
    for version in versions:
        manifest = version.manifest
        same = (manifest.run_id, manifest.model_digest) == (run_id, model_digest)
        if same and manifest.rollback_of is None and not verify(version):
            return version.number
    return None


def _check_labels(served: Version, candidate: Path) -> None:
    """An index that changed its SKU would make every consumer of raw scores wrong, silently."""
    if not (served.path / LABELS).is_file():
        return
    before, after = _order(served.path / LABELS), _order(candidate)
    if after[: len(before)] == before:
        return
    moved = next(index for index, sku in enumerate(before) if after[index : index + 1] != [sku])
    found = after[moved] if moved < len(after) else "nothing"
    raise VersionError(
        f"{served.path / LABELS}: the served label order moved since this run began: index {moved} is {before[moved]} there "
        f"and {found} in the new model; run again, the new run goes on from the served labels"
    )


def _order(path: Path) -> list[str]:
    return [label.sku for label in sorted(labels.read(path), key=lambda label: label.index)]


@contextmanager
def _exclusive(model_dir: Path) -> Iterator[None]:
    """Lets one push, rollback or removal at a time change the folder; the lock goes with its process.

    So whatever hidden folder of this host is there when the lock is held was left by a process that is gone. Across a network file
    system the lock may not hold: another host's folder is left alone for a day.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        with open(model_dir / ".lock", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for hidden in model_dir.glob(f"{_HIDDEN}*"):
                if hidden.name.startswith(_OWN) or time.time() - hidden.stat().st_mtime > _FORGOTTEN_S:
                    shutil.rmtree(hidden, ignore_errors=True)
            yield
    except OSError as error:
        raise VersionError(_reason(model_dir, error)) from error


def _reason(model_dir: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{model_dir}: no space left on the disk; nothing was pushed; free some, or let `tfx-retail gc` remove old versions"
    return f"{model_dir}: nothing was pushed: {error}"


def _claim(model_dir: Path, files: Mapping[str, Path], manifest: Manifest) -> int:
    """Copies the files into a hidden folder and renames it to the next integer that is free."""
    hidden = model_dir / f"{_OWN}{os.getpid()}"
    hidden.mkdir()
    try:
        digests = {name: _copy(source, hidden / name) for name, source in files.items()}
        number = max(_taken(model_dir), default=0) + 1
        while not _try_claim(hidden, model_dir / str(number), msgspec.structs.replace(manifest, version=number, files=digests)):
            number += 1  # another host was faster: the lock may not reach across a network file system
        _sync(model_dir)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return number


def _try_claim(hidden: Path, target: Path, manifest: Manifest) -> bool:
    _write(hidden / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    for folder in [hidden, *(path for path in hidden.rglob("*") if path.is_dir())]:
        _sync(folder)
    try:
        os.rename(hidden, target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _copy(source: Path, target: Path) -> str:
    """Copies a file to the disk, not only to the cache, and returns the SHA-256 of what was read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    total = hashlib.sha256()
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while block := reader.read(1 << 20):
            total.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return total.hexdigest()


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
