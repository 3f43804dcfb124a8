"""One worker process: does one job after another of the same package, loads what is heavy between them, and so stays warm.

It is run as a file, not as a module of the package: the package that it works with is the one that came with the job. The pool writes a job
a line to its standard input, and reads one when the runner has it and one when the job is over. A job that ends otherwise than by its
runner's word ends the process.
"""

import importlib
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.worker import sdk_worker_main
from apache_beam.utils.sentinel import Sentinel
from google.protobuf import text_format

_HEAVY = ("tensorflow", "tensorflow_data_validation", "tensorflow_model_analysis", "tensorflow_transform", "tfx.components")
CONNECTED = "connected"
IDLE = "idle"


def main() -> None:
    """Works until the pool closes this process's standard input."""
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    sys.path.pop(0)  # this file's folder: a part of a package is not to be found by its last name
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints must not look like an answer
    heavy = iter(_HEAVY)
    while True:
        job = _next(jobs, heavy)
        if job["package"] not in sys.path:
            sys.path.insert(0, job["package"])
        _work(job, lambda: print(CONNECTED, file=answers, flush=True))
        print(IDLE, file=answers, flush=True)  # the answer that the pool waits for


def _next(jobs: "queue.Queue[dict[str, Any]]", heavy: Iterator[str]) -> dict[str, Any]:
    """Returns the next job; what is heavy is loaded while there is none: one that needs none of it must not wait for it."""
    for name in heavy:
        if not jobs.empty():
            break
        importlib.import_module(name)
    return jobs.get()


def _listen(jobs: "queue.Queue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)  # the pool is gone; nothing here is worth an orderly end


def _work(job: dict[str, Any], connected: Callable[[], None]) -> None:
    """Serves one runner until it says that it is over, as Beam's own containers do it."""
    log, harness, _ = sdk_worker_main.create_harness(
        {
            "WORKER_ID": job["worker"],
            "PIPELINE_OPTIONS": job["options"],
            "CONTROL_API_SERVICE_DESCRIPTOR": _endpoint(job["control"]),
            "LOGGING_API_SERVICE_DESCRIPTOR": _endpoint(job["logging"]),
            "SEMI_PERSISTENT_DIRECTORY": job["package"],
        }
    )
    connected()
    try:
        harness.run()
    except grpc.RpcError:
        _close_idle(harness)
    finally:
        if log:
            logging.getLogger().removeHandler(log)
            log.close()


def _close_idle(harness: Any) -> None:
    """Closes a worker whose runner hung up, as Spark's executors do when their job is done, and as all of them do when they are killed.

    Raises:
      grpc.RpcError: which is being handled: work was under way, and this process must not go on with the rest of it.
    """
    processors = harness._bundle_processor_cache
    if processors.active_bundle_processors:
        raise  # noqa: PLE0704  # called where an error is handled
    harness._responses.put(Sentinel.sentinel)
    harness._data_channel_factory.close()
    harness._state_handler_factory.close()
    processors.shutdown()


def _endpoint(url: str) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


if __name__ == "__main__":
    main()
