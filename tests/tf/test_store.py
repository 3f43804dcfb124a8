"""The metadata store on a PostgreSQL server: texts that its client spoils, failures that have to be told, a server that is away."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tests.tf.postgres import postgres
from tests.tf.test_node_run import COMPLETE, FAILED, Tiny, text_of
from tfx_retail import lineage, store
from tfx_retail.errors import RunError

NASTY = '{"path": "C:\\\\shelf", "quote": "it\'s \\"new\\"", "name": "K\\u00e4se\\n"}'


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def tiny(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.setenv("TFX_RETAIL_METADATA", server)
    return Tiny(tmp_path)


def test_texts_with_backslashes_quotes_and_other_letters_come_back_as_they_were(tiny: Tiny) -> None:
    facts = tiny.run("Maker", "texts", code=NASTY)
    assert (facts.state, facts.error) == ("ran", "")
    (execution,) = lineage.executions_of(store.connect(lineage.connection(tiny.place)), "tiny", "texts", "Maker")
    assert execution.custom_properties["code"].string_value == NASTY
    assert text_of(tiny.run("Taker", "texts"), "copy") == "one"
    assert tiny.run("Maker", "again", code=NASTY).state == "cached"


def test_the_cause_of_a_failure_is_told_and_not_the_stores_trouble_with_it(tiny: Tiny) -> None:
    tiny.told.write_text("fail")
    assert tiny.run("Maker", "failing").error == "told to fail"
    tiny.told.write_text("one")
    assert tiny.run("Maker", "failing").state == "ran"
    known = store.connect(lineage.connection(tiny.place))
    assert [item.last_known_state for item in lineage.executions_of(known, "tiny", "failing", "Maker")] == [FAILED, COMPLETE]


def test_what_gc_removes_is_marked_in_a_shared_store_and_the_rows_of_others_stay_as_they_are(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "neighbour").mkdir()
    neighbour = Tiny(tmp_path / "neighbour", "other")
    removed, kept, others = tiny.run("Maker", "old"), tiny.run("Maker", "new", code="changed"), neighbour.run("Maker", "old")
    known = tiny.store()
    before = others_rows(known, others.outputs["text"])
    folders = [removed.outputs["text"], str(tiny.place.run("old"))]
    lineage.mark_deleted(known, folders)
    shutil.rmtree(folders[0])
    states = [known.get_artifacts_by_uri(facts.outputs["text"])[0].state for facts in (removed, kept, others)]
    assert states == [mlmd.Artifact.DELETED, mlmd.Artifact.LIVE, mlmd.Artifact.LIVE]
    assert others_rows(known, others.outputs["text"]) == before
    assert tiny.run("Maker", "next", code="changed").state == "cached"
    assert tiny.run("Maker", "after").state == "ran"
    assert neighbour.run("Maker", "next").state == "cached"


def test_a_push_whose_version_is_gone_is_forgotten_and_that_of_another_pipeline_is_not(tiny: Tiny, tmp_path: Path) -> None:
    known = tiny.store()
    kind = known.put_artifact_type(mlmd.ArtifactType(name="PushedModel", properties={}))
    ours, others = tiny.place.nodes / "Pusher" / "1", tmp_path / "neighbour" / "nodes" / "Pusher" / "2"
    for uri in (ours, others):
        uri.mkdir(parents=True)
        pushed = mlmd.Artifact(type_id=kind, uri=str(uri))
        pushed.custom_properties["pushed_destination"].string_value = str(tmp_path / "no" / "such" / "version")
        known.put_artifacts([pushed])
    lineage.forget_lost_versions(known, tiny.place)
    assert (ours.exists(), others.exists()) == (False, True)


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    config = lineage.url_config("postgresql://retail:s3cret@127.0.0.1:1/mlmd")
    with pytest.raises(
        RunError, match=r"postgresql at 127\.0\.0\.1:1: the metadata store cannot be opened: .*; start it, or correct"
    ) as caught:
        store.connect(config, patience_s=0.0)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("version", "told"), [(11, "is greater than library version"), (9, "is older than library version")])
def test_a_database_of_another_ml_metadata_is_refused_with_the_way_out(version: int, told: str, tmp_path: Path) -> None:
    config = lineage.sqlite_config(tmp_path / "metadata.sqlite")
    store.connect(config)
    with closing(sqlite3.connect(config.sqlite.filename_uri)) as database, database:  # the one closes, the other commits
        database.execute("update MLMDEnv set schema_version = ?", (version,))
    with pytest.raises(RunError, match=f"{told}.*; run this on the platform that made the database"):
        store.connect(config)


def others_rows(known: MetadataStore, uri: str) -> list[str]:
    """Returns an artifact and what has to do with it, as texts."""
    (artifact,) = known.get_artifacts_by_uri(uri)
    events = known.get_events_by_artifact_ids([artifact.id])
    executions = known.get_executions_by_id([event.execution_id for event in events])
    return [str(row) for row in (artifact, *events, *executions)]
