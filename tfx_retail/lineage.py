"""What the metadata store knows: unfinished executions of dead processes, and why a node could not be taken from the cache."""

import json
import shutil
from pathlib import Path
from typing import Any

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tfx_retail.runs import Override, Workspace

_SUCCESSFUL = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)


def sqlite_config(path: Path) -> mlmd.ConnectionConfig:
    """Returns the connection to an SQLite store; the file is made on first use."""
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


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


def forget_lost_versions(store: MetadataStore) -> None:
    """Removes what the cache holds of pushes whose version is no longer in the serving folder, so that Pusher runs anew."""
    for artifact in store.get_artifacts_by_type("PushedModel") if _has_type(store, "PushedModel") else ():
        destination = artifact.custom_properties["pushed_destination"].string_value
        if destination and not Path(destination).is_dir():
            shutil.rmtree(artifact.uri, ignore_errors=True)


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


def _differences(name: str, before: Any, after: Any) -> list[str]:
    if before == after:
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
