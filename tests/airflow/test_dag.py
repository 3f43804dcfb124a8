"""The DAG of a compiled pipeline, in an environment that holds Airflow and this package: `make test-airflow` runs it in 2.11 and in 3."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

airflow = pytest.importorskip("airflow", reason="this environment has no Airflow; tools/test_airflow.sh calls those that have")

from tests.airflow.pipelines import NODES, write  # noqa: E402  # after it is clear that there is an Airflow
from tfx_retail import airflow as retail  # noqa: E402
from tfx_retail.compiled import CompiledError, Node  # noqa: E402
from tfx_retail.errors import UserError  # noqa: E402

DAGS = Path(__file__).resolve().parents[2] / "dags"
IS_3 = airflow.__version__.startswith("3.")


@pytest.fixture(autouse=True)
def _no_command_of_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who tests may have said where his own command is."""
    monkeypatch.delenv("TFX_RETAIL_COMMAND", raising=False)


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


def test_a_broken_pipeline_is_told_and_leaves_the_others_alone(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "two.json").write_text("{")
    assert sorted(retail.dags_in(tmp_path)) == ["one"]
    with pytest.raises(UserError, match=r"two\.json: is cut off or not JSON .* compile it again"):
        retail.refuse_broken(tmp_path)


def test_a_pipeline_that_airflow_refuses_is_told_and_leaves_the_others_alone(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two", schedule="every morning")
    assert sorted(retail.dags_in(tmp_path)) == ["one"]
    with pytest.raises(UserError, match=r"two\.json: Airflow refuses its DAG: .* columns .*; correct `airflow` in its configuration"):
        retail.refuse_broken(tmp_path)


def test_airflow_keeps_import_errors_away_from_the_file_with_the_dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "one")
    (tmp_path / "two.json").write_text("{")
    monkeypatch.setenv("TFX_RETAIL_PIPELINES", str(tmp_path))
    bag = dag_bag(DAGS)
    assert list(bag.dags) == ["one"]
    ((file, message),) = bag.import_errors.items()
    assert Path(file).name == "retail_faults.py"
    assert "two.json: is cut off or not JSON" in message


def test_where_nothing_is_broken_there_is_no_import_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "one")
    monkeypatch.setenv("TFX_RETAIL_PIPELINES", str(tmp_path))
    bag = dag_bag(DAGS)
    assert (list(bag.dags), bag.import_errors) == (["one"], {})
    assert Path(bag.dags["one"].fileloc).name == "retail.py"


def test_two_pipelines_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "one").rename(tmp_path / "a.json")
    write(tmp_path, "one")
    with pytest.raises(UserError, match=r"one\.json: there is a pipeline 'one' in this folder already"):
        retail.refuse_broken(tmp_path)


def test_a_wrong_setting_of_all_pipelines_fails_the_dag_file(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with pytest.raises(ValueError, match="unknown field `retry`"):
        retail.dags_in(tmp_path, retry=3)


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
