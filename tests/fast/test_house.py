"""The house itself: docs that say what the code does, links that lead somewhere, nothing of one machine in the repository."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from tfx_retail.cli import cli
from tools.config_reference import reference
from tools.tally import tally

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".venv", ".cache", ".git", "output", "data"}
PAGES = sorted(
    page
    for part in ROOT.iterdir()
    if part.name not in NOT_OURS
    for page in (part.rglob("*.md") if part.is_dir() else [part])
    if page.suffix == ".md"
)


def test_the_configuration_reference_is_what_the_code_says() -> None:
    assert (ROOT / "docs/config.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_the_configuration_reference_shows_type_limits_default_and_meaning() -> None:
    row = "| `voc_origin` | `0`, `1` | `0` | first pixel's number in VOC boxes: 0 as labelImg writes, 1 as the original PASCAL |"
    assert row in reference()
    assert "| `min_box_px` | integer, ≥ 1 | `8` | boxes with a shorter side are rejected |" in reference()


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_and_stands_in_the_docs(name: str) -> None:
    assert cli.commands[name].get_short_help_str()
    assert f"`tfx-retail {name} " in (ROOT / "docs/commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_of_a_command_has_help(name: str) -> None:
    options = [item for item in cli.commands[name].params if isinstance(item, click.Option)]
    assert [item.name for item in options if not item.help] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_every_decision_is_listed_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "docs/decisions").glob("*.md") if f"decisions/{path.name}" not in index] == []


def test_every_target_of_make_stands_in_the_docs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.* ## ", makefile, flags=re.MULTILINE)) - {"help"}
    docs = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [target for target in sorted(targets) if f"`make {target}`" not in docs] == []


def test_no_file_of_the_repository_names_a_folder_of_one_machine() -> None:
    pattern = "/" + "(root|home|Users|work)/"
    found = subprocess.run(["git", "grep", "-nIE", pattern, "--", ":!uv.lock"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode in (1, 128), found.stdout  # 1: nothing found, 128: not a checkout


def test_the_tally_counts_broken_fixtures_as_failures(tmp_path: Path) -> None:
    (tmp_path / "fast.xml").write_text('<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/></testsuites>')
    (tmp_path / "full.xml").write_text('<testsuites><testsuite tests="2" failures="0" errors="0" skipped="0"/></testsuites>')
    assert tally(tmp_path) == {"passed": 4, "failed": 2, "skipped": 1}
