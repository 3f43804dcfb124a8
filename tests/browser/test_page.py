"""The page as a reader has it: in Chromium, without a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fast.page_data import add_baseline, add_data
from tests.fast.page_run import CROPS, RUN, SKUS, whole_run
from tfx_retail.inputs import workspace
from tfx_retail.page import overview
from tfx_retail.page.write import write_page
from tfx_retail.runs import NodeFacts, RunFacts, write_run

SECTIONS = ("Verdict", "Numbers", "Confusion", "Doubt", "Size", "Data", "Training", "Worst mistakes", "Lineage", "Model card")
WIDTHS = (1440, 820, 390, 320)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A refused run with an earlier one whose data was other, one that failed, a comparison, the index."""
    config, facts = whole_run(tmp_path_factory.mktemp("run"), CROPS * 8)
    add_data(workspace(config), add_baseline(config, facts), (0.5, 1.0), {"cola-1l": 90, "cola-2l": 10}, data_digest="old")
    failed = RunFacts(run_id="20260102T000000.000Z", pipeline="shop", started="2026-01-02T00:00:00+00:00", state="failed")
    failed.nodes = [NodeFacts(node="DataGate", state="failed", seconds=1.0, error="the data is not as its schema says")]
    write_run(workspace(config), failed)
    written = [write_page(config, facts), write_page(config, failed)]
    return [*written, overview.write_comparison(config, (RUN, RUN)), overview.write_index(config)]


@pytest.fixture(scope="module")
def file(pages: list[Path]) -> Path:
    return pages[0]


class Opened:
    """A page and what it said and asked for."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page, self.said, self.requests = page, [], []  # type: ignore[var-annotated]
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(file.as_uri())


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield Opened(context.new_page(), file)
    context.close()


def texts(page: Any, selector: str) -> list[str]:
    return [str(text).strip() for text in page.locator(selector).all_inner_texts()]


def test_every_section_is_named_in_the_contents_and_there(opened: Opened) -> None:
    assert texts(opened.page, ".contents a") == list(SECTIONS)
    for link in opened.page.locator(".contents a").all():
        assert opened.page.locator(f"section{link.get_attribute('href')}").is_visible()


def test_it_asks_for_nothing_and_says_nothing(opened: Opened, file: Path) -> None:
    opened.page.mouse.wheel(0, 20_000)
    opened.page.wait_for_load_state("networkidle")
    assert [url for url in opened.requests if not url.startswith("data:")] == [file.as_uri()]
    assert opened.said == []


def test_a_script_as_a_name_is_text_and_does_not_run(opened: Opened) -> None:
    dialogs: list[Any] = []

    def note(dialog: Any) -> None:
        dialogs.append(dialog)

    opened.page.on("dialog", note)
    opened.page.locator("#table-slices input").fill("<script>")
    assert SKUS[2] in texts(opened.page, "#table-slices tbody td:nth-child(2)")
    assert dialogs == []


def test_a_table_is_sorted_by_its_heads_up_and_down(opened: Opened) -> None:
    head = opened.page.locator("#table-balance thead th").nth(0)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert texts(opened.page, "#table-balance tbody td:first-child") == [SKUS[0], SKUS[1], SKUS[2], SKUS[3]]
    head.locator("button").click()
    assert texts(opened.page, "#table-balance tbody td:first-child") == [SKUS[3], SKUS[2], SKUS[1], SKUS[0]]


def test_numbers_are_sorted_as_numbers(opened: Opened) -> None:
    heads = texts(opened.page, "#table-slices thead button")
    opened.page.locator("#table-slices thead button", has_text="crops").click()
    counts = [int(text) for text in texts(opened.page, f"#table-slices tbody td:nth-child({heads.index('crops') + 1})")]
    assert counts == sorted(counts, reverse=True)


def test_search_and_filter_narrow_a_table(opened: Opened) -> None:
    opened.page.locator("#table-slices select").select_option("store")
    assert sorted(texts(opened.page, "#table-slices tbody td:nth-child(2)")) == ["north", "south"]
    opened.page.locator("#table-slices input").fill("SOUTH")
    assert texts(opened.page, "#table-slices tbody td:nth-child(2)") == ["south"]
    opened.page.locator("#table-slices input").fill("no such thing")
    assert texts(opened.page, "#table-slices tbody td") == ["No row matches."]


def test_precision_among_accepted_is_sorted_and_filtered_by_slice(opened: Opened) -> None:
    opened.page.locator("#table-accepted select").select_option("family")
    assert set(texts(opened.page, "#table-accepted tbody td:nth-child(2)")) == {"Cola", "Tea"}
    opened.page.locator("#table-accepted thead button", has_text="right among accepted").click()
    precision = [float(text.removesuffix(" %")) for text in texts(opened.page, "#table-accepted tbody td:nth-child(5) span")]
    assert precision == sorted(precision, reverse=True)
    assert {50.0, 100.0} == set(precision)


def test_the_gallery_is_filtered_by_sku(opened: Opened) -> None:
    shown = opened.page.locator("[data-gallery] .shot:visible")
    assert shown.count() == 12
    assert opened.page.locator("[data-gallery] .chip", has_text="accepted").count() == 6
    opened.page.locator("[data-gallery] input").fill("TEA")
    assert shown.count() == 6
    assert opened.page.locator("[data-gallery] output").inner_text() == "6 of 12"


def test_tabs_are_moved_through_with_the_arrows(opened: Opened) -> None:
    opened.page.locator("#matrix-tab-1").focus()
    opened.page.keyboard.press("ArrowRight")
    assert opened.page.locator("#matrix-tab-2").get_attribute("aria-selected") == "true"
    assert opened.page.locator("#matrix-2").is_visible()
    assert not opened.page.locator("#matrix-1").is_visible()


def test_every_control_has_a_name_and_every_picture_words(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, img, svg[role=img]')].filter((node) => !(
            node.textContent.trim() || node.alt || node.getAttribute('aria-label') || node.closest('label') || node.hidden)).length"""
    )
    assert nameless == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("light", 390), ("dark", 1440), ("dark", 390)])
def test_axe_finds_no_fault(browser: Any, axe: Any, pages: list[Path], scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in pages:
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        found = axe.run(page).response["violations"]
        assert [(path.name, fault["id"], fault["nodes"][0]["html"]) for fault in found] == []
        page.close()
    context.close()


def test_all_is_reached_by_the_keyboard(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.locator("#table-balance thead button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#table-balance thead th").first.get_attribute("aria-sort") == "ascending"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # one sees where one is
    page.locator("details summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    page.locator(".contents a").nth(5).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#data"


def test_a_print_has_every_photo_and_both_matrices_and_no_controls(opened: Opened, tmp_path: Path) -> None:
    page = opened.page
    page.emulate_media(media="print")
    assert page.locator("#matrix-1").is_visible() and page.locator("#matrix-2").is_visible()
    assert not page.locator(".tools, .pager, .contents").locator("visible=true").count()
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.images.length") > 20
    page.pdf(path=tmp_path / "page.pdf", format="A4", print_background=True)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_against_what_lies_behind_it(browser: Any, file: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(file.as_uri())
    names = ("--ink", "--soft", "--blue", "--orange", "--card", "--paper", "--sunk")
    colors = page.evaluate("(names) => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue(name))", list(names))
    page.close()
    luminance = {name: _luminance(color.strip()) for name, color in zip(names, colors, strict=True)}
    for ink in names[:4]:
        for ground in names[4:]:
            low, high = sorted((luminance[ink], luminance[ground]))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{ink} on {ground}"  # Source: WCAG 2.1, 1.4.3


def _luminance(color: str) -> float:
    """Source: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways(browser: Any, pages: list[Path], width: int, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    for number, path in enumerate(pages):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"{path.stem}-{number}-{width}.png", full_page=True)
    page.close()


def test_the_page_has_its_numbers_without_a_script(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert "all crops of eval" in texts(page, "#table-slices tbody td:nth-child(2)")
    context.close()
