"""A worker pool: the service that each machine of a cluster runs, and that runners ask for worker processes (Beam's EXTERNAL environment).

    python -m tfx_retail.worker.pool [--listen localhost:50000] [--folder FOLDER]

Beam's own pool starts a fresh process for each request, which then imports TensorFlow, fetches no package, checks nothing, and hangs
once it has printed more than a pipe holds. Here processes stay warm between jobs, work with the package that came with the job, and a
machine whose Python, packages or storage differ from the submitter's says so instead of failing in the middle.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import kill_process_gracefully
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

from tfx_retail.worker import arrival, facts
from tfx_retail.worker.arrival import Arrived

_LOG = logging.getLogger("pool")
_SCRIPT = Path(__file__).with_name("process.py")
IDLE = "idle"  # as process.py says it
_END_S = 10  # in which a process has to end its job once the runner has


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Gives each worker that a runner asks for a process of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._processes = [_Process(self._again)]

    def StartWorker(  # noqa: N802  # Beam's name
        self, request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Lets a process do the job; the answer's `error` tells why none can."""
        del context
        try:
            with self._lock:
                arrived = arrival.fetch(request, self._folder)
                found = facts.differences(arrived.submitter)
                if not found:
                    self._process_for(arrived.package).begin(request, arrived)
        except Exception as error:  # noqa: BLE001  # whatever it is, the runner has to be told: it would wait for ever
            _LOG.exception("worker %s", request.worker_id)
            found = [f"{type(error).__name__}: {error}"]
        return beam_fn_api_pb2.StartWorkerResponse(error=facts.refusal(found) if found else "")

    def StopWorker(  # noqa: N802  # Beam's name
        self, request: beam_fn_api_pb2.StopWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """Waits until the worker's process is free again, or kills it."""
        del context
        for process in self._processes:
            if process.worker == request.worker_id:
                process.free_or_dead(request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Ends all processes."""
        for process in self._processes:
            process.kill()

    def _again(self, request: beam_fn_api_pb2.StartWorkerRequest, arrived: Arrived) -> None:
        """Gives a job to another process: its first one died before the runner knew of it, and the runner would wait for it for ever."""
        with self._lock:
            self._process_for(arrived.package).begin(request, arrived)

    def _process_for(self, package: Path) -> "_Process":
        """Returns a free process that has worked with this package, or with none yet; those that have worked with another one are ended."""
        for process in self._processes:
            if process.is_free and process.package not in (None, package):
                process.kill()
        self._processes = [process for process in self._processes if process.is_alive]
        fitting = [process for process in self._processes if process.is_free]
        if not fitting:
            fitting.append(_Process(self._again))
            self._processes.append(fitting[0])
        return max(fitting, key=lambda process: process.package == package)


class _Process:
    """One process, as the pool sees it."""

    def __init__(self, lost: Callable[[beam_fn_api_pb2.StartWorkerRequest, Arrived], None]) -> None:
        self._lost = lost
        self._given: tuple[beam_fn_api_pb2.StartWorkerRequest, Arrived] | None = None  # that no runner has answered yet
        self._closed = False
        self.worker = ""  # that it is now; empty: it is free
        self.package: Path | None = None  # that it has loaded
        self._child = subprocess.Popen([sys.executable, str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    @property
    def is_free(self) -> bool:
        return self.is_alive and not self.worker

    def begin(self, request: beam_fn_api_pb2.StartWorkerRequest, arrived: Arrived) -> None:
        """Gives it a job."""
        assert self._child.stdin is not None
        self.worker, self.package, self._given = request.worker_id, arrived.package, (request, arrived)
        job = {"worker": request.worker_id, "package": str(arrived.package), "options": arrived.options}
        job |= {"control": request.control_endpoint.url, "logging": request.logging_endpoint.url}
        self._child.stdin.write(json.dumps(job) + "\n")
        self._child.stdin.flush()
        _LOG.info("worker %s: process %d", request.worker_id, self._child.pid)

    def free_or_dead(self, worker: str) -> None:
        """Returns when the process is no longer this worker; kills it if it does not end its job."""
        deadline = time.monotonic() + _END_S
        while self.worker == worker and self.is_alive and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.worker == worker:
            self.kill()

    def kill(self) -> None:
        self._closed = True
        if self.is_alive:
            kill_process_gracefully(self._child, timeout=2)

    def _listen(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        for line in self._child.stdout:  # the runner has it, or the job is over
            self._given = None
            if line.strip() == IDLE:
                _LOG.info("worker %s: done, process %d stays", self.worker, self._child.pid)
                self.worker = ""
        _LOG.info("worker %s: process %d ended with %d", self.worker or "none", self._child.pid, self._child.wait())
        self._child.stdout.close()
        with suppress(OSError):  # what it was told last may not have left
            self._child.stdin.close()
        if self._given and not self._closed:
            self._lost(*self._given)


def serve(address: str, folder: Path) -> tuple[grpc.Server, Pool]:
    """Starts a pool that listens on `host:port`.

    Raises:
      RuntimeError: the address is taken.
    """
    pool = Pool(folder)
    server = grpc.server(shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(address)
    server.start()
    return server, pool


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description="worker pool for tfx-retail's Beam jobs")
    parser.add_argument("--listen", default="localhost:50000", help="address that this machine's Spark or Flink worker asks")
    parser.add_argument("--folder", type=Path, default=None, help="for packages that arrive; default: a temporary one")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    with tempfile.TemporaryDirectory() as temporary:
        server, pool = serve(given.listen, given.folder or Path(temporary))
        _LOG.info("listening on %s", given.listen)
        try:
            server.wait_for_termination()
        finally:
            pool.close()


if __name__ == "__main__":
    main()
