"""Section 4: what doubt is worth, in tables and drawings, and what is said where there is nothing to show."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.fast.page_run import CROPS, Crop, whole_run
from tfx_retail import abstention, doubted
from tfx_retail import doubt as doubt_file
from tfx_retail.acceptance import Usual
from tfx_retail.calibration import Calibration
from tfx_retail.config import AbstainConfig, Config
from tfx_retail.inputs import workspace
from tfx_retail.measured_doubt import MeasuredDoubt
from tfx_retail.page import beside, doubt, overview, render, tiles, unknown
from tfx_retail.page.collect import Collected, collect
from tfx_retail.page.values import Table
from tfx_retail.page.write import write_page
from tfx_retail.retrieval import Recall
from tfx_retail.runs import NodeFacts, RunFacts
from tfx_retail.sibling import Sibling, Training
from tfx_retail.trials import Evidence
from tfx_retail.unknowns import Detection

# of six crops the second (0.6) and the fifth (0.7) are not accepted; the second is right only with size, the fourth (0.95) always wrong


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def collected(folder: Path, crops: tuple[Crop, ...] = CROPS) -> Collected:
    return collect(*whole_run(folder, crops))


def test_tables_have_the_measured_numbers(tmp_path: Path) -> None:
    section = doubt.build(collected(tmp_path))
    assert section is not None
    assert texts(section.taken) == [
        ["without size", "66.7 %", "75.0 %", "100.0 %", "83.3 %"],
        ["with size", "66.7 %", "75.0 %", "100.0 %", "83.3 %"],
    ]
    assert [row[:2] for row in texts(section.worth)] == [
        ["without size", "before"],
        ["without size", "as served"],
        ["with size", "before"],
        ["with size", "as served"],
    ]
    # distances of confidence and truth: 0.1, 0.6, 0.2, 0.95, 0.3, 0.01; scores of the truth: 0.9, 0.4 / 3, 0.8, 0.05 / 3, 0.7, 0.99
    assert [texts(section.worth)[1][place] for place in (3, 6)] == ["0.360", "1.134 (0.000 … 3.593)"]
    assert section.missing == []


def test_slices_most_likely_under_the_promise_come_first(tmp_path: Path) -> None:
    section = doubt.build(collected(tmp_path))
    assert section is not None
    assert section.slices is not None
    rows = [row[:5] for row in texts(section.slices)]
    assert ["family", "Tea", "without size", "66.7 %", "50.0 %"] in rows
    assert ["store", "north", "without size", "50.0 %", "100.0 %"] in rows
    upper = [row[4].high or 2.0 for row in section.slices.rows]
    assert upper == sorted(upper)


def test_slices_by_training_crops_stand_among_the_numbers(tmp_path: Path) -> None:
    found = doubt.tail(collected(tmp_path).doubts)
    assert found is not None
    assert [row[:7] for row in texts(found) if row[1] == "without size"] == [
        ["0", "without size", "1", "2", "2", "50.0 %", "50.0 %"],
        ["1 to 4", "without size", "1", "1", "1", "100.0 %", "100.0 %"],
        ["5 to 15", "without size", "1", "1", "1", "100.0 %", "100.0 %"],
        ["16 and more", "without size", "1", "2", "1", "50.0 %", "50.0 %"],
    ]


def test_drawings_show_before_and_after_and_the_chosen_point(tmp_path: Path) -> None:
    section = doubt.build(collected(tmp_path))
    assert section is not None
    assert [figure.title for figure in section.figures] == [
        "Reliability without size",
        "Reliability with size",
        "Risk and coverage",
        "Sure and right, sure and wrong",
    ]
    assert section.figures[0].legend == (("a", "as served"), ("b", "before calibration"))
    assert "As served: 6 dots of 1 crops each; before calibration: 6 dots of 1 crops each." in section.figures[0].note
    assert "as served: 1 crops of 1 scenes, 95.0 % sure, 0.0 % right" in section.figures[0].svg
    assert "Without size: 66.7 % accepted, 25.0 % of them wrong" in section.figures[2].note
    assert section.figures[2].svg.count('class="chosen"') == 2


def test_where_no_crop_has_a_size_the_answers_with_size_are_not_shown_twice(tmp_path: Path) -> None:
    section = doubt.build(collected(tmp_path, (Crop(0, 0, 0.9, group="a"), Crop(1, 0, 0.8, group="b"))))
    assert section is not None
    assert [row[0] for row in texts(section.taken)] == ["without size"]
    assert section.figures[0].title == "Reliability"


def test_answers_of_earlier_code_are_measured_as_far_as_they_go_and_the_rest_is_named(tmp_path: Path) -> None:
    old = tuple(crop._replace(doubted=False) for crop in CROPS)
    config, facts = whole_run(tmp_path, old)
    section = doubt.build(collect(config, facts))
    assert section is not None
    assert texts(section.taken)[0] == ["without size", "–", "–", "–", "–"]
    assert [texts(section.worth)[0][place] for place in (1, 3, 5)] == ["as served", "0.360", "–"]
    assert (section.slices, len(section.missing)) == (None, 4)
    text = write_page(config, facts).read_text("utf-8")
    assert "not measured: what is accepted: the model was exported by an earlier version of this package" in text
    assert "it does not say what it accepts" in text


def test_wrong_answers_that_were_accepted_are_marked(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path, (Crop(0, 1, 0.9, group="a"), Crop(2, 3, 0.7, group="b")))
    gallery = render.page(collect(config, facts)).gallery
    assert gallery is not None
    assert [(card.confidence, card.accepted) for card in gallery.worst] == [("90 %", True), ("70 %", False)]
    assert write_page(config, facts).read_text("utf-8").count(">accepted</span>") == 1


def test_nothing_accepted_is_said_so(tmp_path: Path) -> None:
    section = doubt.build(collected(tmp_path, (Crop(0, 0, 0.5, group="a"), Crop(1, 0, 0.4, group="b"))))
    assert section is not None
    assert texts(section.taken)[0] == ["without size", "0.0 %", "–", "100.0 %", "100.0 %"]
    assert "Without size: nothing is accepted" in section.figures[1].note
    assert 'class="chosen"' not in section.figures[1].svg


def test_a_damaged_file_of_predictions_is_named_and_the_page_is_made(tmp_path: Path) -> None:
    crops = (CROPS[0], CROPS[1]._replace(doubted=False))
    config, facts = whole_run(tmp_path, crops)
    given = collect(config, facts)
    assert given.doubts == {}
    assert any("values for 2 crops; the files of predictions are damaged" in line for line in given.missing)
    assert "Nothing was evaluated in this run." in write_page(config, facts).read_text("utf-8")


def test_the_evaluations_own_numbers_are_shown_where_it_has_them(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    made = with_evaluated_doubt(config, facts)
    assert collect(config, facts).doubts == made
    found = {tile.name: (tile.plain, tile.sized, tile.interval) for tile in tiles.build(collect(config, facts))}
    assert found["accepted"][:2] == ("66.7 %", "66.7 %")
    assert found["right if accepted"][0] == "75.0 %"
    assert found["right if accepted"][2] == "12.9 – 99.8 %"  # two scenes of three prove little
    assert found["calibration error"][0].startswith("0.")


def test_runs_beside_each_other_and_the_index_have_columns_of_doubt(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    with_evaluated_doubt(config, facts)
    lines = {line.name: line.values for line in beside.build([collect(config, facts)] * 2).metrics}
    assert lines["share accepted without size"] == ["66.7 %"] * 2
    assert lines["precision among accepted with size"] == ["75.0 %"] * 2
    index = overview.write_index(config).read_text("utf-8")
    assert '<td class="num name">66.7 %</td><td class="num name">75.0 %</td>' in index


def with_evaluated_doubt(config: Config, facts: RunFacts) -> dict[str, MeasuredDoubt]:
    """Gives a run's evaluation the doubt part that the Evaluator writes, and returns it."""
    place = workspace(config).nodes
    made = doubted.measure(doubted.read(place / "Predictions" / "predictions" / "1", "eval"))
    path = place / "Evaluator" / "evaluation" / "1" / "evaluation.json"
    measured = msgspec.json.decode(path.read_bytes())
    for name, one in made.items():
        measured[name]["doubt"] = msgspec.to_builtins(one)
    path.write_bytes(msgspec.json.encode(measured))
    return made


DETECTION = Detection(
    auroc=0.875,
    auroc_interval=(0.8, 0.95),
    passed=0.4,
    passed_interval=None,
    threshold=0.3,
    known=120,
    unknown=80,
    known_groups=30,
    unknown_groups=12,
)
SIBLING = Sibling(
    kind="energy",
    threshold=0.3,
    chosen={"energy": DETECTION},
    reported={"confidence": DETECTION, "energy": DETECTION},
    recalls=[Recall(references=1, gallery="joint", value=0.5, interval=(0.3, 0.7), skus=6, left_out=1, queries=40, draws=20)],
    choosing=["a", "b"],
    reporting=["c"],
    known=11,
    training=Training(epochs=3, seconds=10.0, val_accuracy=0.9, calibration=Calibration()),
)


def test_unknown_products_are_what_the_sibling_says_of_them() -> None:
    found = unknown.build(SIBLING)
    assert found.said.startswith("Measured on a sibling of the model, not on the model itself: the same network, taught 11 SKUs and not")
    assert found.detection is not None
    assert texts(found.detection)[1] == ["energy", "yes", "87.5 %", "40.0 %", "120", "80", "12"]
    assert found.recalls is not None
    assert texts(found.recalls) == [["1", "unseen and known SKUs", "50.0 %", "6", "1", "40", "20"]]
    assert found.recalls.rows[0][2][2:] == (0.3, 0.7)


def test_without_a_sibling_the_page_says_how_to_ask_for_one(tmp_path: Path) -> None:
    assert unknown.build(None).detection is None
    text = write_page(*whole_run(tmp_path)).read_text("utf-8")
    assert "no sibling of the model was trained" in text
    assert "<code>unknowns.hold_out</code>" in text


@pytest.mark.parametrize("damaged", ["{", "[]", '{"kind": "guess"}'])
def test_a_damaged_sibling_is_named(tmp_path: Path, damaged: str) -> None:
    config, facts = whole_run(tmp_path)
    (tmp_path / "sibling.json").write_text(damaged)
    facts.nodes.append(NodeFacts(node="Sibling", state="ran", outputs={"sibling": str(tmp_path)}))
    given = collect(config, facts)
    assert given.sibling is None
    assert any(line.startswith("sibling.json: cannot be read") for line in given.missing)


def test_what_the_sibling_measured_is_on_the_page(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    (tmp_path / "sibling.json").write_bytes(msgspec.json.encode(SIBLING))
    facts.nodes.append(NodeFacts(node="Sibling", state="ran", outputs={"sibling": str(tmp_path)}))
    text = write_page(config, facts).read_text("utf-8")
    assert 'id="table-unknowns"' in text and 'id="table-recalls"' in text
    assert "no sibling of the model was trained" not in text


def test_what_accepted_promises_is_said_in_the_models_own_words(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    assert "The model does not say what it promises." in write_page(config, facts).read_text("utf-8")
    extra = tmp_path / "model" / "Format-Serving" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "model.json").write_text("{}")
    doubt_file.write(extra, promised())
    facts.nodes.append(NodeFacts(node="Calibrator", state="ran", outputs={"model": str(tmp_path / "model")}))
    text = write_page(config, facts).read_text("utf-8")
    assert "<strong>without sizes</strong>: nothing is accepted: 98.0% needs at least 149 scenes" in text
    assert "<strong>families</strong>: accepted from a score of 0.5 on, as the configuration says; nothing is promised." in text


def promised() -> doubt_file.Doubt:
    """Returns a model's own doubt: too few scenes for a promise."""
    nothing, flags = np.zeros(0), np.zeros(0, bool)
    none = abstention.choose(Evidence(nothing, flags, np.zeros(0, np.int64)), flags, AbstainConfig(), seed=1)
    return doubt_file.Doubt(
        calibration=Calibration(),
        crops=0,
        groups=0,
        fitted_on="all",
        prior="train",
        unknown_kind="confidence",
        usual=Usual(1.0, 1.0),
        promises={"serving_default": none, "predict_sized": none, doubt_file.FAMILY: none},
        thresholds={"serving_default": None, "predict_sized": None, doubt_file.FAMILY: 0.5},
        fixed=[doubt_file.FAMILY],
    )
