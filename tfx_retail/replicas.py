"""What the replicas of a training tell each other beside gradients: sums over processes, and the mean of what each keeps of its batches."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_REDUCE = tf.distribute.ReduceOp


class OutOfStep(Exception):
    """The processes that train together did not begin at the same step: one of them has seen an older checkpoint."""


class Replicas:
    """All replicas of a network in one or several processes. Each process calls the same methods in the same order: each waits for all."""

    def __init__(self, place: tf.distribute.Strategy, processes: int) -> None:
        self._place, self._processes = place, processes
        share = processes / place.num_replicas_in_sync  # of its process's vector that a replica brings

        def replica_total(vector: Any) -> Any:
            return tf.distribute.get_replica_context().all_reduce(_REDUCE.SUM, vector * share)

        @tf.function(reduce_retracing=True)
        @tf.autograph.experimental.do_not_convert
        def total(vector: Any) -> Any:
            return place.experimental_local_results(place.run(replica_total, args=(vector,)))[0]

        self._total = total
        self._even_out: Callable[[], Any] | None = None

    def total(self, values: list[float]) -> list[float]:
        """Returns what the values of all processes come to."""
        if self._processes == 1:
            return values
        return [float(value) for value in self._total(tf.constant(values, tf.float64)).numpy()]

    def check_in_step(self, step: int) -> None:
        """Raises OutOfStep where the processes are not all at this step."""
        if self.total([step])[0] != self._processes * step or self.total([step * step])[0] != self._processes * step * step:
            raise OutOfStep(f"this process has a checkpoint of step {step}, others have another; the storage shows an old one")

    def even_out(self, kept: list[tf.Variable]) -> None:
        """Gives all replicas the mean of what each has kept; the variables are the same ones in every call."""
        if self._place.num_replicas_in_sync == 1:
            return
        if self._even_out is None:
            self._even_out = self._evening(kept)
        self._even_out()

    def _evening(self, kept: list[tf.Variable]) -> Callable[[], Any]:
        place = self._place

        def replica_even_out() -> None:
            means = tf.distribute.get_replica_context().all_reduce(_REDUCE.MEAN, [tf.identity(variable) for variable in kept])
            for variable, mean in zip(kept, means, strict=True):
                variable.assign(mean)

        @tf.function
        @tf.autograph.experimental.do_not_convert
        def even_out() -> None:
            place.run(replica_even_out)

        return even_out
