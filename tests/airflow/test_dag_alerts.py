"""Alerts: what is told, once, and by which way."""

import email
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

airflow = pytest.importorskip("airflow", reason="this environment has no Airflow; tools/test_airflow.sh calls those that have")

from tests.airflow.pipelines import write  # noqa: E402  # after it is clear that there is an Airflow
from tfx_retail import airflow as retail  # noqa: E402
from tfx_retail.airflow import alerts  # noqa: E402

IS_3 = airflow.__version__.startswith("3.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path)


def task_context(task_id: str, facts: Any = None, **keys: Any) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="shop", task_id=task_id, run_id="manual__1", log_url="http://airflow/log", xcom_pull=lambda task_ids: facts)
    return {"ti": ti, "run_id": "manual__1", "dag": None, **keys}


def test_a_failure_is_posted_with_task_run_reason_and_where_to_look(posted: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = posted
    alerts.Webhook(url=url).notify(task_context("Trainer", exception=ValueError("no space left")))
    assert received == [{"text": "shop: Trainer failed\nno space left\nrun manual__1\nhttp://airflow/log"}]


def test_a_refused_model_is_told_once_with_the_rules_that_failed(posted: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = posted
    (callback,) = alerts.of_node("Pusher", [alerts.Webhook(url=url).notify])["on_skipped_callback"]
    callback(task_context("Pusher", {"why": "not blessed: look accuracy 0.5 < 0.9"}))
    assert [item["text"].splitlines()[:2] for item in received] == [
        ["shop: Pusher skipped: not blessed", "not blessed: look accuracy 0.5 < 0.9"]
    ]


@pytest.mark.parametrize(
    ("facts", "count"), [({"anomalies": 2}, 1), ({"anomalies": 0}, 0), (None, 0), ('{"anomalies": 1}', 1), ("noise", 0)]
)
def test_drifted_data_is_told_and_sound_data_is_not(posted: tuple[str, list[dict[str, Any]]], facts: Any, count: int) -> None:
    url, received = posted
    (callback,) = alerts.of_node("DataGate", [alerts.Webhook(url=url).notify])["on_success_callback"]
    callback(task_context("DataGate", facts))
    assert len(received) == count


def test_a_run_that_was_stopped_for_its_length_is_told_by_the_dag_and_other_failures_are_not(
    posted: tuple[str, list[dict[str, Any]]],
) -> None:
    url, received = posted
    (callback,) = alerts.of_dag(0, [alerts.Webhook(url=url).notify])["on_failure_callback"]
    callback({"dag_run": SimpleNamespace(dag_id="shop", run_id="manual__1"), "reason": "task_failure"})
    callback({"dag_run": SimpleNamespace(dag_id="shop", run_id="manual__1"), "reason": "timed_out"})
    assert [item["text"] for item in received] == ["shop: run was stopped\nit took longer than airflow.run_timeout_min\nrun manual__1"]


def test_a_deadline_is_airflows_own(file: Path) -> None:
    made = retail.dag(file, notify=[alerts.Webhook(url="http://127.0.0.1/")], deadline_min=30)
    if IS_3:
        (deadline,) = made.deadline
        assert deadline.interval == timedelta(minutes=30)
        assert deadline.callback.path == "tfx_retail.airflow.alerts.Webhook"
        assert deadline.callback.kwargs == {"conn_id": None, "url": "http://127.0.0.1/"}
    else:
        assert made.get_task("Report").sla == timedelta(minutes=30)
        assert made.sla_miss_callback


def test_a_late_run_is_told_from_either_context() -> None:
    simple = {"dag_run": {"dag_id": "shop", "dag_run_id": "scheduled__1"}, "deadline": {"id": "1"}}
    assert alerts.message(simple) == ("shop: run is late: it has not ended by its deadline", "run scheduled__1")
    missed = {"dag": SimpleNamespace(dag_id="shop"), "task_list": "Report"}
    assert alerts.message(missed)[0] == "shop: run is late: it has not ended by its deadline"


def test_a_webhook_takes_its_address_from_a_connections_password(
    posted: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, received = posted
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "password": url}))
    alerts.Webhook(conn_id="HOOK").notify(task_context("Trainer"))
    assert len(received) == 1
    with pytest.raises(ValueError, match="give exactly one of conn_id and url"):
        alerts.Webhook()
    with pytest.raises(ValueError, match="expected an http or https URL"):
        alerts.Webhook(url="file:///etc/passwd").notify(task_context("Trainer"))


def test_a_mail_goes_out_by_smtp(mailbox: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    port, received = mailbox
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": {"from_email": "a@b.example"}}
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(connection))
    alerts.Email(["ops@b.example", "shop@b.example"], conn_id="MAIL").notify(task_context("Trainer", exception="full disk"))
    (sent,) = received
    mail = email.message_from_string(sent)
    assert (mail["Subject"], mail["From"], mail["To"]) == ("shop: Trainer failed", "a@b.example", "ops@b.example, shop@b.example")
    assert str(mail.get_payload()).split() == ["full", "disk", "run", "manual__1", "http://airflow/log"]
