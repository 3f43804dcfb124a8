"""The operator that calls a command on the worker's host: results, skips, failures, and what happens when it is stopped."""

import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow", reason="this environment has no Airflow; tools/test_airflow.sh calls those that have")

from tfx_retail.airflow import api  # after it is clear that there is an Airflow
from tfx_retail.airflow.host import HostOperator, last_line


def command(folder: Path, script: str) -> str:
    path = folder / "tfx-retail"
    path.write_text(f"#!{sys.executable}\nimport os, sys, json, time, signal\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def operator(folder: Path, script: str, **options: Any) -> HostOperator:
    return HostOperator(task_id="Pusher", command=[command(folder, script), "run-node"], variables={"A": "1"}, **options)


class Context(dict):  # type: ignore[type-arg]
    """As much of a task's context as the operator asks for."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}
        super().__init__(ti=self)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def test_the_last_line_is_what_other_tasks_get(tmp_path: Path) -> None:
    made = operator(tmp_path, "print('noise'); print(json.dumps({'version': 3, 'a': os.environ['A']}))")
    assert made.execute(Context()) == {"version": 3, "a": "1"}


def test_exit_code_99_is_a_skip_with_the_reason_and_the_facts(tmp_path: Path) -> None:
    context = Context()
    made = operator(tmp_path, "print(json.dumps({'why': 'not blessed: look accuracy 0.5'})); sys.exit(99)")
    with pytest.raises(api.AirflowSkipException, match=r"skipped: not blessed: look accuracy 0\.5"):
        made.execute(context)
    assert context.pushed == {"return_value": {"why": "not blessed: look accuracy 0.5"}}


def test_a_failure_says_why(tmp_path: Path) -> None:
    with pytest.raises(api.AirflowException, match=r"no space left \(exit code 1\)") as caught:
        operator(tmp_path, "print(json.dumps({'error': 'no space left'})); sys.exit(1)").execute(Context())
    assert not isinstance(caught.value, api.AirflowFailException)


def test_wrong_usage_fails_without_another_try(tmp_path: Path) -> None:
    with pytest.raises(api.AirflowFailException, match=r"shop\.json: no such file"):
        operator(tmp_path, "print('error: shop.json: no such file'); sys.exit(2)").execute(Context())


def test_a_kill_from_outside_is_named(tmp_path: Path) -> None:
    with pytest.raises(api.AirflowException, match="killed by SIGKILL"):
        operator(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)").execute(Context())


def test_an_environment_that_is_not_there_says_what_to_install_and_set() -> None:
    made = HostOperator(task_id="Pusher", command=["/nowhere/tfx-retail", "run-node"], variables={})
    with pytest.raises(api.AirflowFailException, match=r"/nowhere/tfx-retail: cannot be started on .*: No such file.*TFX_RETAIL_COMMAND"):
        made.execute(Context())


def test_the_metadata_connection_is_a_secret_of_the_command_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_RETAIL", "postgresql://retail:s3cret@db:5432/mlmd")
    made = operator(tmp_path, "print(json.dumps({'url': os.environ['TFX_RETAIL_METADATA']}))", metadata_conn_id="RETAIL")
    assert made.execute(Context())["url"] in ("postgres://retail:s3cret@db:5432/mlmd", "postgresql://retail:s3cret@db:5432/mlmd")
    assert "s3cret" not in str(made.__dict__)


@pytest.mark.parametrize("deaf", [False, True], ids=["listens", "hangs"])
def test_a_task_that_is_stopped_takes_its_command_with_it(tmp_path: Path, deaf: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfx_retail.airflow.host._GRACE_S", 0.5 if deaf else 60.0)
    ready = tmp_path / "ready"
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if deaf else ""
    made = operator(tmp_path, f"{script}open({str(ready)!r}, 'w')\ntime.sleep(600)")

    def stop() -> None:
        while not ready.exists():
            threading.Event().wait(0.05)
        made.on_kill()

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    with pytest.raises(api.AirflowException, match="SIGKILL" if deaf else "SIGTERM"):
        made.execute(Context())
    stopper.join(60)


def test_a_line_that_is_no_json_is_what_went_wrong() -> None:
    assert last_line('{"version": 1}') == {"version": 1}
    assert last_line("error: a.yaml: no such file") == {"error": "a.yaml: no such file"}
    assert last_line("3") == {"error": "3"}
