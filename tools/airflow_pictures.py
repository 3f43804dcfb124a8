"""Takes the pictures of docs/airflow.md: `python -m tools.airflow_pictures FOLDER 3 PIPELINE RUN REFUSED_PIPELINE ITS_RUN`."""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
# Where the machine that takes the pictures keeps its things tells nobody anything.
_PATHS_OF_ANYWHERE = """() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    node.nodeValue = node.nodeValue.replace(/(\\/[\\w.-]+)+\\/(pipelines|faults|output|tfx-retail)\\b/g, '/srv/$2');
  }
}"""
PATIENCE_MS = 120_000  # a page of a machine that trains may take a while


class Pages:
    """Airflow's pages in a browser, logged in."""

    def __init__(self, browser: Any, folder: Path, major: int) -> None:
        ports = dict(line.split("=") for line in (folder / "ports").read_text().split())
        self._root = f"http://127.0.0.1:{ports['web_port']}"
        self._major = major
        self._prefix = "airflow" if major == 3 else "airflow-2"
        self.page = browser.new_context(viewport={"width": 1400, "height": 860}, locale="en-US").new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self._log_in(major, (folder / "password").read_text().strip())

    def _log_in(self, major: int, password: str) -> None:
        self.go("/" if major == 3 else "/login/")
        self.page.fill("input[name=username]", "admin")
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]" if major == 3 else "input[type=submit]")
        self.settle()

    def go(self, path: str) -> None:
        """Opens a page and waits until it is at rest."""
        self.page.goto(self._root + path)
        self.settle()

    def settle(self) -> None:
        """Waits until nothing is fetched any more and what came was drawn."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(3000)

    def widen_grid(self) -> None:
        """Draws the border of 3's grid to the right, so that a dozen runs can be seen."""
        self.page.mouse.move(339, 700)
        self.page.mouse.down()
        self.page.mouse.move(540, 700, steps=5)
        self.page.mouse.up()
        self.settle()

    def open_form(self, pipeline: str) -> None:
        """Opens the form by which a run is triggered."""
        self.go(f"/dags/{pipeline}" if self._major == 3 else f"/dags/{pipeline}/trigger")
        if self._major == 3:
            self.page.get_by_role("button", name="Trigger").first.click()
            self.settle()

    def submit_form(self) -> None:
        """Presses the form's own button."""
        self.page.get_by_role("button", name="Trigger").last.click()
        self.settle()

    def keep(self, name: str) -> None:
        """Writes the picture of the page as it is, without what hangs under the mouse."""
        self.page.mouse.move(0, 0)
        self.page.evaluate(_PATHS_OF_ANYWHERE)
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=IMAGES / f"{self._prefix}-{name}.png")


def pictures_of_3(pages: Pages, pipeline: str, run: str, refused: str, refused_run: str) -> None:
    """Grid, graph, form, log, skipped Pusher."""
    pages.go(f"/dags/{pipeline}/runs/{run}")
    pages.widen_grid()
    pages.keep("grid")
    pages.go(f"/dags/{pipeline}/runs/{run}/tasks/Report")
    pages.page.get_by_label("Show Graph").first.click()
    pages.page.get_by_label("Collapse Details Panel").first.click()
    pages.settle()
    pages.keep("graph")
    pages.page.get_by_label("Expand Details Panel").first.click()
    pages.page.get_by_label("Show Grid").first.click()
    pages.go(f"/dags/{refused}/runs/{refused_run}/tasks/Pusher")
    pages.keep("skipped")
    pages.open_form(pipeline)
    pages.keep("form")


def pictures_of_2(pages: Pages, pipeline: str, run: str, refused: str, refused_run: str) -> None:
    """Grid, graph, form, skipped Pusher."""
    pages.go(f"/dags/{pipeline}/grid?dag_run_id={run}")
    pages.keep("grid")
    pages.go(f"/dags/{pipeline}/grid?dag_run_id={run}&tab=graph")
    pages.keep("graph")
    pages.go(f"/dags/{refused}/grid?dag_run_id={refused_run}&task_id=Pusher&tab=logs")
    pages.keep("skipped")
    pages.open_form(pipeline)
    pages.keep("form")


def main(folder: str, major: str, *names: str) -> None:
    """Takes all pictures of one version."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        pages = Pages(browser, Path(folder) / major, int(major))
        (pictures_of_3 if major == "3" else pictures_of_2)(pages, *names)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
