"""What a worker has to have in common with the process that submits: Python, packages, and the storage. Loads nothing."""

import json
import platform
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

NAME = "submitter.json"  # in the package that travels
REFUSES = "the worker on"  # by which a refusal is found in what a runner says

# What is pickled from one to the other, or decides what an image or a number becomes.
_SAME = (
    "apache-beam",
    "tensorflow",
    "tfx",
    "tfx-bsl",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "tensorflow-transform",
    "numpy",
    "pyarrow",
    "Pillow",
    "msgspec",
)


def of_submitter(seen: Iterable[Path]) -> bytes:
    """Returns this process's Python and packages, and what each worker has to see of its storage, as JSON.

    Args:
      seen: files and folders that workers read; absolute.
    """
    facts = {"python": python(), "packages": {name: _version(name) for name in _SAME}, "seen": {str(path): _size(path) for path in seen}}
    return json.dumps(facts, indent=1, sort_keys=True).encode()


def differences(submitter: bytes) -> list[str]:
    """Returns what is not here as it is where the job comes from, a line each; nothing if it is the same."""
    facts = json.loads(submitter)
    return [*_software(facts), *_storage(facts["seen"])]


def python() -> str:
    """Returns major and minor version: what pickled functions depend on."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def refusal(found: list[str]) -> str:
    """Returns the one line that the user reads, whatever runners wrap around it."""
    return f"{REFUSES} {platform.node()} cannot do this job: {'; '.join(found)}".replace("\n", " ")


def _software(facts: dict[str, Any]) -> Iterator[str]:
    told = "install there what the submitter has (uv.lock) and start its pool again"
    if facts["python"] != python():
        yield f"it has Python {platform.python_version()}, the submitter {facts['python']}; {told}"
    others = {name: (_version(name), wanted) for name, wanted in facts["packages"].items() if _version(name) != wanted}
    if others:
        named = ", ".join(f"{name} {here or 'not at all'} (submitter: {wanted or 'not at all'})" for name, (here, wanted) in others.items())
        yield f"it has {named}; {told}"


def _storage(seen: dict[str, int]) -> Iterator[str]:
    for name, size in seen.items():
        path = Path(name)
        if not path.exists():
            yield f"it does not see {path}; put `root` and `data.path` on a file system that all of them see"
        elif size != _size(path):
            yield f"its {path} is another one ({_size(path)} bytes, the submitter's has {size}); all of them need the same file system"


def _size(path: Path) -> int:
    """Returns the bytes of a file, -1 for a folder, whose size says nothing."""
    return path.stat().st_size if path.is_file() else -1


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
