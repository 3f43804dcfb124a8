"""A person blesses a refused run: pushed once, and signed wherever one looks."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tests.fast.shop import CONFIG
from tfx_retail import cli, config_file, inputs, lineage, override, report, versions
from tfx_retail.config import Config
from tfx_retail.errors import RunError
from tfx_retail.inputs import workspace
from tfx_retail.page import write
from tfx_retail.page.write import write_page
from tfx_retail.runs import NodeFacts, RunFacts, Workspace, find_run, write_run

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
RULE = {"metric": "sku_accuracy", "signature": "serving_default", "value": 0.7, "at_least": 0.8, "examples": 50, "result": "fail"}
MEASURED = {"overall": {"sku_accuracy": 0.7, "examples": 50}}
SIGNED = {"who": "kim", "when": "2026-11-21T12:00:00+00:00", "why": "the rule is too strict"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "shop.yaml").write_text(CONFIG)
    return config_file.load(tmp_path / "shop.yaml")


@pytest.fixture
def place(config: Config) -> Workspace:
    return workspace(config)


@pytest.fixture
def refused(place: Workspace) -> RunFacts:
    outputs = {
        "Calibrator": ("model", {"Format-Serving/saved_model.pb": "graph", "Format-Serving/assets.extra/labels.csv": LABELS}),
        "Evaluator": ("evaluation", {"evaluation.json": json.dumps(dict.fromkeys(("serving_default", "predict_sized"), MEASURED))}),
        "Verdict": ("verdict", {"verdict.json": json.dumps({"blessed": False, "rules": [{**RULE, "text": "too low"}], "baseline": None})}),
        "ModelCard": ("card", {"model_card.md": "# shop"}),
    }
    facts = RunFacts(run_id="r1", pipeline="shop", started="", state="not blessed")
    for node, (key, files) in outputs.items():
        folder = place.nodes / node / key / "1"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        facts.nodes.append(NodeFacts(node=node, state="ran", outputs={key: str(folder)}))
    blessing = place.nodes / "Verdict" / "blessing" / "1"
    blessing.mkdir(parents=True)
    facts.nodes[2].outputs["blessing"] = str(blessing)
    write_run(place, facts)
    settings = {"name": "shop", "config": '{"name": "shop"}', "config_digest": "c0", "data_digest": "d0", "code_digest": "e0"}
    parameters = {name: {"fieldValue": {"stringValue": value}} for name, value in settings.items()}
    pusher = {"pipelineNode": {"nodeInfo": {"id": "Pusher"}, "parameters": {"parameters": parameters}}}
    (place.run("r1") / "pipeline.json").write_text(json.dumps({"nodes": [pusher]}))
    return facts


LABELS = "index,sku,status\n0,cola,active\n"


def bless(config: Config, who: str = "kim") -> str:
    return override.bless(config, "r1", "the rule is too strict", who=who, now=NOON)


def test_the_version_says_who_blessed_it_when_and_why(config: Config, refused: RunFacts) -> None:
    assert bless(config) == "version 1 serves the model of run r1, refused by the verdict and blessed by kim: the rule is too strict"
    version = versions.latest(inputs.model_dir(config))
    assert version is not None
    assert versions.verify(version) == []
    assert (version.path / "saved_model.pb").read_text() == "graph"
    assert version.manifest.verdict["overridden"] == SIGNED
    assert json.loads((version.path / "assets.extra" / "verdict.json").read_text())["overridden"] == SIGNED
    assert json.loads((version.path / "assets.extra" / "verdict.json").read_text())["blessed"] is False
    assert (version.path / "assets.extra" / "model_card.md").read_text() == "# shop"
    assert (version.manifest.run_id, version.manifest.config_digest, version.manifest.config) == ("r1", "c0", {"name": "shop"})
    assert version.manifest.metrics["serving_default"]["sku_accuracy"] == 0.7


def test_the_run_says_it_too_and_its_own_verdict_stays_as_it_was(config: Config, place: Workspace, refused: RunFacts) -> None:
    bless(config)
    facts = find_run(place, "r1")
    assert (facts.state, facts.version, facts.overridden and facts.overridden.who) == ("blessed", 1, "kim")
    text = report.ending(config, facts)
    assert "refused by the verdict, blessed by kim at 2026-11-21T12:00:00+00:00 (the rule is too strict) and pushed as version 1" in text
    assert "overridden" not in (place.nodes / "Verdict" / "verdict" / "1" / "verdict.json").read_text()
    assert json.loads((place.run("r1") / "verdict.json").read_text())["overridden"] == SIGNED


def test_the_lineage_says_it_on_the_blessing(config: Config, place: Workspace, refused: RunFacts) -> None:
    store = MetadataStore(lineage.sqlite_config(place.metadata))
    kind = store.put_artifact_type(mlmd.ArtifactType(name="ModelBlessing"))
    store.put_artifacts([mlmd.Artifact(type_id=kind, uri=str(place.nodes / "Verdict" / "blessing" / "1"))])
    bless(config)
    (artifact,) = store.get_artifacts()
    said = artifact.custom_properties
    assert [said[f"overridden_{name}"].string_value for name in ("who", "when", "why")] == list(SIGNED.values())
    assert said["overridden_version"].int_value == 1


def test_a_second_time_nothing_is_done(config: Config, refused: RunFacts) -> None:
    bless(config)
    assert bless(config, who="lee") == "run r1 was blessed by kim before, as version 1; nothing was done"
    assert len(versions.list_versions(inputs.model_dir(config))) == 1


def test_a_push_that_was_cut_off_before_the_run_knew_is_found_again(config: Config, place: Workspace, refused: RunFacts) -> None:
    bless(config)
    write_run(place, refused)  # as if the process had died before
    bless(config, who="lee")
    facts = find_run(place, "r1")
    assert (facts.version, facts.overridden and facts.overridden.who) == (1, "kim")


def test_what_the_verdict_blessed_cannot_be_overridden(config: Config, place: Workspace, refused: RunFacts) -> None:
    refused.state, refused.version = "blessed", 4
    write_run(place, refused)
    with pytest.raises(RunError, match="r1 was blessed by its verdict and is version 4"):
        bless(config)


def test_a_run_without_a_model_is_refused(config: Config, place: Workspace) -> None:
    write_run(place, RunFacts(run_id="r1", pipeline="shop", started="", state="failed"))
    with pytest.raises(RunError, match=r"r1 \(failed\) has no model"):
        bless(config)
    assert not inputs.model_dir(config).exists()


def test_a_run_that_failed_after_its_verdict_is_refused(config: Config, place: Workspace, refused: RunFacts) -> None:
    refused.state = "failed"
    write_run(place, refused)
    with pytest.raises(RunError, match="r1 is failed, not refused; run again"):
        bless(config)


def test_a_model_that_is_gone_is_named(config: Config, place: Workspace, refused: RunFacts) -> None:
    (place.nodes / "Calibrator" / "model" / "1" / "Format-Serving" / "saved_model.pb").unlink()
    with pytest.raises(RunError, match="its model is gone from"):
        bless(config)


def test_the_command_wants_a_reason(tmp_path: Path, config: Config, refused: RunFacts, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "shop.yaml")
    codes = []
    for words in (["r1"], ["r1", "--because", " "], ["r9", "--because", "x"], ["r1", "--because", "x"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["bless", path, *words])
        codes.append(ended.value.code)
    assert codes == [2, 2, 1, 0]
    assert "version 1 serves the model of run r1" in capsys.readouterr().out


def test_the_page_of_the_run_says_it_without_being_asked_for(
    tmp_path: Path, config: Config, place: Workspace, refused: RunFacts, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write_page(config, refused)
    assert "Not blessed" in page.read_text("utf-8")
    with pytest.raises(SystemExit):
        cli.main(["bless", str(tmp_path / "shop.yaml"), "r1", "--because", "the <rule> is too strict"])
    text = page.read_text("utf-8")
    assert "Blessed by hand" in text and "the &lt;rule&gt; is too strict" in text and "not blessed, overridden" in text
    assert f"report    {page}" in capsys.readouterr().out


def test_a_page_that_cannot_be_written_does_not_undo_the_blessing(
    tmp_path: Path, place: Workspace, refused: RunFacts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "collect", lambda *_: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        cli.main(["bless", str(tmp_path / "shop.yaml"), "r1", "--because", "x"])
    assert (ended.value.code, find_run(place, "r1").version) == (0, 1)
    assert "could not be written anew: ZeroDivisionError" in capsys.readouterr().out
