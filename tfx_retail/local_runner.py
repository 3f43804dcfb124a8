"""Runs a whole pipeline on this machine and keeps its facts on disk and on the screen: node after node, or beside one that waits."""

import math
import shutil
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx.orchestration.pipeline import Pipeline

from tfx_retail import catalog_pipeline, fresh, lineage, store
from tfx_retail.beside import Beside, Ended
from tfx_retail.catalog_update import Update
from tfx_retail.compiled import BESIDE, CALIBRATOR, INFRA_CHECK
from tfx_retail.config import Config
from tfx_retail.inputs import RunInputs, workspace
from tfx_retail.launch import NodeFailed, compile_for_run, launch, needed_for, node_names, say_nothing, upstream_nodes
from tfx_retail.pipeline import build_pipeline, checkpoint_folders
from tfx_retail.runs import NodeFacts, RunFacts, write_atomically, write_run
from tfx_retail.screen import Board
from tfx_retail.summaries import end_state

_ROOM_BYTES = 2 * 2**30  # a second process with TensorFlow and a model in it takes 1 GB


class _Book:
    """What the nodes of a run do, kept in its facts, on disk and on the screen by whichever thread runs a node."""

    def __init__(self, config: Config, inputs: RunInputs, facts: RunFacts, board: Board) -> None:
        self._place = workspace(config)
        self._progress = {node: folder / "progress.jsonl" for node, folder in checkpoint_folders(config, inputs).items()}
        self._facts, self._board = facts, board
        self._begun = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._begun

    def begin(self, node: str) -> float:
        """Notes that a node runs, after those that began before it, and returns when that was."""
        began = self.seconds
        with self._lock:
            self._facts.nodes.append(NodeFacts(node=node, state="running", began=began))
            write_run(self._place, self._facts)
        self._board.start(node, progress=self._progress.get(node))
        return began

    def end(self, told: NodeFacts, began: float) -> None:
        """Notes what a node did."""
        told.began = began
        with self._lock:
            (place,) = (place for place, facts in enumerate(self._facts.nodes) if facts.node == told.node)
            self._facts.nodes[place] = told
            write_run(self._place, self._facts)
        self._board.end(told)


def run_pipeline(config: Config, inputs: RunInputs, facts: RunFacts, board: Board, *, to_node: str | None = None) -> RunFacts:
    """Runs the pipeline up to its end, or up to one node, and returns the facts, which also stand in `run.json`.

    The caller holds the pipeline's lock. What raises is as with `carry_out`.
    """
    return carry_out(build_pipeline(config, inputs), config, inputs, facts, board, to_node=to_node)


def run_update(update: Update, facts: RunFacts, board: Board) -> RunFacts:
    """Runs the pipeline that gives the served weights another catalogue; as `run_pipeline`."""
    return carry_out(catalog_pipeline.build(update), update.config, update.given, facts, board)


def carry_out(
    pipeline: Pipeline, config: Config, inputs: RunInputs, facts: RunFacts, board: Board, *, to_node: str | None = None
) -> RunFacts:
    """Runs the nodes of a pipeline.

    Raises:
      NodeFailed: a node failed; the facts say so and later nodes did not run.
      KeyboardInterrupt: after the running executions were closed, so that the next run can begin at once.
    """
    place = workspace(config)
    place.nodes.mkdir(parents=True, exist_ok=True)
    _recover(config)
    compiled = compile_for_run(pipeline, facts.run_id)
    write_atomically(place.run(facts.run_id) / "pipeline.json", json_format.MessageToJson(compiled).encode())
    book = _Book(config, inputs, facts, board)
    try:
        _run_nodes(compiled, _wanted(compiled, to_node), book)
        facts.state = end_state(facts, _wanted(compiled, to_node))
    except KeyboardInterrupt:
        facts.state = "interrupted"
        _recover(config)
        raise
    except BaseException:
        facts.state = "failed"
        raise
    finally:
        facts.seconds = book.seconds
        write_run(place, facts)
    _forget_checkpoints(config, inputs, facts)
    return facts


def _wanted(compiled: Any, to_node: str | None) -> list[str]:
    names = node_names(compiled)
    if to_node is None:
        return names
    needed = needed_for(compiled, to_node)
    return [name for name in names if name in needed]


def _run_nodes(compiled: Any, names: list[str], book: _Book) -> None:
    """Runs nodes in their order; those of BESIDE go on while others run that do not need them.

    Whatever a node raises, those beside it are told to end, and have ended, before it leaves here.
    """
    upstream = upstream_nodes(compiled)
    beside: dict[str, Beside[None]] = {}
    try:
        for node in names:
            for other in [name for name, work in beside.items() if name in upstream[node] or work.is_over]:
                beside[other].result()
                del beside[other]
            ahead = node == CALIBRATOR and INFRA_CHECK in names and _free_bytes() > _ROOM_BYTES
            run = partial(_run_node, compiled, node, book, book.begin(node), fresh.start_early if ahead else say_nothing)
            if node in BESIDE and _free_bytes() > _ROOM_BYTES:
                beside[node] = Beside(run)
            else:
                run()
        for work in beside.values():
            work.result()
    finally:
        for work in beside.values():
            work.end()
        fresh.forget_early()


def _run_node(compiled: Any, node: str, book: _Book, began: float, started: Callable[[], None]) -> None:
    """Runs one node; `started` is called when it is clear that the cache has it not."""
    told = NodeFacts(node=node, state="interrupted")
    try:
        told = launch(compiled, node, started=started)
    except NodeFailed as failure:
        if not isinstance(failure.__cause__, Ended):
            told = failure.facts
        raise
    finally:
        told.seconds = told.seconds or book.seconds - began
        book.end(told, began)


def _free_bytes() -> float:
    """Returns how much memory is to be had; all, where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), math.inf)


def _recover(config: Config) -> None:
    """Closes what dead runs left open. Without it, TFX would take a half-written output folder over."""
    place = workspace(config)
    known = store.connect(lineage.sqlite_config(place.metadata))
    lineage.close_unfinished(known, place)
    lineage.forget_lost_versions(known, place)


def _forget_checkpoints(config: Config, inputs: RunInputs, facts: RunFacts) -> None:
    """The trained model is an artifact now; a checkpoint that stayed would be disk space and nothing else."""
    for node, folder in checkpoint_folders(config, inputs).items():
        if facts.node(node) is not None:
            shutil.rmtree(folder, ignore_errors=True)
