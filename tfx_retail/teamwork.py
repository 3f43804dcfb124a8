"""How the workers of a training find each other, start together, and start again when one is lost: by files on the storage they share.

The leader, worker 0, writes `call.json`: which training, which attempt, whether all are to join. Each worker has a supervisor, a thread or
the command `train-worker`, that starts a process for each attempt and writes `worker-<index>.json`: how far that is. A process starts only
after that of the attempt before has ended, and all join when all have loaded TensorFlow, so no two attempts ever mix. Each file is written
anew every few seconds: who is silent is lost.
"""

import fcntl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tfx_retail.config import Config
from tfx_retail.errors import RunError
from tfx_retail.team import Team
from tfx_retail.team_posts import Answer, Call, Heard, Posted, put, read
from tfx_retail.worker_process import State, Told, WorkerProcess, command, surroundings

Say = Callable[[str], None]
_JOB, _CALL = "job.json", "call.json"
_ORDER: tuple[State, ...] = ("here", "ready", "joined", "done")
_LOOK_S = 0.25  # between two looks at the files
_TRIES = 3  # attempts in a row that may be lost without a new checkpoint


class Patience(NamedTuple):
    """Seconds in which things have to happen."""

    here: float = 45.0  # every supervisor has answered the call
    ready: float = 300.0  # every process has loaded TensorFlow
    joined: float = 45.0  # and is connected to the others
    silent: float = 45.0  # a supervisor, or the leader, has said something
    reasons: float = 3.0  # after one worker was lost, the others may tell why


class Job(Struct, frozen=True, kw_only=True):
    """What is to be trained, for all workers; paths are those of the storage that they share."""

    config: Config
    train: tuple[str, ...]  # patterns of files
    validation: tuple[str, ...]
    transform: str  # folder of Transform's output
    checkpoints: str
    run_dir: str
    progress: str | None
    examples: tuple[int, ...]  # of each SKU in label order, as `training_data.Counts` has them
    weights: tuple[float, ...]
    look_of_sku: tuple[int, ...]
    family_of_look: tuple[int, ...]


class Lost(Exception):
    """An attempt came to nothing, and another one may do."""


def lead(team: Team, folder: Path, job: Job, *, local: bool, say: Say, patience: Patience = Patience()) -> int:  # noqa: B008  # frozen
    """Lets all workers train to the end; the leader's checkpoint then holds the end. Returns the epoch that the last attempt went on from.

    Args:
      folder: where the workers meet, on the storage that they share.
      local: whether all of them are processes of this machine; else worker 0 alone is.

    Raises:
      RunError: a worker is not there, the training cannot go on, or was lost three times at the same place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lead.lock", say):
        put(folder / _JOB, job)
        for index in range(len(team.addresses)):
            _post(folder, index).unlink(missing_ok=True)
        with _supervised(team, folder, range(len(team.addresses)) if local else [0], say, patience):
            leader = _Leader(team, folder, say, patience)
            try:
                return leader.train()
            finally:
                leader.post(over=True)


def follow(team: Team, folder: Path, until: threading.Event, say: Say, patience: Patience = Patience(), *, alone: bool = True) -> None:  # noqa: B008
    """Takes part in every training that the leader calls for, with a process for each attempt, `until` it is told to stop."""
    folder.mkdir(parents=True, exist_ok=True)
    supervisor = _Supervisor(team, folder, say, alone=alone)
    heard = Heard(folder / _CALL, patience.silent)
    try:
        while not until.is_set():
            supervisor.heed(heard.call())
            until.wait(_LOOK_S)
    finally:
        supervisor.end()


def serve(team: Team, folder: Path, say: Say) -> None:
    """Follows until this process is stopped."""
    say(f"{team.name(team.number)}: waiting in {folder} for trainings of {team.name(0)}")
    follow(team, folder, threading.Event(), say)


@contextmanager
def _supervised(team: Team, folder: Path, indices: Sequence[int], say: Say, patience: Patience) -> Iterator[None]:
    """Supervises the workers of this machine, each on a thread of its own."""
    until, alone = threading.Event(), len(indices) == 1
    threads = [
        threading.Thread(target=follow, args=(team.at(i), folder, until, say, patience), kwargs={"alone": alone}, daemon=True)
        for i in indices
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        until.set()
        for thread in threads:
            thread.join()


class _Supervisor:
    """Keeps one worker's process in step with the leader's call."""

    def __init__(self, team: Team, folder: Path, say: Say, *, alone: bool) -> None:
        self._team, self._folder, self._say, self._alone = team, folder, say, alone
        self._posted = Posted(_post(folder, team.number))
        self._key, self._gone = "", False
        self._process: WorkerProcess | None = None

    def heed(self, call: Call | None) -> None:
        """Does what the leader says now; nothing is said: it is gone, and so is what it wanted."""
        if call is None or call.over:
            self.end()
            return
        if call.addresses != self._team.addresses:
            words = f"{self._team.name(self._team.number)} was given another TF_CONFIG: {', '.join(self._team.addresses)}"
            self._posted.put(Answer(key=call.key, told=Told("failed", words, final=True)))
            return
        if call.key != self._key:
            self.end()
            self._begin(call)
        if call.go and self._process and not self._gone:
            self._gone = True
            self._process.go()
        if self._process:
            self._posted.put(Answer(key=self._key, told=self._process.told))

    def end(self) -> None:
        """Ends the process, if there is one."""
        if self._process:
            self._process.end()
            self._process = None

    def _begin(self, call: Call) -> None:
        self._key, self._gone = call.key, False
        self._posted.put(Answer(key=call.key, told=Told()))
        self._process = WorkerProcess(self._team, self._folder / _JOB, command(), surroundings(alone=self._alone))
        self._say(f"{self._team.name(self._team.number)}: process {self._process.pid} for attempt {call.attempt}")


class _Leader:
    """Calls the workers together until they have trained to the end."""

    def __init__(self, team: Team, folder: Path, say: Say, patience: Patience) -> None:
        self._team, self._folder, self._say, self._patience = team, folder, say, patience
        self._posted = Posted(folder / _CALL)
        self._call = Call(training=uuid.uuid4().hex, attempt=0, addresses=team.addresses)
        self._workers: list[_Worker] = []

    def post(self, **changes: bool | int) -> None:
        """Says something to all workers."""
        self._call = msgspec.structs.replace(self._call, **changes)
        self._posted.put(self._call)

    def train(self) -> int:
        """Returns the epoch that the last attempt went on from; raises as `lead`."""
        furthest, lost = -1, 0
        while True:
            try:
                return self._attempt()
            except Lost as error:
                self._say(f"{error}; attempt {self._call.attempt} is over")
                epoch = max(worker.told.epoch for worker in self._workers)
                furthest, lost = max(furthest, epoch), 1 if epoch > furthest else lost + 1
                if lost == _TRIES:
                    raise RunError(f"train: {error}; {_TRIES} attempts were lost after epoch {furthest}, the log has more") from None

    def _attempt(self) -> int:
        self.post(attempt=self._call.attempt + 1, go=False)
        self._workers = [_Worker(_post(self._folder, i), self._team.name(i), self._call.key) for i in range(len(self._team.addresses))]
        self._until("here", self._patience.here)
        self._until("ready", self._patience.ready)
        self.post(go=True)
        self._until("joined", self._patience.joined)
        self._say(f"{len(self._workers)} workers train together")
        while self._workers[0].told.state != "done":
            self._look()
        return self._workers[0].told.epoch

    def _until(self, state: State, limit_s: float) -> None:
        """Waits until all workers are so far."""
        end = time.monotonic() + limit_s
        while missing := [worker for worker in self._workers if not worker.is_at(state)]:
            if time.monotonic() > end:
                raise self._missing(missing, state, limit_s)
            self._look()

    def _look(self) -> None:
        """Reads what workers say, after a moment."""
        time.sleep(_LOOK_S)
        self.post()
        for worker in self._workers:
            worker.look()
        if any(worker.told.state == "failed" for worker in self._workers):
            raise self._lost()
        silent = [worker.name for worker in self._workers if worker.answered and worker.silence_s > self._patience.silent]
        if silent:
            raise Lost(f"nothing was heard of {', '.join(silent)} for {self._patience.silent:g} s")

    def _lost(self) -> Exception:
        """Returns what to raise after a worker failed: where one fails by itself, the others fail for want of it, maybe earlier."""
        end = time.monotonic() + self._patience.reasons
        while time.monotonic() < end and not any(worker.told.final for worker in self._workers):
            time.sleep(_LOOK_S)
            for worker in self._workers:
                worker.look()
        failed = sorted((worker.told for worker in self._workers if worker.told.state == "failed"), key=lambda told: not told.final)
        if failed[0].final:
            return RunError(failed[0].words)
        return Lost(next((told.words for told in failed if "signal" in told.words), failed[0].words))

    def _missing(self, missing: list["_Worker"], state: State, limit_s: float) -> Exception:
        names = " and ".join(worker.name for worker in missing)
        if state == "here":
            return RunError(
                f"train.workers: nothing was heard of {names} within {limit_s:g} s; `tfx-retail train-worker CONFIG` is to run there, "
                f"with TF_CONFIG as here but for its index, and see {self._folder}"
            )
        if state == "ready":
            return RunError(
                f"train.workers: {names} did not load TensorFlow within {limit_s:g} s; the machine is too busy, or out of memory"
            )
        return RunError(
            f"train.workers: {names} could not connect to the others within {limit_s:g} s; can every machine reach the addresses of "
            f"TF_CONFIG ({', '.join(self._team.addresses)}), and are they free?"
        )


class _Worker:
    """One worker, as the leader sees it."""

    def __init__(self, post: Path, name: str, key: str) -> None:
        self._post, self.name, self._key = post, name, key
        self._changed, self._text = time.monotonic(), b""
        self.told, self.answered = Told(), False

    @property
    def silence_s(self) -> float:
        return time.monotonic() - self._changed

    def is_at(self, state: State) -> bool:
        return self.answered and _ORDER.index(self.told.state) >= _ORDER.index(state)

    def look(self) -> None:
        """Reads what it says."""
        text = read(self._post)
        if text == self._text:
            return
        self._text, self._changed = text, time.monotonic()
        answer = msgspec.json.decode(text, type=Answer)
        if answer.key == self._key:
            self.told, self.answered = answer.told, True


def _post(folder: Path, index: int) -> Path:
    return folder / f"worker-{index}.json"


@contextmanager
def _alone(path: Path, say: Say) -> Iterator[None]:
    """Holds a lock: the workers of a pipeline do one training at a time."""
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("the workers are busy with another training of this pipeline; waiting for its end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
