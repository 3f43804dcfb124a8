"""Runs a whole pipeline on this machine, node after node, and keeps its facts on disk and on the screen."""

import shutil
import time
from typing import Any

from google.protobuf import json_format
from ml_metadata import MetadataStore
from tfx.orchestration.pipeline import Pipeline

from tfx_retail import catalog_pipeline, lineage
from tfx_retail.catalog_update import Update
from tfx_retail.config import Config
from tfx_retail.inputs import RunInputs, workspace
from tfx_retail.launch import NodeFailed, compile_for_run, launch, needed_for, node_names
from tfx_retail.pipeline import build_pipeline, checkpoint_folders
from tfx_retail.runs import NodeFacts, RunFacts, write_atomically, write_run
from tfx_retail.screen import Board
from tfx_retail.summaries import end_state


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
    """Runs the nodes of a pipeline one after the other.

    Raises:
      NodeFailed: a node failed; the facts say so and later nodes did not run.
      KeyboardInterrupt: after the running execution was closed, so that the next run can begin at once.
    """
    place = workspace(config)
    place.nodes.mkdir(parents=True, exist_ok=True)
    _recover(config)
    compiled = compile_for_run(pipeline, facts.run_id)
    write_atomically(place.run(facts.run_id) / "pipeline.json", json_format.MessageToJson(compiled).encode())
    begun = time.monotonic()
    try:
        for node in _wanted(compiled, to_node):
            _run_node(compiled, node, config, inputs, facts, board)
        facts.state = end_state(facts, _wanted(compiled, to_node))
    except KeyboardInterrupt:
        facts.state = "interrupted"
        _recover(config)
        raise
    except BaseException:
        facts.state = "failed"
        raise
    finally:
        facts.seconds = time.monotonic() - begun
        write_run(place, facts)
    _forget_checkpoints(config, inputs, facts)
    return facts


def _wanted(compiled: Any, to_node: str | None) -> list[str]:
    names = node_names(compiled)
    if to_node is None:
        return names
    needed = needed_for(compiled, to_node)
    return [name for name in names if name in needed]


def _run_node(compiled: Any, node: str, config: Config, inputs: RunInputs, facts: RunFacts, board: Board) -> None:
    running = NodeFacts(node=node, state="running")
    facts.nodes.append(running)
    write_run(workspace(config), facts)
    folder = checkpoint_folders(config, inputs).get(node)
    board.start(node, progress=folder / "progress.jsonl" if folder else None)
    try:
        facts.nodes[-1] = launch(compiled, node)
    except NodeFailed as failure:
        facts.nodes[-1] = failure.facts
        raise
    except KeyboardInterrupt:
        facts.nodes[-1] = NodeFacts(node=node, state="interrupted")
        raise
    finally:
        if facts.nodes[-1] is not running:
            board.end(facts.nodes[-1])


def _recover(config: Config) -> None:
    """Closes what dead runs left open. Without it, TFX would take a half-written output folder over."""
    store = MetadataStore(lineage.sqlite_config(workspace(config).metadata))
    lineage.close_unfinished(store, workspace(config))
    lineage.forget_lost_versions(store)


def _forget_checkpoints(config: Config, inputs: RunInputs, facts: RunFacts) -> None:
    """The trained model is an artifact now; a checkpoint that stayed would be disk space and nothing else."""
    for node, folder in checkpoint_folders(config, inputs).items():
        if facts.node(node) is not None:
            shutil.rmtree(folder, ignore_errors=True)
