"""The command line: exit codes, messages, and no TensorFlow where none is needed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.fast.shop import CONFIG
from tfx_retail import cli

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def act(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        said = capsys.readouterr()
        return int(str(ended.value)), said.out + said.err

    return act


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return str(path)


def test_every_command_of_the_contract_has_help() -> None:
    text = CliRunner().invoke(cli.cli, ["--help"]).output
    for name in ("run", "check", "schema", "sample", "runs", "report", "predict", "gc", "versions", "rollback"):
        assert f"\n  {name} " in text
        assert CliRunner().invoke(cli.cli, [name, "--help"]).exit_code == 0


@pytest.mark.long
def test_help_and_check_load_no_tensorflow(config: str) -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from tfx_retail import cli\n"
        f"for words in (['--help'], ['check', {config!r}], ['runs', {config!r}], ['versions', {config!r}]):\n"
        "    CliRunner().invoke(cli.cli, words)\n"
        "heavy = {'tensorflow', 'keras', 'tfx', 'apache_beam', 'ml_metadata'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wrong_setting_is_exit_2_with_its_key(call: Call, config: str) -> None:
    code, text = call("run", config, "--set", "train.epochs=many")
    assert code == 2
    assert "train.epochs: expected int, got 'many'" in text
    assert "Traceback" not in text


def test_a_missing_catalogue_is_exit_2(call: Call, config: str) -> None:
    code, text = call("run", config)
    assert code == 2
    assert "catalog.csv" in text and "Traceback" not in text


def test_a_broken_tf_config_is_told_before_the_run(call: Call, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together = ("--set", "train.strategy=multi_worker", "--set", "train.workers=2")
    monkeypatch.setenv("TF_CONFIG", "{")
    code, text = call("run", config, *together)
    assert code == 2
    assert text.startswith("error: TF_CONFIG: cannot be read") and "catalog.csv" not in text


def test_a_worker_without_tf_config_is_told_what_to_set(call: Call, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    code, text = call("train-worker", config, "--set", "train.strategy=multi_worker", "--set", "train.workers=2")
    assert code == 2
    assert text.startswith("error: TF_CONFIG is not set")


def test_wrong_usage_is_exit_2(call: Call, config: str) -> None:
    assert call("run")[0] == 2
    assert call("fly")[0] == 2
    assert call("gc", config, "--keep", "0")[0] == 2


def test_a_run_that_is_not_there_is_exit_1(call: Call, config: str) -> None:
    code, text = call("report", config)
    assert code == 1
    assert "no run yet" in text


def test_a_version_that_is_not_there_is_exit_1(call: Call, config: str) -> None:
    code, text = call("rollback", config, "7")
    assert code == 1
    assert "no version 7" in text


def test_predict_wants_one_image_with_a_size(call: Call, tmp_path: Path) -> None:
    code, text = call("predict", str(tmp_path), "a.jpg", "b.jpg", "--height-mm", "100")
    assert code == 2
    assert "one image only" in text


@pytest.mark.long
def test_a_command_that_needs_the_extra_names_it(config: str) -> None:
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from tfx_retail import cli\n"
        "sys.argv = ['tfx-retail', 'predict', '.', 'a.jpg']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "tfx-retail[tfx]" in done.stderr and "Traceback" not in done.stderr
