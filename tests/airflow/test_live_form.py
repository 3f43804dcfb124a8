"""The form of Trigger, filled in by a browser: what its fields give is what `configure` is told."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.airflow.live import Live
from tests.airflow.stub import Stub, until
from tools.airflow_pictures import Pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EMPTY = {"data_path": None, "epochs": None, "force": False, "no_cache": False, "settings": None}


@pytest.fixture(scope="module")
def pages(live: Live) -> Iterator[Pages]:
    """Airflow's pages, logged in."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the dev group")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: `make test-deps` does it")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # as root, in a container, it needs that
        yield Pages(started, live.folder, live.major)
        started.close()


@pytest.fixture(scope="module")
def stub(live: Live) -> Stub:
    return Stub(live, "stub_form", {"configure": {"seconds": 0}}, retries=0)


def told(stub: Stub, pages: Pages, fields: dict[str, str]) -> Any:
    """Returns what `configure` is told of a run that the form starts with these fields filled in."""
    before = len(stub.calls("configure"))
    pages.open_form(stub.name)
    for name, text in fields.items():
        pages.page.locator(f"[name=element_{name}]").fill(text)
    pages.submit_form()
    until(lambda: len(stub.calls("configure")) > before, "a run that the form started")
    return json.loads(stub.calls("configure")[-1]["parameters"])


def test_a_form_that_nobody_filled_in_starts_a_run_as_it_is_configured(stub: Stub, pages: Pages) -> None:
    assert told(stub, pages, {}) == EMPTY


def test_what_is_filled_in_is_told_with_its_type(stub: Stub, pages: Pages) -> None:
    fields = {"epochs": "2", "settings": "train.batch_size=8\ntrain.seed=3"}
    assert told(stub, pages, fields) == {**EMPTY, "epochs": 2, "settings": ["train.batch_size=8", "train.seed=3"]}
