"""The process of one worker of a training: `python -m tfx_retail.member JOB`, with TF_CONFIG in its environment, started by its supervisor.

Apart from the process that runs the pipeline: TensorFlow joins a cluster only at its start, and hangs or dies when a peer does.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_retail import fitting, team, training
from tfx_retail.errors import UserError
from tfx_retail.fitting import Fitted
from tfx_retail.replicas import OutOfStep
from tfx_retail.teamwork import Job
from tfx_retail.training_data import Counts, Part, Sources
from tfx_retail.worker_process import GO, Told

# what TensorFlow raises here when another worker is lost; anything else would come again
_OF_OTHERS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DataLossError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)


class Channel:
    """The pipes to the supervisor; what anybody prints goes to standard error instead."""

    def __init__(self) -> None:
        self._lines = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._go, self._epoch = threading.Event(), 0
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, told: Told) -> None:
        """Says how far this process is."""
        self._epoch = told.epoch
        self._lines.write(msgspec.json.encode(told).decode() + "\n")

    def fail(self, error: Exception) -> None:
        """Says why this process cannot go on, and whether another attempt could."""
        final = not isinstance(error, (*_OF_OTHERS, OutOfStep))
        self.tell(Told("failed", _words(error), final=final, epoch=self._epoch))

    def await_go(self) -> None:
        """Returns when all others are ready too."""
        self._go.wait()

    def _listen(self) -> None:
        for line in sys.stdin:
            if line.strip() == GO:
                self._go.set()
        os._exit(0)  # the supervisor is gone or wants no more; a collective operation would go on waiting for the others


def main() -> None:
    """Takes part in the training, and stays until it is told to go: others may still be reading what it has sent last."""
    channel = Channel()
    channel.tell(Told("ready"))
    channel.await_go()
    try:
        fitted = take_part(Path(sys.argv[1]), lambda epoch: channel.tell(Told("joined", epoch=epoch)))
        channel.tell(Told("done", epoch=fitted.resumed_from))
    except Exception as error:  # noqa: BLE001  # whatever it is, the leader has to know
        traceback.print_exc()
        channel.fail(error)
    threading.Event().wait()


def take_part(path: Path, joined: Callable[[int], None]) -> Fitted:
    """Trains, with the others, what a file describes; tells when it is connected, and with the checkpoint's epoch when it has begun."""
    job = msgspec.json.decode(path.read_bytes(), type=Job)
    place = tf.distribute.MultiWorkerMirroredStrategy()
    whole = team.of_environment(os.environ)
    assert whole, "the supervisor sets TF_CONFIG"
    joined(0)
    counted = Counts(np.array(job.examples), np.array(job.weights, np.float32), np.array(job.look_of_sku), np.array(job.family_of_look))
    part = Part(whole.number, len(whole.addresses))
    return _fit(job, place, counted, part, joined)


@tf.autograph.experimental.do_not_convert  # as in the Trainer
def _fit(job: Job, place: tf.distribute.Strategy, counted: Counts, part: Part, began: Callable[[int], None]) -> Fitted:
    sources, checkpoints = Sources(job.train, job.validation, tft.TFTransformOutput(job.transform)), Path(job.checkpoints)
    with _reporter(job, part) as report:
        scratch_of = checkpoints / f"worker-{part.number}"
        return training.fitted_on(
            job.config, counted, sources, checkpoints, report, part=part, scratch_of=scratch_of, place=place, began=began
        )


def _reporter(job: Job, part: Part) -> AbstractContextManager[fitting.Report]:
    """Worker 0 tells how the training goes."""
    return training.reporter(job.progress, Path(job.run_dir)) if part.number == 0 else nullcontext(_say_nothing)


def _say_nothing(_facts: dict[str, float]) -> None:
    pass


def _words(error: Exception) -> str:
    if isinstance(error, (UserError, ValueError)):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


if __name__ == "__main__":
    main()
