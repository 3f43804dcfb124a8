"""Digests that make the cache see what TFX's own would miss: the code behind a node, and files behind a path."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from tfx_retail import platforms

_PACKAGE = Path(__file__).parent


def text_digest(*parts: str | bytes) -> str:
    """Returns 16 hex digits of SHA-256 over the parts, their lengths included."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


@cache
def code_digest(module: str) -> str:
    """Returns a digest over the source of a module of this package and of all modules of the package that it imports.

    So a change of the command line or the report does not train a model anew, and a change of the network does. The version of TFX counts
    as code: what the other platform made is not taken over.
    """
    return text_digest(platforms.tfx_version(), *(_source(name) for name in sorted(_reachable(module))))


def _reachable(module: str) -> set[str]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and _path(name) is not None:
            found.add(name)
            waiting.extend(_imports(name))
    return found


@cache  # the digests of a run's nodes are over much the same modules
def _imports(module: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module_name(node.value):
            names.append(node.value)  # a table of dotted names, as the readers have
    return [name for name in names if name.partition(".")[0] == _PACKAGE.name]


def _is_module_name(text: str) -> bool:
    return text.startswith(f"{_PACKAGE.name}.") and all(part.isidentifier() for part in text.split("."))


def _path(module: str) -> Path | None:
    inside = _PACKAGE.parent.joinpath(*module.split("."))
    for candidate in (inside.with_suffix(".py"), inside / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _source(module: str) -> bytes:
    path = _path(module)
    return path.read_bytes() if path else b""
