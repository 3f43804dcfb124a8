"""What a worker has to have in common with the submitter, and what it says where it has not."""

import json
from pathlib import Path

from tfx_retail.worker import facts


def told(folder: Path, **changes: object) -> list[str]:
    return facts.differences(json.dumps(json.loads(facts.of_submitter([folder])) | changes).encode())


def test_a_worker_with_the_same_python_packages_and_storage_takes_the_job(tmp_path: Path) -> None:
    assert told(tmp_path) == []


def test_another_python_is_named_with_both_versions(tmp_path: Path) -> None:
    (difference,) = told(tmp_path, python="3.7")
    assert difference.startswith("it has Python 3.") and "the submitter 3.7; install there" in difference


def test_packages_that_differ_are_named_with_both_versions(tmp_path: Path) -> None:
    packages = json.loads(facts.of_submitter([]))["packages"]
    (difference,) = told(tmp_path, packages=packages | {"numpy": "0.1"})
    assert difference.startswith(f"it has numpy {packages['numpy']} (submitter: 0.1); install there")


def test_a_package_that_only_one_of_them_has_is_named(tmp_path: Path) -> None:
    (difference,) = told(tmp_path, packages={"no-such-package": "1.0"})
    assert difference.startswith("it has no-such-package not at all (submitter: 1.0)")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert facts.differences(facts.of_submitter([gone])) == [
        f"it does not see {gone}; put `root` and `data.path` on a file system that all of them see"
    ]


def test_a_file_of_that_name_with_other_bytes_is_another_storage(tmp_path: Path) -> None:
    file = tmp_path / "catalog.csv"
    file.write_bytes(b"sku,name")
    submitter = facts.of_submitter([file])
    file.write_bytes(b"sku")
    assert facts.differences(submitter) == [
        f"its {file} is another one (3 bytes, the submitter's has 8); all of them need the same file system"
    ]


def test_a_refusal_is_one_line_that_can_be_found_in_what_a_runner_says() -> None:
    line = facts.refusal(["it lacks\nthis", "and that"])
    assert line.startswith(facts.REFUSES) and line.endswith("cannot do this job: it lacks this; and that")
