"""Nodes side by side: one that waits goes on while others run; whatever one of them comes to, nothing stays open."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from rich.console import Console
from tfx.orchestration.pipeline import Pipeline

from tests.tf.tiny_nodes import Maker, Meeting, Taker, Waiter, Worker
from tfx_retail import config_file, lineage, local_runner
from tfx_retail.config import Config
from tfx_retail.inputs import workspace
from tfx_retail.launch import NodeFailed
from tfx_retail.runs import RunFacts, find_run
from tfx_retail.screen import Board

CONFIG = """
name: tiny
root: output
catalog: {path: catalog.csv}
data: {path: photos, format: voc}
serving: {dir: served}
verdict: {rules: [{metric: sku_accuracy, at_least: 0.5}]}
"""
ORDER = ["Maker", "Waiter", "Worker", "Taker"]


class Tiny:
    """Maker; then Waiter, which may run beside others, and Worker, which meets it; then Taker, which needs Waiter."""

    def __init__(self, config: Config, words: str) -> None:
        self.config = config
        self.place = workspace(config)
        self.told = Path(config.root).parent / "told.txt"
        self.told.write_text(words)

    def pipeline(self) -> Pipeline:
        maker = Maker(told=str(self.told), code=self.told.read_text()).with_id("Maker")
        waiter = Waiter(text=maker.outputs["text"]).with_id("Waiter")
        worker = Worker(text=maker.outputs["text"]).with_id("Worker")
        taker = Taker(text=waiter.outputs["copy"]).with_id("Taker")
        connection = lineage.sqlite_config(self.place.metadata)
        return Pipeline(
            "tiny",
            str(self.place.nodes),
            components=[maker, waiter, worker, taker],
            enable_cache=True,
            metadata_connection_config=connection,
        )

    def run(self, run_id: str = "run") -> list[tuple[str, str]]:
        """Returns each node of the run's file with its state."""
        facts = RunFacts(run_id=run_id, pipeline="tiny", started="2026-01-01T00:00:00+00:00")
        with Board(Console(file=StringIO())) as board:
            local_runner.run_pipeline(self.config, None, facts, board)  # type: ignore[arg-type]  # tiny nodes take no inputs
        return self.states(run_id)

    def states(self, run_id: str = "run") -> list[tuple[str, str]]:
        return [(node.node, node.state) for node in find_run(self.place, run_id).nodes]

    def open_executions(self) -> list[str]:
        known = MetadataStore(lineage.sqlite_config(self.place.metadata))
        open_ = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)
        return [execution.name for execution in known.get_executions() if execution.last_known_state in open_]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Tiny]:
    (tmp_path / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    made = Tiny(config_file.load(tmp_path / "tiny.yaml"), request.param)
    monkeypatch.setattr(local_runner, "build_pipeline", lambda *_: made.pipeline())
    monkeypatch.setattr(local_runner, "checkpoint_folders", lambda *_: {})
    monkeypatch.setattr(local_runner, "BESIDE", {"Waiter"})
    monkeypatch.setattr(local_runner, "_ROOM_BYTES", 0)
    Meeting.reset()
    yield made
    assert Meeting.running == 0  # of the nodes that meet; a thread that went on would still be counted


@pytest.mark.parametrize("tiny", ["meet"], indirect=True)
def test_a_node_that_waits_runs_beside_the_next_and_the_facts_keep_the_pipelines_order(tiny: Tiny) -> None:
    assert tiny.run() == [(node, "ran") for node in ORDER]
    begun = [node.began for node in find_run(tiny.place, "run").nodes]
    assert begun == sorted(begun, key=lambda value: value or 0.0)
    assert tiny.open_executions() == []
    assert tiny.run("again") == [(node, "cached") for node in ORDER]


@pytest.mark.parametrize("tiny", ["meet"], indirect=True)
def test_where_memory_is_short_nodes_run_one_after_the_other(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_runner, "_ROOM_BYTES", 2**60)
    Meeting.alone = True
    assert tiny.run() == [(node, "ran") for node in ORDER]


@pytest.mark.parametrize("tiny", ["the worker fails"], indirect=True)
def test_a_node_that_fails_ends_the_one_beside_it(tiny: Tiny) -> None:
    with pytest.raises(NodeFailed, match="the worker was told to fail"):
        tiny.run()
    assert tiny.states() == [("Maker", "ran"), ("Waiter", "interrupted"), ("Worker", "failed")]
    assert find_run(tiny.place, "run").state == "failed"
    assert tiny.open_executions() == []


@pytest.mark.parametrize("tiny", ["the waiter fails"], indirect=True)
def test_a_node_that_fails_beside_another_lets_that_one_end_and_none_begin(tiny: Tiny) -> None:
    with pytest.raises(NodeFailed, match="the waiter was told to fail"):
        tiny.run()
    assert tiny.states() == [("Maker", "ran"), ("Waiter", "failed"), ("Worker", "ran")]
    assert find_run(tiny.place, "run").state == "failed"
    assert tiny.open_executions() == []


@pytest.mark.parametrize("tiny", ["interrupt the worker"], indirect=True)
def test_an_interrupt_ends_both_and_closes_what_they_left_open(tiny: Tiny) -> None:
    with pytest.raises(KeyboardInterrupt):
        tiny.run()
    assert tiny.states() == [("Maker", "ran"), ("Waiter", "interrupted"), ("Worker", "interrupted")]
    assert find_run(tiny.place, "run").state == "interrupted"
    assert tiny.open_executions() == []
    assert list((tiny.place.nodes / "Worker").glob("copy/*")) == []
    tiny.told.write_text("meet")
    Meeting.reset()
    assert dict(tiny.run("again"))["Taker"] == "ran"
