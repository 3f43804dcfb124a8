"""Asks a cluster, before a node's job starts, whether it can do it; and cancels what such a job leaves behind.

Beam itself would wait for ever for workers that do not come, and fail far from the cause where they differ from the submitter. So each
process that submits lets the cluster do a job of one element first: by it every worker that takes part compares Python, packages and
storage with the submitter's (`worker.facts`). What is wrong is one line, after a minute at most.
"""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc
from google.protobuf import json_format

from tfx_retail import engines
from tfx_retail.errors import RunError
from tfx_retail.worker.facts import REFUSES

ANSWER_S = 8  # in which a job server has to take a connection
_AT_WORK = (job_api.JobState.STARTING, job_api.JobState.RUNNING)


@contextmanager
def at_work(arguments: Sequence[str]) -> Iterator[None]:
    """Lets a node run whose Beam jobs go where the arguments say; a job that is left, by an interrupt say, is cancelled.

    Raises:
      RunError: the cluster cannot do it, before anything began.
    """
    marks = _marks(arguments)
    if not marks:
        yield
        return
    check(tuple(arguments))
    try:
        yield
    except BaseException:
        if marks["profile"] in engines.PORTABLE:
            _cancel_jobs(_job_server(arguments), marks["root"])
        raise


@cache
def check(arguments: tuple[str, ...]) -> None:
    """Returns if the cluster did a job of one element; a process asks once.

    Raises:
      RunError: what is wrong, and what to do.
    """
    marks = _marks(arguments)
    if marks["profile"] not in engines.PORTABLE:
        _check_arguments(arguments, [])
        _check_credentials()
        raise RunError(
            f"beam.profile dataflow: Google's workers would not see {marks['root']}, and this version keeps `root` and `data.path` in "
            "folders alone; take spark or flink"
        )
    address = _job_server(arguments)
    described = _described(address)
    _check_engine(address, described, marks["profile"])
    _check_arguments(arguments, [option.name for option in described])
    _cancel_jobs(address, marks["root"])
    _try_out(arguments, address, int(marks["patience"]))


def _marks(arguments: Sequence[str]) -> dict[str, str]:
    experiments = PipelineOptions(list(arguments)).view_as(DebugOptions).experiments or []
    found = (re.fullmatch(rf"{engines.MARK}_(profile|root|patience)=(.*)", experiment) for experiment in experiments)
    return {match[1]: match[2] for match in found if match}


def _job_server(arguments: Sequence[str]) -> str:
    return str(PipelineOptions(list(arguments)).view_as(PortableOptions).job_endpoint)


def _described(address: str) -> Sequence[Any]:
    """Returns the options that the job server knows."""
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=ANSWER_S)
            asked = job_api.DescribePipelineOptionsRequest()
            return beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(asked, timeout=ANSWER_S).options
        except grpc.FutureTimeoutError:
            raise RunError(
                f"beam.job_server: nothing answers at {address}; start it (deploy/spark.sh up, deploy/flink.sh up), or correct the address"
            ) from None
        except grpc.RpcError as error:
            raise RunError(f"beam.job_server: what answers at {address} is no job server of Beam ({error.code().name})") from None


def _check_engine(address: str, described: Sequence[Any], profile: str) -> None:
    engine = next((name for name in engines.PORTABLE if any(f".runners.{name}." in option.group for option in described)), None)
    if engine != profile:
        raise RunError(
            f"beam.job_server: {address} is one of {engine or 'another engine'}, and beam.profile is {profile}; correct one of them"
        )


def unknown_arguments(arguments: Sequence[str], known: Sequence[str] = ()) -> list[str]:
    """Returns the names that the installed Beam does not know, and that are not among `known`; Beam drops them with a line in its log."""
    parser = pipeline_options._BeamArgumentParser(allow_abbrev=False)  # Beam has no public way to ask
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)  # as above
    _, unknown = parser.parse_known_args(list(arguments))
    names = [argument.removeprefix("--").partition("=")[0] for argument in unknown if argument.startswith("--")]
    return [name for name in names if name not in known]


def _check_arguments(arguments: tuple[str, ...], known: Sequence[str]) -> None:
    wrong = unknown_arguments(arguments, known)
    if wrong:
        raise RunError(f"beam.args: Beam {beam.__version__} and the engine know no --{', --'.join(wrong)}; leave it out or correct it")


def _check_credentials() -> None:
    """Raises: RunError: a machine without them would be asked for a minute by Google's libraries, and then fail in their words."""
    import google.auth  # noqa: PLC0415  # only where Dataflow is asked for

    try:
        google.auth.default()
    except google.auth.exceptions.DefaultCredentialsError:
        raise RunError("beam.profile dataflow: no credentials of Google Cloud here; run `gcloud auth application-default login`") from None


def _try_out(arguments: tuple[str, ...], address: str, patience_s: int) -> None:
    begun = time.monotonic()
    pipeline = beam.Pipeline(argv=list(arguments))
    _ = pipeline | "One" >> beam.Create([0]) | "Nothing" >> beam.Map(_nothing)
    result = pipeline.run()
    try:
        state = result.wait_until_finish(duration=patience_s * 1000)
    except RuntimeError as error:
        raise RunError(_explained(str(error), arguments)) from error
    if state != beam.runners.runner.PipelineState.DONE:
        result.cancel()
        raise RunError(
            f"beam.job_server: {address} did not end a job of one element within {patience_s} s (beam.patience_s); its cluster has no free "
            "worker, or does not answer: look at deploy/spark.sh status, deploy/flink.sh status, and the job server's log"
        )
    logging.info("the cluster did a job of one element in %.1f s", time.monotonic() - begun)


def _nothing(element: int) -> int:
    return element


def _explained(text: str, arguments: tuple[str, ...]) -> str:
    """Returns one line for the failure of a job that does nothing."""
    refused = re.search(rf"{REFUSES}[^\n]*", text)
    if refused:
        return refused[0]
    pool = PipelineOptions(list(arguments)).view_as(PortableOptions).environment_config
    if pool and re.search("UNAVAILABLE|Connection refused", text):  # Spark's words, and Flink's
        return (
            f"beam.workers: no worker pool answers at {pool}, as a machine of the cluster sees it; start it there: "
            "python -m tfx_retail.worker.pool"
        )
    return f"the cluster fails at a job of one element: {text.splitlines()[0]}"


def _cancel_jobs(address: str, root: str) -> None:
    """Cancels the jobs of this pipeline: runs of one pipeline exclude each other, so what is still at work was left by one that is gone.

    A job server of Spark does one job at a time, and would refuse the next.
    """
    with grpc.insecure_channel(address) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            for job in service.GetJobs(job_api.GetJobsRequest(), timeout=ANSWER_S).job_info:
                if job.state in _AT_WORK and f"{engines.MARK}_root={root}" in _experiments(job.pipeline_options):
                    logging.warning("cancelling job %s, which an earlier run left", job.job_id)
                    service.Cancel(job_api.CancelJobRequest(job_id=job.job_id), timeout=ANSWER_S)
        except grpc.RpcError as error:
            logging.warning("jobs at %s could not be cancelled: %s", address, error)


def _experiments(options: Any) -> list[str]:
    """Returns the experiments among a job's options, which are a protobuf Struct."""
    found = json_format.MessageToDict(options).get("beam:option:experiments:v1")
    return [str(experiment) for experiment in found or []]
