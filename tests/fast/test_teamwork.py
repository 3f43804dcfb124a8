"""Workers that find each other, start together and start again. Their processes are a small script that speaks as those that train do."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import yaml

from tests.fast.shop import CONFIG
from tfx_retail import teamwork
from tfx_retail.config import Config
from tfx_retail.errors import RunError
from tfx_retail.team import Team
from tfx_retail.team_posts import Call, Heard, put
from tfx_retail.teamwork import Job, Patience

TEAM = Team(("127.0.0.1:1", "127.0.0.1:2"), 0)
LONG, SHORT = Patience(reasons=0.2), 0.2

# what a worker does once all are ready, by its number and the attempt: lines of the script below
DONE = 'tell(state="joined"); tell(state="done", epoch=7)'
KILLED = 'tell(state="joined"); os.kill(os.getpid(), 9)'
WAITS = 'tell(state="joined")'
SCRIPT = """
import json, os, sys
from pathlib import Path

def tell(**told):
    print(json.dumps(told), flush=True)

folder = Path(sys.argv[1]).parent
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
attempt = json.loads((folder / "call.json").read_text())["attempt"]
tell(state="ready")
if sys.stdin.readline():
    plans = json.loads((folder / "plans.json").read_text())
    exec(plans[index][min(attempt, len(plans[index])) - 1])
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers meet; their processes are the script."""
    (tmp_path / "process.py").write_text(SCRIPT)
    (tmp_path / "team").mkdir()
    monkeypatch.setattr(teamwork, "command", lambda: [sys.executable, "-S", str(tmp_path / "process.py")])
    monkeypatch.setattr(teamwork, "_LOOK_S", 0.01)
    return tmp_path / "team"


def lead(folder: Path, *plans: list[str], said: list[str] | None = None, local: bool = True, patience: Patience = LONG) -> int:
    """Lets two workers train, each attempt of each by its plan; the last plan counts for all later attempts."""
    (folder / "plans.json").write_bytes(msgspec.json.encode(plans))
    return teamwork.lead(TEAM, folder, job(folder), local=local, say=(said if said is not None else []).append, patience=patience)


def job(folder: Path) -> Job:
    config = msgspec.convert(yaml.safe_load(CONFIG), Config)
    return Job(
        config=config,
        train=(),
        validation=(),
        examples=(1,),
        weights=(1.0,),
        look_of_sku=(0,),
        family_of_look=(0,),
        transform="",
        checkpoints=str(folder),
        run_dir="",
        progress=None,
    )


@contextmanager
def follower(folder: Path, team: Team) -> Iterator[None]:
    """Another machine's supervisor."""
    until = threading.Event()
    thread = threading.Thread(target=teamwork.follow, args=(team, folder, until, lambda _: None))
    thread.start()
    try:
        yield
    finally:
        until.set()
        thread.join()


@pytest.mark.long
def test_a_training_ends_when_worker_0_has_kept_its_end(folder: Path) -> None:
    assert lead(folder, [DONE], [WAITS]) == 7


@pytest.mark.long
def test_when_a_worker_is_killed_all_start_again(folder: Path) -> None:
    said: list[str] = []
    assert lead(folder, [WAITS, DONE], [KILLED, DONE], said=said) == 7
    assert [line for line in said if "signal" in line] == ["worker 1 (127.0.0.1:2) was ended by signal 9; attempt 1 is over"]
    assert len([line for line in said if line.endswith("for attempt 2")]) == 2


@pytest.mark.long
def test_a_worker_that_dies_before_it_has_joined_starts_again_too(folder: Path) -> None:
    assert lead(folder, [WAITS, DONE], ["os.kill(os.getpid(), 9)", DONE]) == 7


@pytest.mark.long
def test_three_attempts_without_a_new_checkpoint_are_enough(folder: Path) -> None:
    with pytest.raises(RunError, match=r"train: worker 1 .* was ended by signal 9; 3 attempts were lost after epoch 0"):
        lead(folder, [WAITS], [KILLED])


@pytest.mark.long
def test_attempts_that_come_further_are_never_enough(folder: Path) -> None:
    further = [f'tell(state="joined", epoch={epoch}); os.kill(os.getpid(), 9)' for epoch in range(1, 5)]
    assert lead(folder, [WAITS] * 4 + [DONE], [*further, WAITS]) == 7


@pytest.mark.long
def test_what_would_fail_again_is_not_tried_again_and_told_by_who_knows_it(folder: Path) -> None:
    knows = 'tell(state="joined"); tell(state="failed", words="the loss of step 3 is nan", final=True)'
    suffers = 'tell(state="joined"); tell(state="failed", words="UnavailableError: Socket closed")'
    with pytest.raises(RunError) as failed:
        lead(folder, [suffers], [knows], patience=Patience())
    assert str(failed.value) == "the loss of step 3 is nan"


@pytest.mark.long
def test_a_worker_of_another_machine_takes_part(folder: Path) -> None:
    with follower(folder, TEAM.at(1)):
        assert lead(folder, [WAITS, DONE], [KILLED, DONE], local=False) == 7
        assert lead(folder, [DONE], [WAITS], local=False) == 7  # it waits for the next training


@pytest.mark.long
def test_a_worker_that_is_not_there_is_named_with_what_to_run(folder: Path) -> None:
    with pytest.raises(RunError, match=r"nothing was heard of .*worker 1 \(127.0.0.1:2\) within 0.2 s; `tfx-retail train-worker CONFIG`"):
        lead(folder, [DONE], [DONE], local=False, patience=LONG._replace(here=SHORT))


@pytest.mark.long
def test_a_worker_with_another_tf_config_is_told(folder: Path) -> None:
    with (
        follower(folder, Team(("127.0.0.1:1", "127.0.0.1:3"), 1)),
        pytest.raises(RunError, match=r"worker 1 \(127.0.0.1:3\) was given another TF_CONFIG: 127.0.0.1:1, 127.0.0.1:3"),
    ):
        lead(folder, [DONE], [DONE], local=False)


@pytest.mark.long
def test_workers_that_cannot_connect_are_told_with_the_addresses(folder: Path) -> None:
    with pytest.raises(RunError, match=r"worker 1 \(127.0.0.1:2\) could not connect .* within 0.2 s; .*127.0.0.1:1, 127.0.0.1:2"):
        lead(folder, [WAITS], ["pass"], patience=LONG._replace(joined=SHORT))


def test_a_call_that_a_dead_leader_left_is_not_heeded(tmp_path: Path) -> None:
    left = Call(training="a", attempt=1, addresses=TEAM.addresses)
    put(tmp_path / "call.json", left)
    heard = Heard(tmp_path / "call.json", silent_s=60)
    assert heard.call() is None
    put(tmp_path / "call.json", msgspec.structs.replace(left, beat=1))
    assert heard.call() == msgspec.structs.replace(left, beat=1)
    assert Heard(tmp_path / "call.json", silent_s=60).call() is None
