"""What a platform engineer does with Airflow, done on one that runs: tools/test_airflow.sh starts it."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.refusals import TOO_STRICT
from benchmarks.faults.scene import Scene
from tests.airflow.live import REPO, Live
from tests.airflow.stub import until

AROUND = {"configure", "Report", "done"}


@pytest.fixture(scope="module")
def shop(live: Live) -> Scene:
    """A pipeline whose model passes, run once."""
    scene = Scene(live, "shop", retries=1, schedule="data", watch_min=1, settle_s=0)
    scene.prepare()
    scene.start("first")
    assert scene.ended_well("first") == [], scene.live.tasks("shop", "first")
    return scene


def test_a_run_ends_with_a_pushed_version_and_a_report(shop: Scene) -> None:
    assert shop.live.tasks("shop", "first") == dict.fromkeys(shop.nodes() | AROUND, "success")
    report = shop.live.xcom("shop", "first", "Report")
    assert report["state"] == "blessed" and report["version"] == 1
    assert Path(report["report"]).is_file()
    assert shop.versions() == [1]


def test_each_node_has_one_valid_execution_in_the_metadata_store(shop: Scene) -> None:
    states = {node.rpartition(".")[2]: dict(counts) for (_, node), counts in shop.executions().items()}
    assert states == {node: {"complete": 1} for node in shop.nodes()}


def test_a_tasks_log_reads_as_our_own_run_does(shop: Scene) -> None:
    log = shop.live.log("shop", "first", "ExampleGen")
    assert "60 photos" in log and "0 rejected" in log
    assert "tensorflow/core" not in log and "WARNING:absl" not in log


def test_xcom_carries_small_facts(shop: Scene) -> None:
    for task in ("ExampleGen", "Trainer", "Verdict", "Pusher", "Report"):
        assert len(json.dumps(shop.live.xcom("shop", "first", task))) < 2000
    assert shop.live.xcom("shop", "first", "Pusher")["version"] == 1


def test_a_second_run_on_the_same_data_takes_all_from_the_cache(shop: Scene) -> None:
    shop.start("again")
    assert shop.end("again") == "success"
    states = {task: shop.live.xcom("shop", "again", task)["state"] for task in ("ExampleGen", "Trainer")}
    assert states == {"ExampleGen": "cached", "Trainer": "cached"}


def test_a_cleared_node_runs_anew_and_supersedes_its_earlier_execution(shop: Scene) -> None:
    shop.live.clear("shop", "first", "Evaluator")
    time.sleep(5)
    assert shop.end("first") == "success"
    run = next(run for run, node in shop.executions() if run.startswith("first") and node == "shop.Evaluator")
    assert dict(shop.executions()[run, "shop.Evaluator"]) == {"complete": 1, "canceled": 1}
    assert shop.live.xcom("shop", "first", "Evaluator")["state"] == "ran"


def test_parameters_of_the_form_change_one_run(shop: Scene) -> None:
    shop.start("two_epochs", epochs=2, settings=["train.learning_rate=0.001"])
    assert shop.end("two_epochs") == "success"
    config = compiled_of(shop, "two_epochs")["config"]["train"]
    assert (config["epochs"], config["learning_rate"]) == (2, 0.001)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"epochs": 0}, "train.epochs"),
        ({"settings": ["train.epoch=3"]}, "train.epoch"),
        ({"data_path": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_a_wrong_parameter_is_told_in_seconds_and_not_tried_again(shop: Scene, params: dict[str, Any], words: str) -> None:
    run = f"wrong-{abs(hash(words))}"
    shop.start(run, **params)
    assert shop.end(run, timeout_s=240) == "failed"
    assert shop.live.instances("shop", run)["configure"]["try_number"] == 1
    assert words in shop.live.log("shop", run, "configure")


def test_the_pusher_of_a_refused_model_is_skipped_with_the_reason_and_the_report_is_written(shop: Scene) -> None:
    before = shop.versions()
    shop.start("refused", settings=TOO_STRICT)
    assert shop.end("refused") == "success"
    tasks = shop.live.tasks("shop", "refused")
    assert tasks["Pusher"] == "skipped" and tasks["Report"] == "success"
    assert "family_accuracy" in shop.live.log("shop", "refused", "Pusher")
    assert shop.live.xcom("shop", "refused", "Report")["state"] == "not blessed"
    assert shop.versions() == before


def test_photos_that_have_landed_start_a_run(shop: Scene) -> None:
    live = shop.live
    live.wait_for_dag("shop_photos")
    until(lambda: "skipped" in states_of(live, "shop_photos"), "a look that finds nothing new")
    label = next((live.folder / "faults" / "data" / "Annotations").glob("*.xml"))
    label.write_text(label.read_text() + "\n")
    kind = "asset_triggered" if live.major == 3 else "dataset_triggered"
    (run,) = wait_for_runs(live, "shop", kind)
    live.pause("shop_photos")
    until(lambda: live.tasks("shop", run)["configure"] == "success", "the run configured")
    live.stop("shop", run)
    assert live.wait("shop", run) == "failed"


def test_a_broken_pipeline_is_an_import_error_with_its_cause_and_leaves_the_others_alone(live: Live, shop: Scene) -> None:
    folder = Path(live.settings()["TFX_RETAIL_PIPELINES"])
    broken = {"cut_off": (folder / "shop.json").read_bytes()[:500], "no_pipeline": b"{}", "by_hand": by_hand(folder / "shop.json")}
    for name, content in broken.items():
        (folder / f"{name}.json").write_bytes(content)
    try:
        deadline = time.monotonic() + 180
        while not (told := " ".join(live.import_errors())):
            assert time.monotonic() < deadline, "Airflow lists no import error"
            time.sleep(2)
        assert "cut_off.json: is cut off" in told
        assert "no_pipeline.json: is not a compiled pipeline" in told
        assert "by_hand.json: was changed by hand" in told
        assert "shop" in {item["dag_id"] for item in live.ask("GET", "dags?limit=100")["dags"]}
    finally:
        for name in broken:
            (folder / f"{name}.json").unlink()


@pytest.mark.parametrize(
    ("file", "variables", "expected"),
    [
        (
            "retail_docker.py",
            {"TFX_RETAIL_HOME": "/srv/x", "TFX_RETAIL_IMAGE": "image:1", "TFX_RETAIL_NETWORK": "net", "DOCKER_HOST": "tcp://proxy:2375"},
            ["DockerOperator", "image:1", ["run-node", "FILE", "Trainer"], 99],
        ),
        (
            "retail_kubernetes.py",
            {"TFX_RETAIL_MOUNT": "/srv/x", "TFX_RETAIL_IMAGE": "image:1", "TFX_RETAIL_NAMESPACE": "airflow"},
            ["KubernetesPodOperator", "image:1", None, 99],
        ),
    ],
)
def test_the_dag_files_for_containers_and_pods_build_their_operators(
    shop: Scene, file: str, variables: dict[str, str], expected: list[Any]
) -> None:
    given = shop.live.settings()
    pipeline = f"{given['TFX_RETAIL_PIPELINES']}/shop.json"
    script = (
        "import json, runpy, sys; task = runpy.run_path(sys.argv[1])['shop'].get_task('Trainer'); "
        "code = task.skip_on_exit_code; "
        "print(json.dumps([type(task).__name__, task.image, getattr(task, 'command', None), code[0] if isinstance(code, list) else code]))"
    )
    call = [
        str(REPO / ".cache" / "airflow" / str(shop.live.major) / "venv" / "bin" / "python"),
        "-W",
        "ignore",
        "-c",
        script,
        str(REPO / "deploy" / "dags" / file),
    ]
    done = subprocess.run(call, env={**os.environ, **given, **variables}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1].replace(pipeline, "FILE")) == expected


def by_hand(file: Path) -> bytes:
    tree = json.loads(file.read_bytes())
    tree["config"]["train"]["epochs"] = 99
    return json.dumps(tree).encode()


def compiled_of(scene: Scene, run: str) -> dict[str, Any]:
    (folder,) = (scene.place / "output" / scene.name / "runs").glob(f"{run}*")
    return dict(json.loads((folder / "compiled.json").read_bytes()))


def states_of(live: Live, dag: str) -> set[str]:
    return {state for run in live.runs(dag) for state in live.tasks(dag, run["dag_run_id"]).values()}


def wait_for_runs(live: Live, dag: str, kind: str) -> list[str]:
    def found() -> list[str]:
        return [run["dag_run_id"] for run in live.runs(dag) if run["run_type"] == kind]

    until(found, f"a {kind} run of {dag}", timeout_s=300)
    return found()
