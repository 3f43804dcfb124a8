r"""Makes ML Metadata's PostgreSQL source take strings with a backslash: stored as another character, read back as what it was.

It quotes with libpq's PQescapeLiteral, which returns ` E'a\\b'` for `a\b` and `'ab'` for `ab`; it cuts the first and the last character off
and quotes again, so any backslash ends in a syntax error. TFX writes backslashes: JSON in JSON, and the trace of a node that failed.
Seen with ml-metadata 1.16.0 and 1.21.0 on PostgreSQL 15; single and double quotes, line breaks and Chinese signs are stored well.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

_BACKSLASH, _STAND_IN = "\\", "\uf05c"  # of Unicode's private use: no text has it by itself


def mend() -> None:
    """Wraps the one method that all of the store's calls to its C++ side go through; a second call does nothing."""
    call = MetadataStore._pywrap_cc_call  # there is no public one
    if not hasattr(call, "mended"):
        MetadataStore._pywrap_cc_call = _mended(call)


def swap(message: Message, old: str, new: str) -> None:
    """Replaces a character in all strings of a message, whatever they are nested in."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            _swap_text(message, field, value, old, new)
        elif field.type == field.TYPE_MESSAGE:
            for part in _parts(field, value):
                swap(part, old, new)


def _mended(call: Callable[..., None]) -> Callable[..., None]:
    def mended(store: Any, method: Any, request: Any, response: Any) -> None:
        config = store._config
        if not isinstance(config, mlmd.ConnectionConfig) or not config.HasField("postgresql"):
            return call(store, method, request, response)
        sent = type(request)()
        sent.CopyFrom(request)
        swap(sent, _BACKSLASH, _STAND_IN)
        call(store, method, sent, response)
        return swap(response, _STAND_IN, _BACKSLASH)

    mended.mended = True  # type: ignore[attr-defined]
    return mended


def _swap_text(message: Message, field: Any, value: Any, old: str, new: str) -> None:
    if isinstance(value, str):
        setattr(message, field.name, value.replace(old, new))
    else:
        value[:] = [text.replace(old, new) for text in value]


def _parts(field: Any, value: Any) -> list[Message]:
    if field.message_type.GetOptions().map_entry:
        return [part for part in value.values() if isinstance(part, Message)]
    return list(value) if not isinstance(value, Message) else [value]
