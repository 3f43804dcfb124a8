"""What one platform takes and makes, the other takes alike or refuses in words."""

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tests.fast.test_compiled import NODES, config
from tfx_retail import compiled, digests, platforms
from tfx_retail.compiled import CompiledError

Installed = Callable[[str], None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Makes it look as if that version of TFX were installed; none for an empty text."""

    def pretend(version: str) -> None:
        monkeypatch.setattr(platforms, "tfx_version", lambda: version)
        digests.code_digest.cache_clear()

    yield pretend
    digests.code_digest.cache_clear()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-05-17", "2024-05-17T00:00:00"),
        ("2024-05-17T09:30", "2024-05-17T09:30:00"),
        ("2024-05-17 09:30:15.250", "2024-05-17T09:30:15.250000"),
        ("2024-05-17T09:30:00Z", "2024-05-17T09:30:00+00:00"),
        ("2024-05-17T09:30:00+02:00", "2024-05-17T09:30:00+02:00"),
    ],
)
def test_a_moment_is_read_alike_by_every_python(text: str, meant: str) -> None:
    assert platforms.moment(text).isoformat() == meant


@pytest.mark.parametrize(
    "text", ["20240517", "2024-W20", "2024-W20-5", "2024-05-17T0930", "2024-05-17T09:30:00,5", "03/04/2024", "2024-02-30", ""]
)
def test_what_only_newer_pythons_read_is_refused_by_all(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its words are not shown: the reader says which column and what is allowed
        platforms.moment(text)


@pytest.mark.long
def test_the_cache_of_one_platform_is_not_the_others(installed: Installed) -> None:
    installed("1.16.0")
    older = digests.code_digest("tfx_retail.training")
    installed("1.21.0")
    assert digests.code_digest("tfx_retail.training") != older


def test_without_tfx_there_is_no_version_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(platforms, "version", missing)
    assert platforms.tfx_version.__wrapped__() == ""


def test_a_run_ends_on_the_platform_that_began_it(installed: Installed, tmp_path: Path) -> None:
    file = tmp_path / "compiled.json"
    installed("1.16.0")
    file.write_bytes(compiled.encode(compiled.sealed(config(), NODES, run_id="r", ir_digest="d")))
    assert compiled.read(file).tfx == "1.16.0"
    installed("1.21.0")
    with pytest.raises(
        CompiledError, match=r"compiled\.json: this run began with TFX 1\.16\.0, but 1\.21\.0 is installed here; .*: clear the task"
    ):
        compiled.read(file, compiled.CONFIGURE_AGAIN)


def test_a_pipeline_that_was_compiled_on_one_platform_runs_on_the_other(installed: Installed, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    installed("1.16.0")
    file.write_bytes(compiled.encode(compiled.sealed(config(), NODES)))
    for elsewhere in ("1.21.0", ""):  # a scheduler has no TFX at all
        installed(elsewhere)
        assert compiled.read(file).nodes == NODES
