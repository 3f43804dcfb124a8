"""What a person reads at the end of a run, and in the lists of runs and versions."""

from pathlib import Path

import msgspec
import pytest

from tests.fast.shop import CONFIG
from tfx_retail import config_file, report
from tfx_retail.config import Config
from tfx_retail.inputs import workspace
from tfx_retail.runs import NodeFacts, RunFacts, write_run


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(CONFIG)
    return config_file.load(tmp_path / "shop.yaml")


def measured(accuracy: float) -> dict[str, object]:
    return {"overall": {"sku_accuracy": accuracy, "examples": 1234}, "slices": [], "per_class": [], "absent": []}


@pytest.fixture
def blessed(config: Config, tmp_path: Path) -> RunFacts:
    evaluation, verdict, ingest = tmp_path / "evaluation", tmp_path / "verdict", tmp_path / "ingest"
    for folder in (evaluation, verdict, ingest):
        folder.mkdir()
    (ingest / "ingest.json").write_bytes(msgspec.json.encode({"warnings": ["2 photos of eval are near-duplicates of photos of train"]}))
    (evaluation / "evaluation.json").write_bytes(
        msgspec.json.encode({"serving_default": measured(0.7512), "predict_sized": measured(0.9001)})
    )
    rule = {"result": "pass", "text": "sku_accuracy of serving_default is 0.751 (asked: at least 0.7)"}
    (verdict / "verdict.json").write_bytes(msgspec.json.encode({"blessed": True, "rules": [rule], "notes": ["no earlier version"]}))
    return RunFacts(
        run_id="r1",
        pipeline="shop",
        started="2026-11-21T10:00:00+00:00",
        state="blessed",
        seconds=61.0,
        version=3,
        nodes=[
            NodeFacts(
                node="ExampleGen",
                state="cached",
                seconds=0.2,
                why="same code, config and inputs as before",
                outputs={"report": str(ingest)},
            ),
            NodeFacts(node="Evaluator", state="ran", outputs={"evaluation": str(evaluation)}),
            NodeFacts(node="Verdict", state="ran", outputs={"verdict": str(verdict)}),
        ],
    )


def test_a_blessed_run_ends_with_numbers_rules_paths_and_the_next_step(config: Config, blessed: RunFacts) -> None:
    assert report.ending(config, blessed).splitlines() == [
        "",
        "blessed and pushed as version 3  (61 s)",
        "",
        "                      serving_default    predict_sized",
        "  sku accuracy                  0.751            0.900",
        "  look accuracy                     -                -",
        "  family accuracy                   -                -",
        "  category accuracy                 -                -",
        "  top k accuracy                    -                -",
        "  macro f1                          -                -",
        "  log loss                          -                -",
        "  on 1,234 examples of the eval role",
        "",
        "pass      sku_accuracy of serving_default is 0.751 (asked: at least 0.7)",
        "note      no earlier version",
        "warning   2 photos of eval are near-duplicates of photos of train",
        "version   models/shop/3",
        "run       out/shop/runs/r1",
        "log       out/shop/runs/r1/run.log",
        "next      tfx-retail predict models/shop/3 IMAGE",
    ]


def doubt(coverage: float | None, precision: float | None) -> dict[str, object]:
    bounds = None if precision is None else [precision - 0.02, precision + 0.01]
    return {"coverage": {"value": coverage}, "precision": {"value": precision, "interval": bounds}}


@pytest.mark.parametrize(
    ("plain", "sized", "line"),
    [
        (doubt(0.612, 0.98), doubt(0.612, 0.98), "61.2% of the crops, 98.0% of them right (0.960 to 0.990)"),
        (
            doubt(0.0, None),
            doubt(0.5, 0.9),
            "without size none of the crops; with size 50.0% of the crops, 90.0% of them right (0.880 to 0.910)",
        ),
        (doubt(None, None), doubt(None, None), "no crop to accept"),
        ({"coverage": None, "precision": None}, {"coverage": None, "precision": None}, None),  # the model does not say
        (None, None, None),  # evaluated by earlier code
    ],
)
def test_one_line_says_what_is_accepted_and_how_much_of_it_is_right(
    config: Config, blessed: RunFacts, tmp_path: Path, plain: object, sized: object, line: str | None
) -> None:
    evaluation = {"serving_default": measured(0.7) | {"doubt": plain}, "predict_sized": measured(0.9) | {"doubt": sized}}
    (tmp_path / "evaluation" / "evaluation.json").write_bytes(msgspec.json.encode(evaluation))
    found = [text for text in report.ending(config, blessed).splitlines() if "accepted" in text]
    assert found == ([] if line is None else [f"  accepted: {line}"])


def test_a_failed_run_names_the_node_and_the_cause(config: Config) -> None:
    facts = RunFacts(
        run_id="r2", pipeline="shop", started="", state="failed", nodes=[NodeFacts(node="Trainer", state="failed", error="no GPU")]
    )
    lines = report.ending(config, facts).splitlines()
    assert lines[1] == "failed in Trainer: no GPU  (0 s)"
    assert lines[-1] == "next      mend the cause and run again: finished nodes are taken from the cache"


def test_runs_are_listed_newest_first_with_the_reason_of_each_node(config: Config, blessed: RunFacts) -> None:
    write_run(workspace(config), RunFacts(run_id="r0", pipeline="shop", started="", state="done"))
    write_run(workspace(config), blessed)
    text = report.runs_table(config)
    assert text.index("r1  blessed, version 3, 61 s") < text.index("r0  done")
    assert "  ExampleGen       cached          0.2 s  same code, config and inputs as before" in text


def test_a_report_of_a_run_holds_its_digests(config: Config, blessed: RunFacts) -> None:
    blessed.data_digest = "d1"
    write_run(workspace(config), blessed)
    assert "data d1" in report.run_report(config, None)


def test_empty_lists_say_so(config: Config) -> None:
    assert report.runs_table(config) == "no run yet in out/shop"
    assert report.versions_table(config) == "no version yet in models/shop"


def test_a_refused_run_names_the_slices_that_got_worse(config: Config, blessed: RunFacts, tmp_path: Path) -> None:
    def lost(feature: str, value: str, loss: float, result: str) -> dict[str, object]:
        return {"result": result, "text": "t", "feature": feature, "slice": value, "loss": loss, "version": 2}

    rules = [lost("family", "可乐", 0.25, "fail"), lost("size_pairs", "size_pairs", 0.1, "fail"), lost("all", "all", 0.01, "pass")]
    (tmp_path / "verdict" / "verdict.json").write_bytes(msgspec.json.encode({"blessed": False, "rules": rules}))
    blessed.state, blessed.version = "not blessed", None
    lines = report.ending(config, blessed).splitlines()
    assert "worse in  family 可乐 (-0.250 against version 2), size pairs (-0.100 against version 2)" in lines
    assert lines[-1].endswith("tfx-retail bless CONFIG r1 --because TEXT")
