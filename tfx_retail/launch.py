"""Runs single nodes of a compiled pipeline through TFX's launcher: what a local run and a scheduler's task have in common."""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

from ml_metadata import MetadataStore
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils

from tfx_retail import late_executors, lineage, store
from tfx_retail.errors import UserError
from tfx_retail.late_executors import Started
from tfx_retail.runs import NodeFacts
from tfx_retail.summaries import summary
from tfx_retail.worker.facts import REFUSES


class NodeFailed(Exception):
    """A node did not reach its end; the cause is in `facts.error`, the traceback in the log."""

    def __init__(self, facts: NodeFacts) -> None:
        super().__init__(facts.error)
        self.facts = facts


_ONE_AT_A_TIME = threading.RLock()  # nodes that run side by side look into the store one after the other: SQLite does not wait


class _Metadata(metadata.Metadata):
    """TFX's handle on the metadata store, with our connections."""

    def __enter__(self) -> "_Metadata":
        _ONE_AT_A_TIME.acquire()
        try:
            self._store = store.connect(self._connection_config)
        except BaseException:
            _ONE_AT_A_TIME.release()
            raise
        self._users += 1
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)
        finally:
            _ONE_AT_A_TIME.release()


def say_nothing() -> None:
    pass


def compile_for_run(pipeline: Any, run_id: str) -> Any:
    """Returns the pipeline as TFX's intermediate representation, bound to one run."""
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return compiled


def node_names(compiled: Any) -> list[str]:
    """Returns the nodes in an order in which they can run."""
    return [node.pipeline_node.node_info.id for node in compiled.nodes]


def upstream_nodes(compiled: Any) -> dict[str, list[str]]:
    """Returns for each node those that have to end before it begins."""
    return {node.pipeline_node.node_info.id: list(node.pipeline_node.upstream_nodes) for node in compiled.nodes}


def needed_for(compiled: Any, target: str) -> set[str]:
    """Returns a node and all that it stands on."""
    upstream = upstream_nodes(compiled)
    needed: set[str] = set()
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(upstream[name])
    return needed


def launch(compiled: Any, node: str, connection: Any = None, started: Started = say_nothing) -> NodeFacts:
    """Runs one node, or takes it from the cache, and returns what it did.

    Args:
      connection: to the metadata store, where it is not the one that the pipeline was compiled with.
      started: called when it is clear that the node has to run, and its executor is loaded.

    Raises:
      NodeFailed: with the cause in one line, or in the words of our own errors.
    """
    begun = time.monotonic()
    deployment = runner_utils.extract_local_deployment_config(compiled)
    connection = connection or _compiled_connection(deployment)
    try:
        info = _launcher(compiled, node, deployment, connection, started).launch()
    except Exception as error:
        facts = NodeFacts(node=node, state="failed", seconds=time.monotonic() - begun, error=cause(error))
        raise NodeFailed(facts) from error
    with _ONE_AT_A_TIME:
        facts = _launched_facts(store.connect(connection), node, info)
    facts.seconds = time.monotonic() - begun
    if facts.state == "failed":
        raise NodeFailed(facts)
    return facts


def _launcher(compiled: Any, node: str, deployment: Any, connection: Any, started: Started) -> Any:
    (pipeline_node,) = (item.pipeline_node for item in compiled.nodes if item.pipeline_node.node_info.id == node)
    return launcher.Launcher(
        pipeline_node=pipeline_node,
        mlmd_connection=_Metadata(connection),
        pipeline_info=compiled.pipeline_info,
        pipeline_runtime_spec=compiled.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node),
        custom_executor_operators=late_executors.operators(started),
    )


def _compiled_connection(deployment: Any) -> Any:
    connection = deployment.metadata_connection_config
    return getattr(connection, connection.WhichOneof("connection_config"))


def _launched_facts(known: MetadataStore, node: str, info: Any) -> NodeFacts:
    if info is None or info.execution_id is None:
        return NodeFacts(node=node, state="skipped", why="an input that it needs was not made")
    if lineage.has_failed(known, info.execution_id):  # the launcher marks what it could not resolve, and raises nothing
        return NodeFacts(node=node, state="failed", error="its inputs could not be resolved; the log names them")
    return facts_of(known, node, info.execution_id)


def facts_of(known: MetadataStore, node: str, execution_id: int) -> NodeFacts:
    """Returns what a successful execution did."""
    outputs = lineage.outputs_of(known, execution_id)
    cached = lineage.is_cached(known, execution_id)
    why = "same code, config and inputs as before" if cached else lineage.why_not_cached(known, execution_id)
    return NodeFacts(node=node, state="cached" if cached else "ran", why=why, summary=summary(node, outputs), outputs=outputs)


_BEAM_SUFFIX = " [while running"  # Beam appends the step's name to what its workers raise
_OF_WORKER = re.compile(
    r"\btfx_retail(?:\.\w+)+: (.*?)(?: \[while running|\n\n|\n\tat |\Z)", re.DOTALL
)  # in a traceback that an engine hands on


def cause(error: BaseException) -> str:
    """Returns what a person needs to know of an error: our own messages whole, others in one line."""
    chain = list(_chain(error))
    for item in chain:
        if isinstance(item, UserError):
            return str(item).partition(_BEAM_SUFFIX)[0]
    raised = [words for item in chain for words in _of_worker(str(item))]
    if raised:
        return raised[0]
    if any(_is_disk_full(item) for item in chain):
        return "no space left on the disk: free some, or let `tfx-retail gc` remove old runs; nothing half-written is used"
    root = chain[-1]
    lines = [line.strip() for line in str(root).splitlines() if line.strip()]
    return f"{type(root).__name__}: {lines[0] if lines else 'no message'}"


def _of_worker(text: str) -> list[str]:
    """Returns what our own errors said on workers of an engine: there is only text of them here, wrapped in the engine's."""
    refused = re.search(rf"{REFUSES} [^\n]*", text)
    return [refused[0]] if refused else _OF_WORKER.findall(text)[-1:]


def _chain(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _is_disk_full(error: BaseException) -> bool:
    text = str(error).lower()
    return getattr(error, "errno", None) == 28 or "no space left on device" in text or "disk is full" in text
