"""The package that travels to workers."""

import json
import tarfile
from pathlib import Path

import pytest

from tfx_retail import shipped


@pytest.mark.long
def test_the_same_code_gives_the_same_file_and_it_is_written_once(tmp_path: Path) -> None:
    first = shipped.keep(tmp_path, [tmp_path])
    stamp = first.stat().st_mtime_ns
    again = shipped.keep(tmp_path, [tmp_path])
    assert again == first and again.stat().st_mtime_ns == stamp
    assert first.name.endswith("-tfx-retail.tar.gz")


@pytest.mark.long
def test_it_holds_the_package_a_setup_for_pip_and_the_facts_of_the_submitter(tmp_path: Path) -> None:
    with tarfile.open(shipped.keep(tmp_path, [tmp_path])) as archive:
        names = archive.getnames()
        (facts,) = (name for name in names if name.endswith("/submitter.json"))
        seen = json.loads(archive.extractfile(facts).read())["seen"]  # type: ignore[union-attr]
    top = facts.partition("/")[0]
    assert {f"{top}/setup.py", f"{top}/PKG-INFO", f"{top}/tfx_retail/ingest/shards.py", f"{top}/tfx_retail/py.typed"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]
    assert seen == {str(tmp_path): -1}
