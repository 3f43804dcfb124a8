"""Executors that are loaded when they run, not when they might: a node that is taken from the cache never loads TensorFlow."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tfx.orchestration.portable.base_executor_operator import BaseExecutorOperator
from tfx.orchestration.portable.beam_executor_operator import BeamExecutorOperator
from tfx.orchestration.portable.python_executor_operator import PythonExecutorOperator
from tfx.proto.orchestration import executable_spec_pb2

from tfx_retail import lean, loading

Started = Callable[[], None]


def operators(started: Started) -> dict[Any, Any]:
    """Returns what TFX's launcher takes as `custom_executor_operators`.

    Args:
      started: called once an executor is loaded, right before it works.
    """
    return {
        executable_spec_pb2.PythonClassExecutableSpec: _late(PythonExecutorOperator, started),
        executable_spec_pb2.BeamExecutableSpec: _late(BeamExecutorOperator, started),
    }


def _late(kind: Any, started: Started) -> Any:
    class Late(BaseExecutorOperator):
        """Makes TFX's operator, which loads the executor's class, when that is to run."""

        SUPPORTED_EXECUTOR_SPEC_TYPE = kind.SUPPORTED_EXECUTOR_SPEC_TYPE
        SUPPORTED_PLATFORM_CONFIG_TYPE = kind.SUPPORTED_PLATFORM_CONFIG_TYPE

        def run_executor(self, execution_info: Any) -> Any:
            with loading.without_collector():
                lean.with_beam()
                operator = kind(self._executor_spec, self._platform_config)
            operator.with_execution_watcher(self._execution_watcher_address)
            started()
            with _where_the_work_is_done(self._executor_spec):
                return operator.run_executor(execution_info)

    return Late


def _where_the_work_is_done(spec: Any) -> AbstractContextManager[None]:
    arguments = [argument for argument in getattr(spec, "beam_pipeline_args", ()) if isinstance(argument, str)]
    if not arguments:
        return nullcontext()
    from tfx_retail import cluster  # noqa: PLC0415  # loads Beam, which a node that is taken from the cache never needs

    return cluster.at_work(arguments)
