"""One node of a scheduler's run, in a process of its own: what an earlier attempt left is closed, taken over or superseded first.

A node's inputs are the outputs of the one valid execution of each node before it. TFX's launcher would take those of all executions of the
run, superseded ones too, and would take an earlier attempt's execution over; so it is given the inputs by their ids, and a context of the
attempt, which no earlier execution has and which keeps host and process.
"""

import json
import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.proto.orchestration import pipeline_pb2

from tfx_retail import lineage, store
from tfx_retail.attempts import Attempt, age_s, alone
from tfx_retail.compiled import CONFIGURE_AGAIN, LEARNERS, PUSHER, CompiledError
from tfx_retail.digests import text_digest
from tfx_retail.errors import RunError
from tfx_retail.launch import NodeFailed, cause, facts_of, launch, node_names
from tfx_retail.runs import NodeFacts, Workspace
from tfx_retail.schema_review import SCHEMA_NODES

Say = Callable[[str], None]


class NodeRun:
    """One node of one run, held by this process."""

    def __init__(self, place: Workspace, intermediate: Any, node: str, attempt: Attempt) -> None:
        self._place = place
        self._intermediate = intermediate
        self._attempt = attempt
        self.node = node
        self.pipeline: str = intermediate.pipeline_info.id
        self.run_id: str = intermediate.runtime_spec.pipeline_run_id.field_value.string_value
        self._connection = lineage.connection(place)

    def run(self, *, cleared: bool, say: Say) -> NodeFacts:
        """Returns what the node did, or why it failed; an earlier success is taken, or superseded where the scheduler's user cleared it."""
        begun = time.monotonic()
        try:
            return self._run(cleared=cleared, say=say)
        except NodeFailed as failure:
            traceback.print_exc()  # to the log
            return failure.facts
        except Exception as error:  # noqa: BLE001  # the metadata store is not there, the disk is full: whatever it is, the scheduler is told
            traceback.print_exc()
            return NodeFacts(node=self.node, state="failed", seconds=time.monotonic() - begun, error=cause(error))

    def _run(self, *, cleared: bool, say: Say) -> NodeFacts:
        known = store.connect(self._connection)
        executions = lineage.executions_of(known, self.pipeline, self.run_id, self.node)
        closed = lineage.close_dead(known, self._place, self.node, executions)
        if closed:
            say(f"an earlier attempt died in this node: closed as failed, what it had written is removed ({closed})")
        done = lineage.valid_execution(known, self.pipeline, self.run_id, self.node)
        if done is not None and not cleared:
            say("an earlier attempt finished this node and could not say so: its result is taken")
            return self._finished(facts_of(known, self.node, done.id))
        lineage.supersede(known, executions)
        anew = lineage.was_superseded(executions)
        if anew:
            say("cleared: runs anew, not from the cache; its earlier result is superseded")
        return self._launch(anew=anew, say=say)

    def _launch(self, *, anew: bool, say: Say) -> NodeFacts:
        def started() -> None:
            say(f"starts after {age_s():.1f} s ({time.process_time():.1f} s of them at work)")

        bound = pipeline_pb2.Pipeline()
        bound.CopyFrom(self._intermediate)
        (target,) = (item.pipeline_node for item in bound.nodes if item.pipeline_node.node_info.id == self.node)
        self._bind_inputs(target)
        if self.node == PUSHER:
            lineage.forget_lost_versions(store.connect(self._connection), self._place)
        _add_context(target, f"{self.run_id}.{self.node}.{self._attempt.name}", self._attempt)
        if anew:
            target.execution_options.caching_options.enable_cache = False
        try:
            with self._checkpoints_held(target, say):
                facts = launch(bound, self.node, self._connection, started)
        except KeyboardInterrupt:  # the launcher closes its execution for errors only
            self._close()
            raise
        if anew:
            facts.why = "cleared"
        return self._finished(facts)

    def _checkpoints_held(self, target: Any, say: Say) -> AbstractContextManager[None]:
        """Runs of the same settings, data and code train in one folder: the second waits, and finds the first one's model in the cache."""
        if self.node not in LEARNERS:
            return nullcontext()
        folder = checkpoints_of(target)
        words = "another run trains with the same settings, data and code; waiting for its model"
        return alone(folder.with_name(f"{folder.name}.lock"), lambda: say(words))

    def _close(self) -> None:
        known = store.connect(self._connection)
        lineage.close_dead(known, self._place, self.node, lineage.executions_of(known, self.pipeline, self.run_id, self.node))

    def _bind_inputs(self, target: Any) -> None:
        known = store.connect(self._connection)
        for key, spec in target.inputs.inputs.items():
            identities = [self._output(known, channel.producer_node_query.id, channel.output_key, key) for channel in spec.channels]
            if identities:
                del spec.channels[:]
                spec.static_inputs.artifact_ids.extend(identities)

    def _output(self, known: MetadataStore, producer: str, key: str, wanted_as: str) -> int:
        execution = lineage.valid_execution(known, self.pipeline, self.run_id, producer)
        outputs = lineage.output_ids(known, execution.id) if execution else {}
        if key not in outputs:
            raise RunError(
                f"{self.node}: its input `{wanted_as}` is not there: {producer} has not succeeded in run {self.run_id}; "
                f"run or clear {producer} first (a task that was only marked as success has made nothing)"
            )
        return outputs[key]

    def _finished(self, facts: NodeFacts) -> NodeFacts:
        """The trained model is an artifact now; a checkpoint that stayed would be taken for an unfinished training."""
        if self.node in LEARNERS and facts.state != "failed":
            (target,) = (item.pipeline_node for item in self._intermediate.nodes if item.pipeline_node.node_info.id == self.node)
            shutil.rmtree(checkpoints_of(target), ignore_errors=True)
        return facts


def checkpoints_of(trainer: Any) -> Path:
    """Returns the folder in which one of LEARNERS keeps its state."""
    given = trainer.parameters.parameters
    if "checkpoints" in given:
        return Path(given["checkpoints"].field_value.string_value)
    return Path(json.loads(given["custom_config"].field_value.string_value)["checkpoints"])


def read_intermediate(path: Path, digest: str) -> Any:
    """Returns the compiled pipeline of a run.

    Raises:
      CompiledError: it is missing, or is not what was compiled.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CompiledError(f"{path}: cannot be read: {error.strerror}; {CONFIGURE_AGAIN}") from None
    if text_digest(data) != digest:
        raise CompiledError(f"{path}: was changed since the run was configured; {CONFIGURE_AGAIN}")
    return json_format.Parse(data, pipeline_pb2.Pipeline())


def node_of_run(intermediate: Any, task: str) -> str:
    """Returns which node of a run a task stands for: the schema is drafted or imported, as the run found a reviewed one or none."""
    names = node_names(intermediate)
    if task in names:
        return task
    (schema,) = (name for name in SCHEMA_NODES if name in names)
    return schema


def sweep(place: Workspace, pipeline: str, run_id: str, nodes: list[str]) -> list[str]:
    """Closes what dead processes left open in these nodes of a run, and returns which nodes those were."""
    known = store.connect(lineage.connection(place))
    return [node for node in nodes if lineage.close_dead(known, place, node, lineage.executions_of(known, pipeline, run_id, node))]


def _add_context(target: Any, name: str, attempt: Attempt) -> None:
    context = target.contexts.contexts.add()
    context.type.name = "tfx_retail_attempt"
    context.name.field_value.string_value = name
    for key, value in (("host", attempt.host), ("since", attempt.since)):
        context.type.properties[key] = mlmd.STRING
        context.properties[key].field_value.string_value = value
    for key, number in (("pid", attempt.pid), ("started", attempt.started)):
        context.type.properties[key] = mlmd.INT
        context.properties[key].field_value.int_value = number
