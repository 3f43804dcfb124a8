"""Connections to the metadata store, tried again while a server is away: one that restarts costs a node seconds, not its work."""

import random
import time

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tfx_retail.errors import RunError

_AWAY_S = 20.0  # a server that restarts is back by then
_PAUSE_S = 1.0


def connect(config: mlmd.ConnectionConfig, *, patience_s: float = _AWAY_S) -> MetadataStore:
    """Returns an open store; its tables are made on first use.

    Args:
      patience_s: how long a server may be away, or busy with others that make its tables.

    Raises:
      RunError: the store cannot be reached.
    """
    until = time.monotonic() + (patience_s if config.WhichOneof("config") != "sqlite" else 0.0)
    while True:
        try:
            return MetadataStore(config)
        except RuntimeError as error:  # what the client raises for all that can go wrong here
            if time.monotonic() >= until:
                told = (str(error).splitlines() or ["no reason given"])[0]
                raise RunError(f"{_place(config)}: the metadata store cannot be opened: {told}; {_cure(told)}") from error
            time.sleep(_PAUSE_S * (0.5 + random.random()))  # noqa: S311  # so that those who wait do not come all at once


def _cure(told: str) -> str:
    if "database version" in told:  # ml-metadata 1.16 and 1.21 have the same; another release may not
        return "run this on the platform that made the database, or name another by TFX_RETAIL_METADATA"
    return "start it, or correct TFX_RETAIL_METADATA"


def _place(config: mlmd.ConnectionConfig) -> str:
    kind = config.WhichOneof("config")
    if kind == "sqlite":
        return str(config.sqlite.filename_uri)
    server = getattr(config, kind)
    return f"{kind} at {server.host}:{server.port}"
