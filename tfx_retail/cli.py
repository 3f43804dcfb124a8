"""The command `tfx-retail`: words of the user to calls of the package, and errors to exit codes.

0 done, 1 the run failed, 2 wrong usage, config or data, 3 done but not blessed, 130 interrupted. Imports are late on purpose: `--help`
must not wait for TensorFlow.
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tfx_retail import loading

DONE, FAILED, WRONG, NOT_BLESSED, SKIPPED, INTERRUPTED = 0, 1, 2, 3, 99, 130
_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, say train.epochs=3. Repeatable.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tfx-retail")
def cli() -> None:
    """From labelled shelf photos and a product catalogue to a blessed, versioned, calibrated SKU classifier."""


def main(words: list[str] | None = None) -> None:
    """Runs the command line; expected errors become one message and an exit code."""
    try:
        code = cli.main(words, standalone_mode=False)
    except click.exceptions.Abort:
        code = INTERRUPTED
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = WRONG
    if words is None:  # this is the process that a person or a scheduler called
        loading.before_exit()
    sys.exit(code if isinstance(code, int) else DONE)


@cli.command()
@_CONFIG
@_SET
@click.option("--no-cache", is_flag=True, help="Run every node, whatever earlier runs left.")
@click.option("--to", "to_node", metavar="NODE", help="Stop after this node, say DataGate.")
@click.option("-v", "--verbose", is_flag=True, help="Show what TensorFlow, TFX and Beam say.")
def run(config: Path, overrides: tuple[str, ...], no_cache: bool, to_node: str | None, verbose: bool) -> int:
    """Train, evaluate, judge and push: the whole pipeline of CONFIG."""
    from tfx_retail import local_run

    settings = _load(config, (*overrides, *(["cache=false"] if no_cache else [])))
    return _guarded(lambda: local_run.run(settings, config, to_node=to_node, verbose=verbose))


@cli.command()
@_CONFIG
@_SET
def check(config: Path, overrides: tuple[str, ...]) -> int:
    """Look at config, catalogue and data, in seconds and without TensorFlow; tell every fault."""
    from tfx_retail.data_check import check as check_data

    result = check_data(_load(config, overrides))
    for name, count in result.counts.items():
        click.echo(f"{count:>8,}  {name}")
    for warning in result.warnings:
        click.echo(f"warning: {warning}")
    for fault in result.faults:
        click.echo(f"fault: {fault}", err=True)
    click.echo(f"{len(result.faults)} faults" if result.faults else "no fault found")
    return WRONG if result.faults else DONE


@cli.command()
@_CONFIG
@click.option("--accept", is_flag=True, help="Make the latest run's draft the reviewed schema.")
def schema(config: Path, accept: bool) -> int:
    """Show the schema that the latest run drafted or used, or accept it as the reviewed one."""
    from tfx_retail import schema_review

    settings = _load(config)
    return _guarded(lambda: _say(schema_review.accept(settings) if accept else schema_review.show(settings)))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photos", type=click.IntRange(min=1), default=160, show_default=True, help="Shelf photos to draw.")
@click.option("--skus", type=click.IntRange(min=12), default=14, show_default=True, help="Products in the catalogue.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Same seed, same bytes.")
def sample(folder: Path, photos: int, skus: int, seed: int) -> int:
    """Draw labelled shelf photos, a catalogue and a planogram into FOLDER."""
    from tfx_retail.sample import make

    return _guarded(lambda: _say(str(make(folder, photos=photos, skus=skus, seed=seed))))


@cli.command()
@_CONFIG
@click.option("--html", is_flag=True, help="Write an index page of all runs.")
def runs(config: Path, html: bool) -> int:
    """List runs and what each node did: ran, cached and why, skipped, failed."""
    from tfx_retail import report as words

    settings = _load(config)
    if html:
        from tfx_retail.page import overview

        return _guarded(lambda: _say(f"index     {overview.write_index(settings)}"))
    return _guarded(lambda: _say(words.runs_table(settings)))


@cli.command()
@_CONFIG
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--against", metavar="RUN", help="Compare with this run instead of the last blessed model.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def report(config: Path, run_id: str | None, against: str | None, show: bool) -> int:
    """Print the facts of a run, the latest one if none is named, and write its page."""
    from tfx_retail import report as words
    from tfx_retail.page.write import write_page
    from tfx_retail.runs import find_run

    settings = _load(config)

    def act() -> int:
        from tfx_retail.inputs import workspace

        facts = find_run(workspace(settings), run_id)
        page = write_page(settings, facts, against)
        if show:
            click.launch(str(page))
        return _say(words.run_report(settings, facts.run_id))

    return _guarded(act)


@cli.command()
@_CONFIG
@click.argument("run_ids", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def compare(config: Path, run_ids: tuple[str, ...], show: bool) -> int:
    """Write one page with several runs side by side."""
    if len(run_ids) < 2:
        raise click.UsageError("name at least two runs; `tfx-retail runs CONFIG` lists them")
    from tfx_retail.page import overview

    settings = _load(config)

    def act() -> int:
        page = overview.write_comparison(settings, run_ids)
        if show:
            click.launch(str(page))
        return _say(f"comparison  {page}")

    return _guarded(act)


@cli.command()
@_CONFIG
@click.argument("run_id", metavar="RUN")
@click.option("--because", required=True, metavar="TEXT", help="Why, kept in the manifest, the run and the lineage.")
def bless(config: Path, run_id: str, because: str) -> int:
    """Push the model of a refused RUN after all, in your name."""
    if not because.strip():
        raise click.UsageError("--because: say why; it is kept with the model")
    settings = _load(config)

    def act() -> int:
        from tfx_retail import override
        from tfx_retail.page.write import write_again

        _say(override.bless(settings, run_id, because.strip()))
        return _say(write_again(settings, run_id))

    return _guarded(act)


@cli.command(name="versions")
@_CONFIG
def list_versions(config: Path) -> int:
    """List the pushed versions, newest first."""
    from tfx_retail import report as words

    settings = _load(config)
    return _guarded(lambda: _say(words.versions_table(settings)))


@cli.command(name="update-catalog")
@_CONFIG
@click.argument("catalog", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_SET
@click.option("-v", "--verbose", is_flag=True, help="Show what TensorFlow, TFX and Beam say.")
def update_catalog(config: Path, catalog: Path, overrides: tuple[str, ...], verbose: bool) -> int:
    """Serve the same weights with another CATALOG: new sizes of products that were trained, other sizes and names, products that leave.

    The new version is calibrated, checked and judged as one that was trained, on the crops of the run that made the served one.
    """
    from tfx_retail import local_run

    settings = _load(config, overrides)
    return _guarded(lambda: local_run.update_catalog(settings, config, catalog, verbose=verbose))


@cli.command()
@_CONFIG
@click.argument("version", type=int)
@click.option("--because", default="", help="Why, kept in the manifest.")
def rollback(config: Path, version: int, because: str) -> int:
    """Serve an older VERSION again, as the next number: TensorFlow Serving takes the highest."""
    from tfx_retail import inputs, versions

    settings = _load(config)

    def act() -> int:
        new = versions.rollback(inputs.model_dir(settings), version, because)
        return _say(f"version {new} serves what version {version} held: {inputs.model_dir(settings) / str(new)}")

    return _guarded(act)


@cli.command()
@click.argument("model_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--boxes", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Pascal VOC XML with the boxes of one image.")
@click.option("--height-mm", type=float, help="Measured height of the product (one image only).")
@click.option("--width-mm", type=float, help="Measured width of the product (one image only).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def predict(
    model_dir: Path, images: tuple[Path, ...], boxes: Path | None, height_mm: float | None, width_mm: float | None, as_json: bool
) -> int:
    """Name the product on each IMAGE with the pushed version in MODEL_DIR."""
    if len(images) > 1 and (boxes or height_mm is not None or width_mm is not None):
        raise click.UsageError("--boxes, --height-mm and --width-mm go with one image only")
    from tfx_retail.screen import quiet_errors

    def act() -> int:
        with loading.without_collector():
            from tfx_retail import prediction

        return prediction.main(model_dir, images, boxes, height_mm, width_mm, as_json=as_json)

    with quiet_errors():
        return _guarded(act)


@cli.command()
@_CONFIG
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N", help="Runs to keep, the newest ones.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
def gc(config: Path, keep: int, dry_run: bool) -> int:
    """Remove old runs, their outputs and versions; never the served version or what it stands on."""
    settings = _load(config)

    def act() -> int:
        from tfx_retail import inputs, retention

        if not os.environ.get("TFX_RETAIL_METADATA"):
            return _say(retention.collect(settings, keep=keep, dry_run=dry_run))
        from tfx_retail import lineage, store

        known = store.connect(lineage.connection(inputs.workspace(settings)))
        return _say(retention.collect(settings, keep=keep, dry_run=dry_run, forget=lambda folders: lineage.mark_deleted(known, folders)))

    return _guarded(act)


@cli.command(name="compile")
@_CONFIG
@_SET
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
def compile_config(config: Path, overrides: tuple[str, ...], output: Path) -> int:
    """Compile CONFIG into one JSON file for a scheduler's DAG; it needs no data."""
    settings = _load(config, overrides)
    from tfx_retail.screen import quiet_errors

    def act() -> int:
        with loading.without_collector():
            from tfx_retail import compiled, compiling
        from tfx_retail.runs import write_atomically

        result = compiling.compile_config(settings)
        write_atomically(output, compiled.encode(result))
        return _say(f"{output}: {result.name}, {len(result.nodes)} nodes, compiled by tfx-retail {result.package}")

    with quiet_errors():
        return _guarded(act)


@cli.command(name="run-node")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.argument("node")
@click.option("--run-id", required=True, envvar="TFX_RETAIL_RUN_ID", help="The scheduler's id of the run.")
@click.option("--params", default="", envvar="TFX_RETAIL_PARAMS", help="For the node `configure`: the run's parameters, as a JSON object.")
@click.option(
    "--generation",
    type=int,
    envvar="TFX_RETAIL_GENERATION",
    help="A number that changes when the node is cleared; without it, a node that ended and said so runs anew.",
)
@click.option("--facts", type=click.Path(path_type=Path), envvar="TFX_RETAIL_FACTS", help="A file to write the last line to as well.")
@click.option("-v", "--verbose", is_flag=True, help="Show what TensorFlow, TFX and Beam say.")
def run_node(pipeline: Path, node: str, run_id: str, params: str, generation: int | None, facts: Path | None, verbose: bool) -> int:
    """Run one NODE of the compiled PIPELINE: what a scheduler's task calls; the first is `configure`, the last `Report`.

    Exit code 0: done, cached, or verdict written either way; 99: skipped; 1: failed; 2: wrong usage. The last line is a JSON object.
    """

    def act() -> int:
        from tfx_retail import tasks

        return tasks.run_task(pipeline, node, run_id, parameters=params, generation=generation, facts_file=facts, verbose=verbose)

    return _guarded(act)


@cli.command(name="train-worker")
@_CONFIG
@_SET
def train_worker(config: Path, overrides: tuple[str, ...]) -> int:
    """Take part in the trainings of CONFIG, as the worker that TF_CONFIG says, until stopped: for `train.strategy: multi_worker`.

    Runs on each machine but the one that runs the pipeline, which is worker 0; all see `root` and the data under the same paths.
    """
    settings = _load(config, overrides)

    def act() -> int:
        from tfx_retail import team, teamwork
        from tfx_retail.inputs import workspace

        teamwork.serve(team.of_follower(os.environ, settings.train.workers), workspace(settings).team, say=click.echo)
        return DONE

    return _guarded(act)


@cli.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--settle", type=click.IntRange(min=0), default=120, show_default=True, help="Seconds that the newest file has to be old.")
def landed(pipeline: Path, settle: int) -> int:
    """Tell whether the compiled PIPELINE has new labelled photos since its latest run: exit code 0 if so, 99 if not."""

    def act() -> int:
        import json

        from tfx_retail import landing

        found, facts = landing.landed(pipeline, settle_s=settle)
        click.echo(json.dumps(facts, ensure_ascii=False))
        return DONE if found else SKIPPED

    return _guarded(act)


def _load(path: Path, overrides: tuple[str, ...] = ()) -> Any:
    from tfx_retail.config_file import load
    from tfx_retail.errors import UserError

    try:
        return load(path, tuple(overrides))
    except UserError as error:
        raise click.ClickException(str(error)) from None


def _say(text: str) -> int:
    click.echo(text)
    return DONE


def _guarded(act: Callable[[], int]) -> int:
    """Turns the errors that a user can act on into a message; anything else is a fault of ours and keeps its traceback."""
    from tfx_retail.errors import EXTRA_HINT, UserError

    try:
        return act()
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in EXTRA_HINT:
            click.echo(f"error: this command needs {error.name}: {EXTRA_HINT[str(error.name).partition('.')[0]]}", err=True)
            return WRONG
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        click.echo(f"error: {_STORAGE[error.errno]} ({error.filename or 'the metadata or a log'})", err=True)
        return FAILED


_FULL = "no space left on the disk: free some and run again"
_AWAY = "the storage does not answer: look at its mount and its server, and run again"
_STORAGE = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}
_STORAGE |= dict.fromkeys((errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN), _AWAY)
