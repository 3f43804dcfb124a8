"""The commands `run` and `update-catalog` on this machine: everything around the pipeline that needs no TensorFlow."""

import os
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from tfx_retail import catalog_update, inputs, loading, report, starting, team
from tfx_retail.config import Config
from tfx_retail.page.write import write_page
from tfx_retail.runs import RunFacts, exclusive, write_atomically, write_run
from tfx_retail.screen import STARTING, Board, quiet

Steps = Callable[[RunFacts, Board], Any]

_EXIT = {"blessed": 0, "done": 0, "not blessed": 3, "failed": 1, "interrupted": 130}


def run(config: Config, config_path: Path, *, to_node: str | None, verbose: bool) -> int:
    """Runs the pipeline of a configuration and returns the exit code of the command contract.

    Raises:
      UserError: before anything ran: catalogue, data or TF_CONFIG cannot be used.
    """
    if config.train.strategy == "multi_worker":
        team.of_pipeline(os.environ, config.train.workers)  # what is wrong with it is told now, and not after the data nodes
    with _alone(config):
        starting.draw_sample(config)
        given = inputs.prepare(config)
        facts = starting.new_facts(config, given, datetime.now(timezone.utc))
        return _carry_out(config, config_path, facts, _steps(config, given, to_node), verbose=verbose)


def update_catalog(config: Config, config_path: Path, catalog_path: Path, *, verbose: bool) -> int:
    """Gives the served weights another catalogue, in a version of their own if that is blessed, and returns the exit code.

    Raises:
      UserError: before anything ran: the catalogue cannot be used, or names what the network was not taught.
    """
    with _alone(config):
        update = catalog_update.prepare(config, catalog_path)
        if update is None:
            click.echo("the served version has this catalogue already; nothing was done")
            return _EXIT["done"]
        facts = starting.new_facts(update.config, update.given, datetime.now(timezone.utc))
        facts.nodes = update.reused
        code = _carry_out(
            update.config, config_path, facts, lambda facts, board: _runner().run_update(update, facts, board), verbose=verbose
        )
    if code == _EXIT["blessed"] and catalog_path.resolve() != Path(config.catalog.path).resolve():
        click.echo(f"note      the next `run` reads {config.catalog.path} again: put this catalogue there, or change catalog.path")
    return code


def _alone(config: Config) -> AbstractContextManager[None]:
    place = inputs.workspace(config)
    return exclusive(place, lambda pid: click.echo(f"another run of this pipeline is under way (process {pid}); waiting for it to end"))


def _carry_out(config: Config, config_path: Path, facts: RunFacts, steps: Steps, *, verbose: bool) -> int:
    """Takes the steps with all that a run leaves around them: its folder, log, page and ending."""
    place = inputs.workspace(config)
    write_atomically(place.run(facts.run_id) / "config.yaml", config_path.read_bytes())
    write_atomically(place.run(facts.run_id) / "config.json", msgspec.json.format(msgspec.json.encode(config), indent=1))
    write_run(place, facts)
    with quiet(place.run(facts.run_id) / "run.log", verbose=verbose) as console:
        try:
            _run_loudly(config, facts, console, steps)
        finally:
            _write_page(config, facts, console)
        console.print(report.ending(config, facts), soft_wrap=True, markup=False)
    return _EXIT[facts.state]


def _steps(config: Config, given: inputs.RunInputs, to_node: str | None) -> Steps:
    return lambda facts, board: _runner().run_pipeline(config, given, facts, board, to_node=to_node)


def _runner() -> Any:
    with loading.without_collector():
        from tfx_retail import local_runner  # noqa: PLC0415  # loads TensorFlow, whose noise goes to the log by now

    return local_runner


def _run_loudly(config: Config, facts: RunFacts, console: Console, steps: Steps) -> None:
    console.print(f"{config.name}, run {facts.run_id}")
    with Board(console) as board:
        board.start(STARTING)
        begun = time.monotonic()
        _runner()
        from tfx_retail import launch  # noqa: PLC0415  # as above

        console.print(f"  TensorFlow and TFX loaded in {time.monotonic() - begun:.1f} s", style="dim")
        try:
            steps(facts, board)
        except (launch.NodeFailed, KeyboardInterrupt):  # the facts have it, and the ending tells it; the log gets the traceback
            traceback.print_exc()


def _write_page(config: Config, facts: RunFacts, console: Console) -> None:
    """Writes the run's page, of a failed run too. What goes wrong with the page is told, and must not hide what the run came to."""
    try:
        write_page(config, facts)
    except Exception as error:  # noqa: BLE001  # any fault of a page, known or not, is less than the run's own result
        traceback.print_exc()  # to the log
        console.print(f"the page could not be written: {error!r}", soft_wrap=True, markup=False)
