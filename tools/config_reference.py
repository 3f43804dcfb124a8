"""Prints docs/config.md, made from the descriptions in tfx_retail/config.py, so that the two cannot differ."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from tfx_retail.config import Config

HEAD = """# Configuration

One YAML file describes one pipeline; `tfx-retail check CONFIG` tells what is wrong with it, every fault at once.
Paths are relative to the YAML file's folder. `--set section.key=value` overrides a key for one command.

*This page is made from `tfx_retail/config.py` by `make docs`; a test keeps the two in step.*
"""


def reference() -> str:
    """Returns the page: a table for each section, in the order of the file."""
    return "\n".join([HEAD, *_section("", Config)])


def _section(path: str, section: type[Struct]) -> Iterator[str]:
    fields = msgspec.structs.fields(section)
    below = {field.encode_name: _below(path, field) for field in fields}
    yield f"## {path or 'Top level'}\n\n{(section.__doc__ or '').splitlines()[0]}\n"
    yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    for field in fields:
        yield _row(field, below[field.encode_name])
    yield ""
    for place in below.values():
        if place:
            yield from _section(*place)


def _below(path: str, field: FieldInfo) -> tuple[str, type[Struct]] | None:
    """Returns the heading and the type of the section that a key opens, or None."""
    child = _struct_in(field.type)
    name = f"{path}.{field.encode_name}".lstrip(".") + ("[]" if _is_list(field.type) else "")
    return (name, child) if child else None


def _row(field: FieldInfo, below: tuple[str, type[Struct]] | None) -> str:
    descriptions = [meta.description for meta in _metas(field.type) if meta.description]
    if below:
        descriptions.append(f"see [{below[0]}](#{below[0].replace('.', '').replace('[]', '')})")
    meaning = "; ".join(descriptions).replace("|", "\\|").replace("<", "&lt;")
    return f"| `{field.encode_name}` | {_value(field.type)} | {_default(field)} | {meaning} |"


def _arms(kind: Any) -> list[Any]:
    """Returns the types that a type is made of: itself, or the arms of a union."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return list(get_args(kind)) if get_origin(kind) in (Union, types.UnionType) else [kind]


def _is_list(kind: Any) -> bool:
    return any(get_origin(arm) is tuple for arm in _arms(kind))


def _struct_in(kind: Any) -> type[Struct] | None:
    for arm in _arms(kind):
        for candidate in (arm, *(get_args(arm) if get_origin(arm) is tuple else ())):
            if isinstance(candidate, type) and issubclass(candidate, Struct):
                return candidate
    return None


def _value(kind: Any) -> str:
    if _struct_in(kind):
        return "list of sections" if _is_list(kind) else "section"
    limits = "".join(_limits(meta) for meta in _metas(kind))
    return " or ".join(_word(arm) for arm in _arms(kind) if arm is not type(None)) + limits


def _word(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _word(get_args(kind)[0]) + "".join(_limits(meta) for meta in _metas(kind))
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if get_origin(kind) is tuple:
        return f"list of {_word(inner[0])}" if inner[-1] is Ellipsis else "[" + ", ".join(map(_word, inner)) + "]"
    if get_origin(kind) is dict:
        return f"{{{_word(inner[0])}: {_word(inner[1])}}}"
    return {str: "text", int: "integer", float: "number", bool: "`true`, `false`", Any: "value"}[kind]


def _metas(kind: Any) -> list[Meta]:
    return [meta for meta in get_args(kind)[1:] if isinstance(meta, Meta)] if get_origin(kind) is Annotated else []


def _limits(meta: Meta) -> str:
    bounds = {"≥": meta.ge, ">": meta.gt, "≤": meta.le, "<": meta.lt}
    words = [f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None]
    if meta.pattern:
        words.append(f"`{meta.pattern}`")
    if meta.min_length:
        words.append(f"at least {meta.min_length}")
    return ", " + ", ".join(words) if words else ""


def _default(field: FieldInfo) -> str:
    if field.required:
        return "*required*"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value in ((), {}):
        return "not set"
    if isinstance(value, Struct):
        return "see below"
    return f"`{msgspec.json.encode(value).decode()}`".replace('"', "").replace(":", ": ").replace(",", ", ")


if __name__ == "__main__":
    print(reference(), end="")
