"""Old runs go; what is served, and what kept runs stand on, stays."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.fast.shop import CONFIG
from tfx_retail import config_file, inputs, retention, versions
from tfx_retail.config import Config
from tfx_retail.runs import NodeFacts, RunFacts, Workspace, list_runs, write_run
from tfx_retail.versions import Manifest

TABLES = """
CREATE TABLE Context (id INTEGER, name TEXT);
CREATE TABLE Execution (id INTEGER);
CREATE TABLE ExecutionProperty (execution_id INTEGER);
CREATE TABLE Association (context_id INTEGER, execution_id INTEGER);
CREATE TABLE Artifact (id INTEGER, uri TEXT);
CREATE TABLE ArtifactProperty (artifact_id INTEGER);
CREATE TABLE Attribution (context_id INTEGER, artifact_id INTEGER);
CREATE TABLE Event (id INTEGER, artifact_id INTEGER, execution_id INTEGER, type INTEGER);
CREATE TABLE EventPath (event_id INTEGER);
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "shop.yaml").write_text(CONFIG)
    return config_file.load(tmp_path / "shop.yaml")


@pytest.fixture
def place(config: Config) -> Workspace:
    return inputs.workspace(config)


def add_run(place: Workspace, run_id: str, *outputs: Path) -> None:
    for output in outputs:
        output.mkdir(parents=True, exist_ok=True)
        (output / "file").write_bytes(b"x" * 1000)
    node = NodeFacts(node="Trainer", state="ran", outputs={str(index): str(output) for index, output in enumerate(outputs)})
    write_run(place, RunFacts(run_id=run_id, pipeline="shop", started="", state="done", nodes=[node]))


def push(config: Config, tmp_path: Path, run_id: str, baseline: int | None = None) -> int:
    exported = tmp_path / f"exported-{run_id}"
    (exported / "assets.extra").mkdir(parents=True)
    (exported / "saved_model.pb").write_text(run_id)
    (exported / "assets.extra" / "labels.csv").write_text("index,sku,status\n0,cola,active\n")
    manifest = Manifest(
        name="shop",
        run_id=run_id,
        time="",
        config={},
        config_digest="",
        data_digest="",
        code_digest="",
        metrics={},
        verdict={},
        schema_reviewed=False,
        baseline=baseline,
    )
    return versions.push(exported, inputs.model_dir(config), manifest)


def test_old_runs_and_their_outputs_go_and_shared_ones_stay(config: Config, place: Workspace) -> None:
    shared, lonely = place.nodes / "Trainer" / "model" / "1", place.nodes / "Trainer" / "model" / "2"
    add_run(place, "r1", shared, lonely)
    add_run(place, "r2", shared)
    said = retention.collect(config, keep=1, dry_run=False)
    assert said.startswith("removed 1 runs, versions none, 2 folders and files")
    assert [run.run_id for run in list_runs(place)] == ["r2"]
    assert shared.is_dir() and not lonely.exists()


def test_a_dry_run_removes_nothing(config: Config, place: Workspace) -> None:
    add_run(place, "r1", place.nodes / "Trainer" / "model" / "1")
    add_run(place, "r2")
    assert retention.collect(config, keep=1, dry_run=True).startswith("would remove 1 runs")
    assert len(list_runs(place)) == 2
    assert (place.nodes / "Trainer" / "model" / "1").is_dir()


def test_the_served_version_its_baseline_and_their_runs_stay(config: Config, place: Workspace, tmp_path: Path) -> None:
    for run_id in ("r1", "r2", "r3", "r4"):
        add_run(place, run_id)
    push(config, tmp_path, "r1")
    push(config, tmp_path, "r2")
    push(config, tmp_path, "r3", baseline=1)
    retention.collect(config, keep=1, dry_run=False)
    assert [version.number for version in versions.list_versions(inputs.model_dir(config))] == [1, 3]
    assert [run.run_id for run in list_runs(place)] == ["r1", "r3", "r4"]


def test_the_pinned_reference_stays(config: Config, place: Workspace, tmp_path: Path) -> None:
    for run_id in ("r1", "r2", "r3"):
        add_run(place, run_id)
        push(config, tmp_path, run_id)
    pinned = msgspec.structs.replace(config, verdict=msgspec.structs.replace(config.verdict, reference=1))
    retention.collect(pinned, keep=1, dry_run=False)
    assert [version.number for version in versions.list_versions(inputs.model_dir(config))] == [1, 3]


def test_rows_of_removed_runs_go_and_those_behind_a_kept_output_stay(config: Config, place: Workspace) -> None:
    kept, gone = place.nodes / "Trainer" / "model" / "1", place.nodes / "Trainer" / "model" / "2"
    add_run(place, "r1", kept, gone)
    add_run(place, "r2", kept)
    with closing(sqlite3.connect(place.metadata)) as connection, connection:
        connection.executescript(TABLES)
        connection.executemany("INSERT INTO Context VALUES (?, ?)", [(1, "r1"), (2, "r2")])
        connection.executemany("INSERT INTO Execution VALUES (?)", [(1,), (2,), (3,)])
        connection.executemany("INSERT INTO Association VALUES (?, ?)", [(1, 1), (1, 2), (2, 3)])
        connection.executemany("INSERT INTO Artifact VALUES (?, ?)", [(1, str(kept)), (2, str(gone))])
        connection.executemany("INSERT INTO Event VALUES (?, ?, ?, ?)", [(1, 1, 1, 4), (2, 2, 2, 4), (3, 1, 3, 3)])
    retention.collect(config, keep=1, dry_run=False)
    with closing(sqlite3.connect(place.metadata)) as connection:
        assert connection.execute("SELECT id FROM Execution ORDER BY id").fetchall() == [(1,), (3,)]
        assert connection.execute("SELECT id FROM Artifact").fetchall() == [(1,)]
        assert connection.execute("SELECT id FROM Event ORDER BY id").fetchall() == [(1,), (3,)]


def test_inputs_and_checkpoints_stay_while_a_kept_run_names_them(config: Config, place: Workspace) -> None:
    place.inputs.mkdir(parents=True)
    (place.inputs / "a-labels.csv").write_text("a")
    (place.inputs / "b-labels.csv").write_text("b")
    add_run(place, "r1")
    (place.run("r1") / "pipeline.json").write_bytes(msgspec.json.encode({"labels": str(place.inputs / "b-labels.csv")}))
    retention.collect(config, keep=1, dry_run=False)
    assert [path.name for path in place.inputs.iterdir()] == ["b-labels.csv"]
