"""The page as a file: nothing from outside, nothing injected, and a page whatever the run left behind."""

import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from rich.console import Console

from tests.fast.page_data import add_baseline, add_data
from tests.fast.page_run import CATALOG, RUN, Crop, settings, whole_run
from tfx_retail import local_run, report
from tfx_retail.errors import RunError
from tfx_retail.inputs import workspace
from tfx_retail.page import changes, charts, overview, pictures, tiles
from tfx_retail.page.collect import collect
from tfx_retail.page.confusion import Matrix
from tfx_retail.page.markdown import html
from tfx_retail.page.write import write_page
from tfx_retail.runs import PAGE, NodeFacts, Override, RunFacts, find_run, write_run

SECTIONS = ("verdict", "numbers", "confusion", "doubt", "size", "data", "training", "mistakes", "lineage", "card")


class Outline(HTMLParser):
    """Ids, tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.addresses += [value or ""] if name in ("src", "href") else []
            self.handlers += [name] if name.startswith("on") else []


def page_of(config: object, facts: RunFacts) -> str:
    return write_page(config, facts).read_text("utf-8")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a whole run, as nobody touched it."""
    return page_of(*whole_run(tmp_path_factory.mktemp("whole")))


def test_every_section_is_there_once_and_ids_are_unique(page: str) -> None:
    outline = Outline(page)
    assert [name for name in outline.ids if name in SECTIONS] == list(SECTIONS)
    assert len(outline.ids) == len(set(outline.ids))


def test_nothing_comes_from_outside_and_a_policy_says_so(page: str) -> None:
    assert all(address.startswith(("data:", "#")) for address in Outline(page).addresses)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_a_script_as_a_name_stays_text(page: str) -> None:
    outline = Outline(page)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\\u003cscript\\u003ealert(1)" in page  # in the data of the tables
    assert outline.handlers == []
    assert "<img src=x" not in page


def test_the_verdict_and_the_slice_that_lost_are_told(page: str) -> None:
    assert "Not blessed" in page
    assert "Nothing was pushed: 2 of 2 rules do not hold; it is worse in family Cola." in page
    assert "Cola lost 12 points" in page
    assert "−12.0 points" in page
    assert "against version 1" in page
    assert "may lose 5.0" in page
    assert "−20.0 … −4.0" in page  # in the table of what was compared
    assert "<code>tfx-retail schema</code>" in page


def test_a_blessing_by_hand_says_who_and_why(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    facts.overridden = Override(who="<b>Ana</b>", when="2026-01-02", why="a new shelf")
    text = page_of(config, facts)
    assert "Blessed by hand" in text
    assert "&lt;b&gt;Ana&lt;/b&gt; on 2026-01-02: a new shelf" in text


def test_a_run_that_died_has_a_page_that_says_where_and_why(tmp_path: Path) -> None:
    config = settings(tmp_path)
    node = NodeFacts(node="DataGate", state="failed", seconds=1.0, error="the data is not as its schema says\n<table>")
    facts = RunFacts(run_id=RUN, pipeline="shop", started="2026-01-01T00:00:00+00:00", state="failed", nodes=[node])
    workspace(config).run(RUN).mkdir(parents=True)
    (workspace(config).run(RUN) / "run.log").write_text("the last words of the log")
    text = page_of(config, facts)
    assert "What went wrong in DataGate" in text
    assert "&lt;table&gt;" in text
    assert "the last words of the log" in text
    assert [name for name in Outline(text).ids if name in SECTIONS] == list(SECTIONS)
    assert text.count("Nothing was predicted in this run") >= 3


def test_data_that_moved_since_the_last_blessed_run_is_named(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    place, earlier = workspace(config), add_baseline(config, facts)
    add_data(place, earlier, (0.5, 1.0), {"cola-1l": 90, "cola-2l": 10}, data_digest="old")
    add_data(place, facts, (0.0, 0.5), {"cola-1l": 10, "cola-2l": 90}, data_digest="new")
    text = page_of(config, facts)
    assert f"Drifted since version 1 (run {earlier.run_id}):" in text
    assert "brightness in train: 1.00 bits, over 0.10, median 0.75 before, 0.25 now" in text
    assert "class shares in train: 0.53 bits, over 0.10" in text  # 1 - entropy of (0.9, 0.1)
    assert "100 crops of 400 photos, digest old" in text
    assert "+80.0" in text and "−80.0" in text


def test_data_that_did_not_move_is_said_to_be_the_same(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    place, earlier = workspace(config), add_baseline(config, facts)
    for run in (earlier, facts):
        add_data(place, run, (0.5, 1.0), {"cola-1l": 90}, data_digest="old")
    assert f"The photos are the same. Nothing drifted since version 1 (run {earlier.run_id})." in page_of(config, facts)


def test_without_an_earlier_run_there_is_no_drift_to_tell(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    assert "Nothing to compare with: no model was blessed before this run." in page_of(config, facts)
    add_baseline(config, facts)
    shutil.rmtree(workspace(config).run("20251231T000000.000Z"))
    assert "The drift since version 1 cannot be told: what its run left is gone." in page_of(config, facts)


def test_code_has_changed_only_if_the_run_before_had_other_code(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    earlier = add_baseline(config, facts)  # whose manifest has the digest of the training, which is another one
    facts.code_digest = earlier.code_digest = "same"
    write_run(workspace(config), earlier)
    assert "code" not in [what for what, *_ in changes.build(collect(config, facts))]
    facts.code_digest = "other"
    assert ("code", "same", "other") in changes.build(collect(config, facts))


def test_what_changed_in_catalogue_and_settings_is_told_in_words(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    before = CATALOG.replace("cola-2l,Cola 2 l,Drinks,Cola,cola,300,100\n", "beer,Beer,Drinks,Beer,beer,90,70\n").replace(
        "200,80", "210,80"
    )
    add_baseline(config, facts, before)
    text = page_of(config, facts)
    assert '<td class="name">catalogue: SKUs added</td><td></td><td>cola-2l</td>' in text
    assert '<td class="name">catalogue: SKUs removed</td><td>beer</td><td></td>' in text
    assert '<td class="name">catalogue: cola-1l</td><td>height_mm 210.0</td><td>height_mm 200.0</td>' in text
    assert '<td class="name">train.epochs</td><td>3</td>' in text
    assert '<td class="name">verdict.rules</td><td>metric sku_accuracy signature serving_default at_least 0.7</td><td>' in text
    assert '<td class="name">settings that are new</td><td></td><td>abstain' in text
    assert "{&#39;" not in text.partition("<script")[0]


def test_a_run_that_was_killed_has_a_page_of_what_it_came_to(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    facts.state, facts.pid = "running", 2**22  # no process has that number
    facts.nodes = [node for node in facts.nodes if node.node in ("ExampleGen", "DataGate")]
    facts.nodes.append(NodeFacts(node="Trainer", state="running", seconds=3.0))
    write_run(workspace(config), facts)
    text = page_of(config, find_run(workspace(config), RUN))
    assert "Interrupted" in text and "the next one goes on from there" in text
    assert "Crops of each SKU by role" in text  # what was read is shown
    assert "Nothing was trained to the end in this run." in text and "No card: the run did not come so far." in text
    assert [name for name in Outline(text).ids if name in SECTIONS] == list(SECTIONS)


def test_nodes_that_ran_side_by_side_are_drawn_where_they_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, facts = whole_run(tmp_path)
    facts.seconds = 20.0
    facts.nodes = [
        NodeFacts(node="Trainer", state="ran", seconds=10.0, began=2.0),
        NodeFacts(node="InfraCheck", state="ran", seconds=6.0, began=12.0),
        NodeFacts(node="Predictions", state="ran", seconds=7.0, began=12.5),
        NodeFacts(node="Verdict", state="ran", seconds=0.5),  # of a run before nodes told when they began
    ]
    drawn: list[tuple[list[tuple[object, ...]], float]] = []

    def timeline(rows: list[tuple[object, ...]], total: float) -> Markup:
        drawn.append((rows, total))
        return Markup("")

    monkeypatch.setattr(charts, "timeline", timeline)
    page_of(config, facts)
    ((rows, total),) = drawn
    assert [(row[0], row[2]) for row in rows] == [("Trainer", 2.0), ("InfraCheck", 12.0), ("Predictions", 12.5), ("Verdict", 19.5)]
    assert total == 20.0


def test_a_metric_that_is_not_a_number_is_a_dash(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    path = workspace(config).nodes / "Evaluator" / "evaluation" / "1" / "evaluation.json"
    path.write_text('{"serving_default": {"overall": {"sku_accuracy": null, "macro_f1": null, "examples": 6}}, "predict_sized": {}}')
    assert [tile.plain for tile in tiles.build(collect(config, facts))][:6] == ["–"] * 6
    path.write_text('{"serving_default": {"overall": {"sku_accuracy": NaN}}}')  # no JSON, so no file of ours
    assert "evaluation.json: cannot be read" in page_of(config, facts)


def test_damaged_files_are_named_and_the_page_is_made(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    nodes = workspace(config).nodes
    (nodes / "Verdict" / "verdict" / "1" / "verdict.json").write_text("{not json")
    (nodes / "Trainer" / "model_run" / "1" / "history.json").unlink()
    next((nodes / "Predictions").rglob("*.tfrecord")).write_bytes(b"short")
    text = page_of(config, facts)
    assert "verdict.json: cannot be read" in text
    assert "history.json: it is not there" in text
    assert "ends in the middle of a record" in text


@pytest.mark.parametrize(
    "crops",
    [
        (),
        (Crop(0, 0, 0.9),),
        (Crop(0, 0, 0.9), Crop(0, 0, 0.8)),
        (Crop(0, 1, float("nan")), Crop(1, 1, float("nan"))),
        (Crop(0, -1, 0.9), Crop(1, 1, 0.8)),
    ],
    ids=["no crop", "one crop", "one class", "confidences that are no numbers", "an answer that was removed"],
)
def test_odd_predictions_have_a_page_all_the_same(tmp_path: Path, crops: tuple[Crop, ...]) -> None:
    text = page_of(*whole_run(tmp_path, crops))
    assert [name for name in Outline(text).ids if name in SECTIONS] == list(SECTIONS)
    assert "NaN" not in text.partition("<script>")[0]


def test_missing_photos_leave_a_place(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    del facts.nodes[0].outputs["examples"]
    assert "no photo kept" in page_of(config, facts)


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    assert page_of(config, facts) == page_of(config, facts)


def test_a_page_against_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    with pytest.raises(RunError, match="no run 'other'"):
        write_page(config, facts, "other")


@pytest.mark.long
def test_runs_side_by_side_and_the_index(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    write_page(config, facts)
    text = overview.write_comparison(config, (RUN, RUN)).read_text("utf-8")
    assert text.count(f'href="{RUN}/report.html"') >= 2
    assert "50.0 %" in text
    index = overview.write_index(config).read_text("utf-8")
    assert f'href="{RUN}/report.html"' in index
    assert "not blessed" in index


def test_many_skus_are_a_picture_whose_dots_cover_several() -> None:
    counts = np.diag([2] * 800)
    counts[0, 700] = 6  # SKU 0: three in four are taken for SKU 700
    found = Matrix([f"sku {place}" for place in range(800)], [""] * 800, counts)
    levels, factor = pictures._levels(found)
    assert (factor, levels.shape) == (3, (267, 267))
    assert levels[0, 233] == 14  # 8 + 0.75 of 7, rounded up
    assert levels[1, 1] == 7  # all right
    assert levels[0, 0] == 6  # 0.25, 1 and 1 are right
    assert "800 SKUs" in pictures.matrix(found)


def test_a_page_that_cannot_be_made_is_told_and_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, facts = whole_run(tmp_path)
    monkeypatch.setattr(local_run, "write_page", lambda *_: 1 / 0)
    said = io.StringIO()
    local_run._write_page(config, facts, Console(file=said))
    assert "the page could not be written: ZeroDivisionError" in said.getvalue()
    assert not (workspace(config).run(RUN) / PAGE).exists()


def test_the_end_of_a_run_names_its_page(tmp_path: Path) -> None:
    config, facts = whole_run(tmp_path)
    assert "report    " not in report.ending(config, facts)
    write_page(config, facts)
    assert PAGE in report.ending(config, facts)


def test_a_card_is_headings_tables_and_lists_and_the_rest_stays_text() -> None:
    text = html("# A <b>\n\nOne `x`.\n\n| a | b |\n| --- | --- |\n| 1 \\| 2 | <i> |\n\n- one\n- two\n")
    assert "<h3>A &lt;b&gt;</h3>" in text
    assert "<p>One <code>x</code>.</p>" in text
    assert "<td>1 | 2</td><td>&lt;i&gt;</td>" in text
    assert "<ul><li>one</li><li>two</li></ul>" in text
