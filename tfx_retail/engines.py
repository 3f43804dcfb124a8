"""Where Beam does the work of the data nodes: profiles, each a checked set of Beam's arguments.

ExampleGen, StatisticsGen, Transform and Evaluator run by Beam and get them. Nothing here imports Beam: a test parses each profile with the
one that is installed, and a run refuses arguments that it does not know before a job starts.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from tfx_retail.section import Section

JOB_SERVER = "localhost:8099"
WORKERS = "localhost:50000"
SUBMITTER = "submitter"
PORTABLE = ("spark", "flink")  # profiles that go through one of Beam's job servers
MARK = "tfx_retail"  # a job of ours bears `<MARK>_profile=<profile>`, `_root=<folder of the pipeline>` and so on among its experiments

# How long an engine keeps a worker that has nothing to do. Spark's executors end with their job; Flink's would hold on to a process that
# the next job could have.
_CACHE_MS = {"spark": 600_000, "flink": 0}
_ANSWER_S = 20  # in which a job server has to answer a request; Beam's own 60 s are too long to tell that it is not there
_ADDRESS = re.compile(r"[^\s:/]+:\d{1,5}")


class DataflowConfig(Section, frozen=True):
    """Where Google Cloud's Dataflow works, for `profile: dataflow`."""

    project: Annotated[str, Meta(min_length=1, description="project that pays")]
    region: Annotated[str, Meta(min_length=1, description="region of the workers, say `europe-west4`")]
    temp: Annotated[str, Meta(pattern="^gs://", description="folder for Dataflow's own files")]
    image: Annotated[str | None, Meta(description="container image of the workers, with this Python and these packages; none: Beam's")] = (
        None
    )
    service_account: Annotated[str | None, Meta(description="account of the workers; none: the project's default")] = None


class BeamConfig(Section, frozen=True):
    """Where Beam does the work of ExampleGen, StatisticsGen, Transform and Evaluator."""

    profile: Annotated[
        Literal["local", "spark", "flink", "dataflow"],
        Meta(description="`local`: in this process; the others: on that engine, with the same results"),
    ] = "local"
    job_server: Annotated[str | None, Meta(description="for spark and flink: `host:port` of Beam's job server; default localhost:8099")] = (
        None
    )
    workers: Annotated[
        str | None,
        Meta(
            description="for spark and flink: `host:port` at which each machine of the cluster finds its worker pool, default "
            "localhost:50000; `submitter`: the process that submits the job works itself, to try a cluster out"
        ),
    ] = None
    parallelism: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="for flink: how many slots a job takes; none: the cluster's default. Spark takes all its cores"),
    ] = None
    patience_s: Annotated[
        int, Meta(ge=5, description="seconds in which spark or flink has to end a job of one element, which is tried before the first node")
    ] = 45
    dataflow: Annotated[DataflowConfig | None, Meta(description="for dataflow, and needed there")] = None
    args: Annotated[tuple[str, ...], Meta(description="further arguments of Beam, `--name=value`; what the profile sets is refused")] = ()
    shards: Annotated[
        int,
        Meta(ge=0, description="files a split is written in, and the pieces that workers share; 0: one for each 2,000 photos or so"),
    ] = 0

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise ValueError(fault)


def arguments(beam: BeamConfig, package: Path | None, root: str) -> list[str]:
    """Returns Beam's arguments: none where the work is done in process.

    Args:
      package: what workers get of this package, for all profiles but `local`.
      root: folder of the pipeline, by which a job that was left behind is known again.
    """
    return [*_of_profile(beam), *_of_job(beam, package, root), *beam.args]


def _of_profile(beam: BeamConfig) -> list[str]:
    if beam.profile in PORTABLE:
        return [*_portable(beam), *([f"--parallelism={beam.parallelism}"] if beam.parallelism else [])]
    if beam.dataflow is not None:
        return _dataflow(beam.dataflow)
    return []


def _portable(beam: BeamConfig) -> list[str]:
    workers = beam.workers or WORKERS
    environment = (
        ["--environment_type=LOOPBACK"]
        if workers == SUBMITTER
        else ["--environment_type=EXTERNAL", f"--environment_config={workers}", f"--environment_cache_millis={_CACHE_MS[beam.profile]}"]
    )
    server = [f"--job_endpoint={beam.job_server or JOB_SERVER}", f"--job_server_timeout={_ANSWER_S}"]
    return ["--runner=PortableRunner", *server, *environment, "--sdk_worker_parallelism=1"]


def _dataflow(given: DataflowConfig) -> list[str]:
    options: dict[str, str | None] = {"project": given.project, "region": given.region, "temp_location": given.temp}
    options |= {"sdk_container_image": given.image, "service_account_email": given.service_account}
    return ["--runner=DataflowRunner", *(f"--{name}={value}" for name, value in options.items() if value)]


def _of_job(beam: BeamConfig, package: Path | None, root: str) -> list[str]:
    """The package travels as one file; without it TFX would build one of itself, for each node anew."""
    if beam.profile == "local":
        return []
    marks = {"profile": beam.profile, "root": root, "patience": beam.patience_s}
    experiments = ["disable_logging_submission_environment", *(f"{MARK}_{name}={value}" for name, value in marks.items())]
    return [f"--extra_package={package}", *(f"--experiments={experiment}" for experiment in experiments)]


def _faults(beam: BeamConfig) -> Iterator[str]:
    portable = beam.profile in PORTABLE
    for name in ("job_server", "workers"):
        if getattr(beam, name) is not None and not portable:
            yield f"{name}: goes with profile spark or flink, and profile is {beam.profile}"
    if beam.parallelism is not None and beam.profile != "flink":
        yield f"parallelism: goes with profile flink, and profile is {beam.profile}"
    if (beam.dataflow is not None) != (beam.profile == "dataflow"):
        yield f"dataflow: goes with profile dataflow, is needed there, and profile is {beam.profile}"
    for name, allowed in (("job_server", ()), ("workers", (SUBMITTER,))):
        value = getattr(beam, name)
        if value is not None and value not in allowed and not _ADDRESS.fullmatch(value):
            yield f"{name}: expected host:port{''.join(f' or {word}' for word in allowed)}"
    yield from _argument_faults(beam)


def _argument_faults(beam: BeamConfig) -> Iterator[str]:
    taken = {"runner", "extra_package", "extra_packages", "setup_file", "requirements_file", "job_endpoint", "environment_type"}
    taken |= {argument.removeprefix("--").partition("=")[0] for argument in _of_profile(beam)}
    for argument in beam.args:
        name = argument.removeprefix("--").partition("=")[0]
        if not argument.startswith("--"):
            yield f"args: {argument!r} is not of the form --name=value"
        elif name in taken:
            yield f"args: --{name} is for profile {beam.profile} to set; leave it out, or choose another profile"
