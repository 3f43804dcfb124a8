"""What the metadata store knows: unfinished executions of dead processes, and why a node could not be taken from the cache."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tfx_retail import backslashes
from tfx_retail.errors import UserError
from tfx_retail.runs import Override, Workspace

URL = "TFX_RETAIL_METADATA"  # it holds a password, so it comes from the environment and is written nowhere
_FORMS = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, mysql://... or sqlite:///FILE"
_SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite"}
_SUCCESSFUL = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)


def sqlite_config(path: Path) -> mlmd.ConnectionConfig:
    """Returns the connection to an SQLite store; the file is made on first use."""
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def connection(workspace: Workspace) -> mlmd.ConnectionConfig:
    """Returns the connection that the environment names, or the one to the pipeline's own SQLite file.

    Raises:
      UserError: TFX_RETAIL_METADATA is no such URL; its password is not told.
    """
    text = os.environ.get(URL, "")
    return url_config(text) if text else sqlite_config(workspace.metadata)


def url_config(text: str) -> mlmd.ConnectionConfig:
    """Returns the connection of a URL.

    Raises:
      UserError: the URL is of none of the forms; the message holds no password.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:  # its message may hold a piece of the password
        raise UserError(f"{URL}: not a URL; expected {_FORMS}, other characters than letters and digits as %XX") from None
    scheme = _SCHEMES.get(url.scheme.partition("+")[0], "")  # `postgresql+psycopg2` is what others write
    database = unquote(url.path[1:])
    if scheme == "sqlite" and database:
        return sqlite_config(Path(database))
    if scheme in ("", "sqlite") or not url.hostname or not database:
        raise UserError(f"{URL}: scheme, host or database are missing or unknown; expected {_FORMS}")
    return _server_config(scheme, url, port, database)


def is_shared(config: mlmd.ConnectionConfig) -> bool:
    """Tells whether a store serves several processes at once; SQLite locks."""
    return config.WhichOneof("config") != "sqlite"


def record_override(store: MetadataStore, blessing: Path, override: Override, version: int) -> None:
    """Writes who blessed a refused model after all, when, why and as which version, on the artifact of its (negative) blessing."""
    artifacts = store.get_artifacts_by_uri(str(blessing))
    for artifact in artifacts:
        for name, value in (("who", override.who), ("when", override.when), ("why", override.why)):
            artifact.custom_properties[f"overridden_{name}"].string_value = value
        artifact.custom_properties["overridden_version"].int_value = version
    if artifacts:
        store.put_artifacts(artifacts)


def close_unfinished(store: MetadataStore, workspace: Workspace) -> list[str]:
    """Marks executions that a dead process left open as failed and removes what they had written; returns their nodes.

    Call it only while holding the pipeline's lock: then no live process can own them.
    """
    unfinished = [execution for execution in store.get_executions() if execution.last_known_state in _UNFINISHED]
    nodes = [_node_of(store, execution) for execution in unfinished]
    for execution, node in zip(unfinished, nodes, strict=True):
        _remove_outputs(workspace, node, execution.id)
        execution.last_known_state = mlmd.Execution.FAILED
    if unfinished:
        store.put_executions(unfinished)
    return nodes


def executions_of(store: MetadataStore, pipeline: str, run_id: str, node: str) -> list[mlmd.Execution]:
    """Returns the executions of a node in a run, oldest first."""
    of_node = store.get_context_by_type_and_name("node", f"{pipeline}.{node}")
    of_run = store.get_context_by_type_and_name("pipeline_run", run_id)
    if of_node is None or of_run is None:
        return []
    in_run = {execution.id for execution in store.get_executions_by_context(of_run.id)}
    found = (execution for execution in store.get_executions_by_context(of_node.id) if execution.id in in_run)
    return sorted(found, key=lambda execution: int(execution.id))


def valid_execution(store: MetadataStore, pipeline: str, run_id: str, node: str) -> mlmd.Execution | None:
    """Returns the execution whose outputs are the node's in this run, or None where it has not succeeded."""
    succeeded = [item for item in executions_of(store, pipeline, run_id, node) if item.last_known_state in _SUCCESSFUL]
    return succeeded[-1] if succeeded else None


def close_dead(store: MetadataStore, workspace: Workspace, node: str, executions: Iterable[mlmd.Execution]) -> int:
    """Marks the unfinished among a node's executions as failed, removes what they had written, and returns how many there were.

    Call it only while holding the node: then no living process can own them.
    """
    dead = [execution for execution in executions if execution.last_known_state in _UNFINISHED]
    for execution in dead:
        _remove_outputs(workspace, node, execution.id)
        execution.last_known_state = mlmd.Execution.FAILED
    if dead:
        store.put_executions(dead)
    return len(dead)


def supersede(store: MetadataStore, executions: Iterable[mlmd.Execution]) -> None:
    """Marks successful executions as canceled: another will take their place. Their outputs stay, later runs may have taken them over."""
    superseded = [execution for execution in executions if execution.last_known_state in _SUCCESSFUL]
    for execution in superseded:
        execution.last_known_state = mlmd.Execution.CANCELED
    if superseded:
        store.put_executions(superseded)


def was_superseded(executions: Iterable[mlmd.Execution]) -> bool:
    """Tells whether a node was already asked to run anew."""
    return any(execution.last_known_state == mlmd.Execution.CANCELED for execution in executions)


def output_ids(store: MetadataStore, execution_id: int) -> dict[str, int]:
    """Returns the artifact id of each output of an execution."""
    return _links(store, execution_id, mlmd.Event.OUTPUT)


def forget_lost_versions(store: MetadataStore, workspace: Workspace) -> None:
    """Removes what the cache holds of this pipeline's pushes whose version is not in the serving folder any more: Pusher runs anew."""
    for artifact in store.get_artifacts_by_type("PushedModel") if _has_type(store, "PushedModel") else ():
        destination = artifact.custom_properties["pushed_destination"].string_value
        is_ours = Path(artifact.uri).is_relative_to(workspace.nodes)  # a shared store has those of other pipelines, and of other hosts
        if is_ours and destination and not Path(destination).is_dir():
            shutil.rmtree(artifact.uri, ignore_errors=True)


def mark_deleted(store: MetadataStore, uris: Iterable[str]) -> None:
    """Marks what stood in these folders as deleted. The rows stay: in a store that others share they are its history."""
    gone = [artifact for uri in uris for artifact in store.get_artifacts_by_uri(uri)]
    for artifact in gone:
        artifact.state = mlmd.Artifact.DELETED
    if gone:
        store.put_artifacts(gone)


def is_cached(store: MetadataStore, execution_id: int) -> bool:
    """Tells whether an execution took its outputs from an earlier one."""
    (execution,) = store.get_executions_by_id([execution_id])
    return bool(execution.last_known_state == mlmd.Execution.CACHED)


def has_failed(store: MetadataStore, execution_id: int) -> bool:
    """Tells whether an execution is marked as failed."""
    (execution,) = store.get_executions_by_id([execution_id])
    return bool(execution.last_known_state == mlmd.Execution.FAILED)


def outputs_of(store: MetadataStore, execution_id: int) -> dict[str, str]:
    """Returns the folder of each output of an execution."""
    return {key: store.get_artifacts_by_id([identity])[0].uri for key, identity in _links(store, execution_id, mlmd.Event.OUTPUT).items()}


def why_not_cached(store: MetadataStore, execution_id: int) -> str:
    """Returns in words what differs from the latest success of the same node; empty where there was none."""
    (execution,) = store.get_executions_by_id([execution_id])
    earlier = _latest_success(store, execution)
    if earlier is None:
        return ""
    changes = _changed_settings(earlier, execution) + _changed_inputs(store, earlier.id, execution_id)
    return "; ".join(changes) or "its earlier result is gone"


def _server_config(scheme: str, url: SplitResult, port: int | None, database: str) -> mlmd.ConnectionConfig:
    config = mlmd.ConnectionConfig()
    server = getattr(config, scheme)
    if scheme == "postgresql":
        backslashes.mend()
    server.host, server.user, server.password = url.hostname, unquote(url.username or ""), unquote(url.password or "")
    if scheme == "mysql":
        server.port, server.database = port or 3306, database
    else:
        server.port, server.dbname = str(port or 5432), database
    return config


def _latest_success(store: MetadataStore, execution: mlmd.Execution) -> mlmd.Execution | None:
    (context,) = (item for item in store.get_contexts_by_execution(execution.id) if item.type == "node")
    siblings = store.get_executions_by_context(context.id)
    successes = [item for item in siblings if item.id < execution.id and item.last_known_state in _SUCCESSFUL]
    return max(successes, key=lambda item: int(item.id), default=None)


def _changed_settings(earlier: mlmd.Execution, now: mlmd.Execution) -> list[str]:
    before, after = _settings(earlier), _settings(now)
    changed: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        changed.extend(_differences(name, before.get(name), after.get(name)))
    return list(dict.fromkeys(changed))


def _settings(execution: mlmd.Execution) -> dict[str, Any]:
    values = {**execution.properties, **execution.custom_properties}
    return {name: _plain(value) for name, value in values.items() if not name.startswith("__")}


def _plain(value: mlmd.Value) -> Any:
    kind = value.WhichOneof("value")
    plain = getattr(value, kind) if kind else None
    if isinstance(plain, str) and plain[:1] in "{[":
        try:
            return json.loads(plain)
        except ValueError:
            return plain
    return plain


_FOLLOW = ("checkpoints", "progress")  # places that are named by the other settings, and change with them


def _differences(name: str, before: Any, after: Any) -> list[str]:
    if before == after or name in _FOLLOW:
        return []
    if isinstance(before, str) and isinstance(after, str) and before[:1] == after[:1] == "{":
        before, after = json.loads(before), json.loads(after)
    if isinstance(before, dict) and isinstance(after, dict):
        inner = [_differences(key, before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())]
        return [line for lines in inner for line in lines]
    if "code" in name:
        return ["code changed"]
    if name == "data_digest":
        return ["data changed"]
    if len(str(before)) + len(str(after)) > 60:
        return [f"{name} changed"]
    return [f"{name}: {before} -> {after}"]


def _changed_inputs(store: MetadataStore, earlier: int, now: int) -> list[str]:
    before, after = _links(store, earlier, mlmd.Event.INPUT), _links(store, now, mlmd.Event.INPUT)
    return [f"new {name.replace('_', ' ')}" for name in sorted(after) if before.get(name) != after[name]]


def _links(store: MetadataStore, execution_id: int, kind: int) -> dict[str, int]:
    events = store.get_events_by_execution_ids([execution_id])
    return {event.path.steps[0].key: event.artifact_id for event in events if event.type == kind}


def _node_of(store: MetadataStore, execution: mlmd.Execution) -> str:
    names = [item.name for item in store.get_contexts_by_execution(execution.id) if item.type == "node"]
    return names[0].rpartition(".")[2] if names else str(execution.type)


def _remove_outputs(workspace: Workspace, node: str, execution_id: int) -> None:
    for folder in (workspace.nodes / node).glob(f"*/{execution_id}"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (workspace.nodes / node / ".system").glob(f"*/{execution_id}"):
        shutil.rmtree(folder, ignore_errors=True)


def _has_type(store: MetadataStore, name: str) -> bool:
    return any(kind.name == name for kind in store.get_artifact_types())
