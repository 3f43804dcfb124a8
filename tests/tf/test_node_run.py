"""Nodes of a scheduler's run on a real metadata store: retried, cleared, killed, cached; one valid execution is left each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration.pipeline import Pipeline

from tests.tf.tiny_nodes import Maker, Taker
from tfx_retail import attempts, lineage, node_run, store
from tfx_retail.compiled import CompiledError
from tfx_retail.launch import compile_for_run
from tfx_retail.runs import NodeFacts, Workspace

COMPLETE, CACHED, FAILED, CANCELED = (getattr(mlmd.Execution, name) for name in ("COMPLETE", "CACHED", "FAILED", "CANCELED"))


class Tiny:
    """A pipeline of two nodes in a folder."""

    def __init__(self, folder: Path, name: str = "tiny") -> None:
        self.name = name
        self.place = Workspace(folder)
        self.told = folder / "told.txt"
        self.told.write_text("one")
        self.said: list[str] = []

    def run(self, node: str, run_id: str = "run", *, cleared: bool = False, code: str = "") -> NodeFacts:
        self.said.clear()
        made = node_run.NodeRun(self.place, self.compiled(run_id, code), node, attempts.this_process())
        return made.run(cleared=cleared, say=self.said.append)

    def compiled(self, run_id: str, code: str = "") -> Any:
        maker = Maker(told=str(self.told), code=code).with_id("Maker")
        taker = Taker(text=maker.outputs["text"]).with_id("Taker")
        connection = lineage.sqlite_config(self.place.metadata)
        pipeline = Pipeline(
            self.name, str(self.place.nodes), components=[maker, taker], enable_cache=True, metadata_connection_config=connection
        )
        return compile_for_run(pipeline, run_id)

    def store(self) -> MetadataStore:
        return store.connect(lineage.connection(self.place))

    def states(self, node: str, run_id: str = "run") -> list[int]:
        return [item.last_known_state for item in lineage.executions_of(self.store(), self.name, run_id, node)]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.delenv("TFX_RETAIL_METADATA", raising=False)
    return Tiny(tmp_path)


def leave_open(tiny: Tiny) -> None:
    """Makes the Maker of `run` what a process that was killed leaves."""
    known = tiny.store()
    (execution,) = lineage.executions_of(known, "tiny", "run", "Maker")
    execution.last_known_state = mlmd.Execution.RUNNING
    known.put_executions([execution])


def text_of(facts: NodeFacts, key: str) -> str:
    return (Path(facts.outputs[key]) / "text.txt").read_text()


def test_a_node_runs_and_says_when_its_executor_starts(tiny: Tiny) -> None:
    facts = tiny.run("Maker")
    assert (facts.state, text_of(facts, "text"), tiny.states("Maker")) == ("ran", "one", [COMPLETE])
    assert [line.partition(" after ")[0] for line in tiny.said] == ["starts"]


def test_a_success_that_could_not_be_said_is_taken_at_once(tiny: Tiny) -> None:
    first = tiny.run("Maker")
    tiny.told.write_text("two")
    again = tiny.run("Maker")
    assert again.outputs == first.outputs
    assert (text_of(again, "text"), tiny.states("Maker")) == ("one", [COMPLETE])
    assert tiny.said == ["an earlier attempt finished this node and could not say so: its result is taken"]


def test_a_cleared_node_runs_anew_and_what_follows_takes_the_new_result(tiny: Tiny) -> None:
    tiny.run("Maker")
    tiny.run("Taker")
    tiny.told.write_text("two")
    made, taken = tiny.run("Maker", cleared=True), tiny.run("Taker", cleared=True)
    assert (made.state, made.why, text_of(made, "text")) == ("ran", "cleared", "two")
    assert text_of(taken, "copy") == "two"
    assert tiny.states("Maker") == tiny.states("Taker") == [CANCELED, COMPLETE]


def test_a_cleared_node_whose_new_attempt_died_still_runs_anew(tiny: Tiny) -> None:
    tiny.run("Maker")
    tiny.told.write_text("fail")
    assert tiny.run("Maker", cleared=True).state == "failed"
    tiny.told.write_text("two")
    facts = tiny.run("Maker")
    assert (facts.state, text_of(facts, "text")) == ("ran", "two")
    assert tiny.states("Maker") == [CANCELED, FAILED, COMPLETE]


def test_what_a_dead_process_left_open_is_closed_and_its_outputs_are_removed(tiny: Tiny) -> None:
    left = Path(tiny.run("Maker").outputs["text"])
    leave_open(tiny)
    facts = tiny.run("Maker")
    assert tiny.said[0].startswith("an earlier attempt died in this node: closed as failed")
    assert (facts.state, tiny.states("Maker"), left.exists()) == ("ran", [FAILED, COMPLETE], False)


def test_a_retry_after_a_failure_leaves_one_valid_execution(tiny: Tiny) -> None:
    tiny.told.write_text("fail")
    failed = tiny.run("Maker")
    assert (failed.state, failed.error) == ("failed", "told to fail")
    tiny.told.write_text("one")
    assert tiny.run("Maker").state == "ran"
    assert tiny.states("Maker") == [FAILED, COMPLETE]
    assert text_of(tiny.run("Taker"), "copy") == "one"


def test_a_signal_closes_the_execution_and_removes_what_was_written(tiny: Tiny) -> None:
    tiny.told.write_text("interrupt")
    with pytest.raises(KeyboardInterrupt):
        tiny.run("Maker")
    assert tiny.states("Maker") == [FAILED]
    assert not list(tiny.place.nodes.glob("Maker/text/*"))


def test_a_node_whose_input_was_never_made_says_which(tiny: Tiny) -> None:
    facts = tiny.run("Taker")
    assert facts.state == "failed"
    assert facts.error.startswith("Taker: its input `text` is not there: Maker has not succeeded in run run; run or clear Maker first")
    assert tiny.states("Taker") == []


def test_another_run_is_taken_from_the_cache_and_clearing_it_leaves_the_first_alone(tiny: Tiny) -> None:
    first = tiny.run("Maker", "first")
    second = tiny.run("Maker", "second")
    assert (second.state, second.outputs) == ("cached", first.outputs)
    tiny.told.write_text("two")
    assert text_of(tiny.run("Maker", "second", cleared=True), "text") == "two"
    assert (tiny.states("Maker", "first"), tiny.states("Maker", "second")) == ([COMPLETE], [CANCELED, COMPLETE])
    assert text_of(tiny.run("Taker", "first"), "copy") == "one"


def test_the_store_knows_host_and_process_of_each_attempt(tiny: Tiny) -> None:
    tiny.run("Maker")
    me = attempts.this_process()
    (context,) = tiny.store().get_contexts_by_type("tfx_retail_attempt")
    properties = context.properties
    assert (properties["host"].string_value, properties["pid"].int_value, properties["started"].int_value) == (me.host, me.pid, me.started)


def test_what_nobody_came_back_for_is_swept(tiny: Tiny) -> None:
    tiny.run("Maker")
    leave_open(tiny)
    assert node_run.sweep(tiny.place, "tiny", "run", ["Maker", "Taker"]) == ["Maker"]
    assert node_run.sweep(tiny.place, "tiny", "run", ["Maker", "Taker"]) == []
    assert tiny.states("Maker") == [FAILED]


@pytest.fixture
def written(tiny: Tiny, tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "pipeline.json"
        path.write_bytes(data)
        return path

    return write


def test_a_run_whose_pipeline_was_changed_is_refused(written: Callable[[bytes], Path], tmp_path: Path) -> None:
    with pytest.raises(CompiledError, match=r"pipeline\.json: was changed since the run was configured; clear the task `configure`"):
        node_run.read_intermediate(written(b"{}"), "0000")
    with pytest.raises(CompiledError, match=r"none\.json: cannot be read: No such file"):
        node_run.read_intermediate(tmp_path / "none.json", "0000")
