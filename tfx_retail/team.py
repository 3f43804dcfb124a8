"""The processes that train one network together: who they are, by TF_CONFIG as TensorFlow describes it, or all on this machine."""

import json
import re
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfx_retail.errors import UserError

VARIABLE = "TF_CONFIG"
_ADDRESS = re.compile(r"[^\s:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_EXAMPLE = '{"cluster": {"worker": ["host-a:12345", "host-b:12345"]}, "task": {"type": "worker", "index": 0}}'


class Team(NamedTuple):
    """The workers of a training, as one of them sees them. Worker 0 leads: it is the one that runs the pipeline, and keeps checkpoints."""

    addresses: tuple[str, ...]  # `host:port` of each
    number: int

    def at(self, number: int) -> "Team":
        """Returns the same team as another worker sees it."""
        return self._replace(number=number)

    def name(self, number: int) -> str:
        """Returns how messages call a worker."""
        return f"worker {number} ({self.addresses[number]})"

    @property
    def tf_config(self) -> str:
        """What TensorFlow reads in this worker's process."""
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": {"type": "worker", "index": self.number}})


def of_environment(environment: Mapping[str, str]) -> Team | None:
    """Returns the team that TF_CONFIG describes, or None where it is not set; a `chief` is worker 0.

    Raises:
      UserError: it is no JSON, names no workers, or contradicts itself.
    Source: https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        cluster, task = _parts(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(f"cannot be read ({type(error).__name__}: {error})") from None
    return _checked(cluster, *task)


def of_pipeline(environment: Mapping[str, str], workers: int) -> Team | None:
    """Returns the team that the machine which runs the pipeline leads; None: TF_CONFIG is not set, so all are on this machine.

    Raises:
      UserError: TF_CONFIG cannot be used, or does not fit the configuration.
    """
    team = of_environment(environment)
    if team is None:
        return None
    if len(team.addresses) != workers:
        raise UserError(f"train.workers is {workers}, and {VARIABLE} names {len(team.addresses)} workers; make them the same")
    if team.number:
        raise UserError(
            f"{VARIABLE}: this is {team.name(team.number)}, and worker 0 runs the pipeline; run `tfx-retail train-worker CONFIG` here"
        )
    return team


def of_follower(environment: Mapping[str, str], workers: int) -> Team:
    """Returns the team that the command `train-worker` belongs to.

    Raises:
      UserError: TF_CONFIG is missing, cannot be used, or does not fit the configuration.
    """
    team = of_environment(environment)
    if team is None:
        raise UserError(f"{VARIABLE} is not set: it tells which worker this is; expected {_EXAMPLE}, with this worker's index")
    if len(team.addresses) != workers:
        raise UserError(f"train.workers is {workers}, and {VARIABLE} names {len(team.addresses)} workers; make them the same")
    if not team.number:
        raise UserError(f"{VARIABLE}: this is worker 0, which runs the pipeline (`tfx-retail run`); the others run `train-worker`")
    return team


def on_this_machine(workers: int) -> Team:
    """Returns a team of processes of this machine, at ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    try:
        return Team(tuple(f"127.0.0.1:{server.getsockname()[1]}" for server in sockets), 0)
    finally:
        for server in sockets:
            server.close()


def _parts(tree: Any) -> tuple[list[Any], tuple[str, int]]:
    """Returns the addresses, a chief's first, and the task."""
    cluster, task = tree["cluster"], tree["task"]
    others = sorted(set(cluster) - {"chief", "worker"})
    if others:
        raise ValueError(f"cluster has {', '.join(others)}, allowed are worker and chief")
    chief, workers = list(cluster.get("chief", [])), list(cluster.get("worker", []))
    kind, index = task["type"], int(task["index"])
    if kind not in ("chief", "worker") or not 0 <= index < len(chief if kind == "chief" else workers):
        raise ValueError(f"task {kind} {index} is not in the cluster")
    return [*chief, *workers], (kind, index + len(chief) if kind == "worker" else index)


def _checked(addresses: list[Any], _kind: str, index: int) -> Team:
    wrong = [repr(address) for address in addresses if not isinstance(address, str) or not _ADDRESS.fullmatch(address)]
    if wrong:
        raise _wrong(f"{', '.join(wrong)}: not host:port")
    if len(set(addresses)) < len(addresses):
        raise _wrong(f"two workers have the same address ({', '.join(addresses)})")
    if len(addresses) < 2:
        raise _wrong(f"names one worker ({addresses[0]}), and a team has two or more")
    return Team(tuple(addresses), index)


def _wrong(what: str) -> UserError:
    return UserError(f"{VARIABLE}: {what}; expected {_EXAMPLE}, the same on all machines but for task.index")
