"""The DAG of a compiled pipeline, in an environment that holds Airflow and this package: `make test-airflow` runs it in 2.11 and in 3."""

import json
import smtplib
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

airflow = pytest.importorskip("airflow", reason="this environment has no Airflow; tools/test_airflow.sh calls those that have")

from tfx_retail import airflow as retail  # noqa: E402
from tfx_retail import compiled  # noqa: E402  # after it is clear that there is an Airflow
from tfx_retail.airflow import alerts, api  # noqa: E402
from tfx_retail.airflow.host import HostOperator, last_line  # noqa: E402
from tfx_retail.compiled import CompiledError, Node  # noqa: E402
from tfx_retail.config import AirflowConfig, CatalogConfig, Config, DataConfig, Rule, ServingConfig, VerdictConfig  # noqa: E402

IS_3 = airflow.__version__.startswith("3.")
NODES = (
    Node(name="ExampleGen", upstream=(), tensorflow=True, heavy=True),
    Node(name="Labels", upstream=(), tensorflow=False, heavy=False),
    Node(name="DataGate", upstream=("ExampleGen",), tensorflow=True, heavy=False),
    Node(name="Trainer", upstream=("DataGate", "ExampleGen", "Labels"), tensorflow=True, heavy=True),
    Node(name="Pusher", upstream=("Trainer",), tensorflow=False, heavy=False),
)


def write(folder: Path, name: str = "shop", nodes: tuple[Node, ...] = NODES, **settings: Any) -> Path:
    config = Config(
        name=name,
        root=str(folder / "runs"),
        catalog=CatalogConfig(path="/srv/catalog.csv"),
        data=DataConfig(path="/srv/photos", format="voc"),
        serving=ServingConfig(dir="/srv/models"),
        verdict=VerdictConfig(rules=(Rule(metric="sku_accuracy", at_least=0.8),)),
        airflow=AirflowConfig(**settings),
    )
    path = folder / f"{name}.json"
    path.write_bytes(compiled.encode(compiled.sealed(config, nodes)))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path)


# ---- shape ----


def test_tasks_follow_the_pipeline_from_configure_to_report(file: Path) -> None:
    upstream = {task.task_id: sorted(task.upstream_task_ids) for task in retail.dag(file).tasks}
    assert upstream == {
        "configure": [],
        "ExampleGen": ["configure"],
        "Labels": ["configure"],
        "DataGate": ["ExampleGen"],
        "Trainer": ["DataGate", "Labels"],
        "Pusher": ["Trainer"],
        "Report": ["Pusher"],
        "done": ["Pusher"],
    }


def test_a_pipeline_with_another_node_needs_nothing_but_to_be_compiled_again(tmp_path: Path) -> None:
    calibrator = Node(name="Calibrator", upstream=("ExampleGen", "Trainer"), tensorflow=True, heavy=False)
    pusher = Node(name="Pusher", upstream=("Calibrator", "Trainer"), tensorflow=False, heavy=False)
    made = retail.dag(write(tmp_path, nodes=(*NODES[:-1], calibrator, pusher)))
    assert made.get_task("Calibrator").upstream_task_ids == {"Trainer"}
    assert made.get_task("Pusher").upstream_task_ids == {"Calibrator"}
    assert made.get_task("Report").upstream_task_ids == {"Pusher"}


def test_every_node_still_waits_for_all_that_the_pipeline_says(file: Path) -> None:
    made = retail.dag(file)
    for node in NODES:
        assert set(node.upstream) <= {task.task_id for task in made.get_task(node.name).get_flat_relatives(upstream=True)}


def test_report_runs_whatever_happens_and_the_run_fails_with_its_nodes(file: Path) -> None:
    made = retail.dag(file)
    assert made.get_task("Report").trigger_rule == "all_done"
    assert made.get_task("done").trigger_rule == "none_failed"
    assert {task.task_id for task in made.leaves} == {"Report", "done"}


def test_settings_of_the_configuration_become_airflows(tmp_path: Path) -> None:
    made = retail.dag(write(tmp_path, retries=4, retry_delay_s=7, timeout_min=3, heavy_timeout_min=5, priority=9, max_active_runs=2))
    trainer, pusher = made.get_task("Trainer"), made.get_task("Pusher")
    assert (trainer.retries, trainer.retry_delay, trainer.priority_weight) == (4, timedelta(seconds=7), 9)
    assert (trainer.pool, pusher.pool) == ("tfx_heavy", "default_pool")
    assert (trainer.execution_timeout, pusher.execution_timeout) == (timedelta(minutes=5), timedelta(minutes=3))
    assert (made.max_active_runs, made.catchup, made.dag_id) == (2, False, "shop")


def test_a_dag_file_may_set_what_was_compiled_otherwise(file: Path) -> None:
    made = retail.dag(file, retries=0, heavy_pool=None, run_timeout_min=90)
    assert made.get_task("Trainer").retries == 0
    assert made.get_task("Trainer").pool == "default_pool"
    assert made.dagrun_timeout == timedelta(minutes=90)


def test_a_wrong_setting_in_a_dag_file_says_what_is_allowed(file: Path) -> None:
    with pytest.raises(ValueError, match=r"settings of the DAG: .*unknown field `retry`.*; allowed: schedule, start"):
        retail.dag(file, retry=3)


def test_the_form_has_types_descriptions_and_what_an_empty_field_means(file: Path) -> None:
    form = retail.dag(file).params
    shown = {name: form.get_param(name).schema["type"] for name in form}
    assert shown == {
        "data_path": ["string", "null"],
        "epochs": ["integer", "null"],
        "force": "boolean",
        "no_cache": "boolean",
        "settings": ["array", "null"],
    }
    assert form.get_param("settings").schema["items"] == {"type": "string"}  # else the form wants JSON
    assert form.get_param("epochs").description == "Passes over the train split, at most: 1 or more. Empty: 30"
    assert form.get_param("data_path").description.endswith("Empty: /srv/photos")
    form.validate()


def test_what_a_user_types_reaches_the_command_as_environment_and_never_as_words(file: Path) -> None:
    made = retail.dag(file)
    configure, trainer = made.get_task("configure"), made.get_task("Trainer")
    assert configure.variables["TFX_RETAIL_PARAMS"] == "{{ params | tojson }}"
    assert "TFX_RETAIL_PARAMS" not in trainer.variables
    assert trainer.command == ["tfx-retail", "run-node", str(file), "Trainer"]
    assert trainer.variables["TFX_RETAIL_RUN_ID"] == "{{ run_id }}"
    assert trainer.variables["TFX_RETAIL_GENERATION"] == "{{ ti.max_tries - task.retries }}"


def test_new_photos_start_a_run_through_an_asset(tmp_path: Path) -> None:
    file = write(tmp_path, schedule="data", watch_min=5, settle_s=30)
    made, watching = retail.dag(file), retail.watch(file)
    (landed,) = watching.tasks
    assert watching.dag_id == "shop_photos"
    assert landed.command == ["tfx-retail", "landed", str(file), "--settle", "30"]
    assert [asset.uri.rstrip("/") for asset in landed.outlets] == ["tfx-retail://shop/photos"]
    assert "tfx-retail://shop/photos" in str(getattr(made.timetable, "asset_condition", None) or vars(made.timetable))


# ---- folders ----


def test_a_folder_becomes_a_dag_for_each_pipeline_and_a_watch_where_data_starts_it(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two", schedule="data")
    assert sorted(retail.dags_in(tmp_path)) == ["one", "two", "two_photos"]


def test_a_broken_pipeline_is_an_import_error_and_leaves_the_others_alone(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "two.json").write_text("{")
    found = retail.dags_in(tmp_path)
    assert sorted(found) == ["_broken", "one"]
    with pytest.raises(Exception, match=r"two\.json: is cut off or not JSON .* compile it again"):
        found["_broken"].validate()


def test_airflow_shows_the_import_error_and_keeps_the_sound_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "one")
    (tmp_path / "two.json").write_text("{")
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "retail.py").write_text("from tfx_retail.airflow import dags_in\nglobals().update(dags_in())  # a dag file of airflow\n")
    monkeypatch.setenv("TFX_RETAIL_PIPELINES", str(tmp_path))
    bag = dag_bag(dags)
    assert list(bag.dags) == ["one"]
    (message,) = bag.import_errors.values()
    assert "two.json: is cut off or not JSON" in message


def test_two_pipelines_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "one").rename(tmp_path / "a.json")
    write(tmp_path, "one")
    with pytest.raises(Exception, match=r"there is a pipeline 'one' in this folder already"):
        retail.dags_in(tmp_path)["_broken"].validate()


def test_a_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFX_RETAIL_PIPELINES", raising=False)
    with pytest.raises(Exception, match="TFX_RETAIL_PIPELINES: expected a folder of compiled pipelines, got None"):
        retail.dags_in()


def test_a_missing_pipeline_is_said(tmp_path: Path) -> None:
    with pytest.raises(CompiledError, match="no such file; compile it again"):
        retail.dag(tmp_path / "none.json")


def test_nothing_heavy_is_loaded(file: Path) -> None:
    code = f"import sys; from tfx_retail import airflow; airflow.dag({str(file)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"tensorflow", "tfx", "apache_beam", "ml_metadata", "keras"}


# ---- the command ----


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


# ---- alerts ----


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a server and what was posted to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()


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


def test_a_mail_goes_out_by_smtp(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Server(smtplib.SMTP):
        def __init__(self, host: str, port: int, timeout: float) -> None:
            assert (host, port, timeout) == ("mail.example", 2525, 20.0)

        def __exit__(self, *_: object) -> None:
            pass

        def send_message(self, msg: Any, *_: Any, **__: Any) -> dict[str, Any]:
            sent.append(msg)
            return {}

    monkeypatch.setattr(smtplib, "SMTP", Server)
    monkeypatch.setenv(
        "AIRFLOW_CONN_MAIL", json.dumps({"conn_type": "smtp", "host": "mail.example", "port": 2525, "extra": {"from_email": "a@b.example"}})
    )
    alerts.Email(["ops@b.example"], conn_id="MAIL").notify(task_context("Trainer", exception="full disk"))
    assert (sent[0]["Subject"], sent[0]["From"], sent[0]["To"]) == ("shop: Trainer failed", "a@b.example", "ops@b.example")
    assert sent[0].get_content() == "full disk\nrun manual__1\nhttp://airflow/log\n"


# ---- containers and pods: arguments, checked by the providers' own classes ----


def test_a_container_gets_words_variables_and_the_exit_code_of_a_skip(file: Path) -> None:
    docker = pytest.importorskip("tfx_retail.airflow.docker", reason="Airflow's Docker provider is not installed")
    trainer = retail.dag(file, environment=docker.Docker("retail:1", secrets={"TFX_RETAIL_METADATA": "x"}, network_mode="host")).get_task(
        "Trainer"
    )
    assert (trainer.image, trainer.command, trainer.network_mode) == ("retail:1", ["run-node", str(file), "Trainer"], "host")
    assert trainer.environment["TFX_RETAIL_RUN_ID"] == "{{ run_id }}"
    assert "TFX_RETAIL_METADATA" not in trainer.environment
    assert list(trainer.skip_on_exit_code) == [99]
    assert trainer.pool == "tfx_heavy"


def test_a_pod_gets_words_variables_and_the_exit_code_of_a_skip(file: Path) -> None:
    kubernetes = pytest.importorskip("tfx_retail.airflow.kubernetes", reason="Airflow's Kubernetes provider is not installed")
    trainer = retail.dag(file, environment=kubernetes.Kubernetes("retail:1", "ml", service_account_name="runner")).get_task("Trainer")
    assert (trainer.image, trainer.arguments, trainer.namespace) == ("retail:1", ["run-node", str(file), "Trainer"], "ml")
    assert trainer.env_vars["TFX_RETAIL_FACTS"] == "/airflow/xcom/return.json"
    assert list(trainer.skip_on_exit_code) == [99]
    assert trainer.service_account_name == "runner"


def dag_bag(folder: Path) -> Any:
    if IS_3:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(dag_folder=str(folder))
    from airflow.models.dagbag import DagBag

    return DagBag(dag_folder=str(folder), include_examples=False)
