"""A run's parameters: what the form may change, checked by the configuration's own code."""

import pytest

from tests.fast.test_compiled import config
from tfx_retail import config_file, parameters
from tfx_retail.config_file import ConfigError


@pytest.mark.parametrize("settings", ["null", "[]"])
def test_an_empty_form_changes_nothing(settings: str) -> None:
    text = f'{{"data_path": null, "epochs": null, "force": false, "no_cache": false, "settings": {settings}}}'
    assert parameters.applied(config(), parameters.read(text)) == parameters.applied(config(), parameters.read(""))


def test_each_field_stands_for_a_setting() -> None:
    given = parameters.read('{"data_path": "/srv/new", "epochs": 3, "force": true, "no_cache": true, "settings": ["train.batch_size=8"]}')
    changed = parameters.applied(config(), given)
    assert (changed.data.path, changed.train.epochs, changed.train.batch_size, changed.cache) == ("/srv/new", 3, 8, False)
    assert (changed.data.on_anomalies, changed.data.on_leakage) == ("warn", "warn")


def test_no_sample_is_drawn_into_a_folder_that_the_form_names() -> None:
    drawn = config_file.changed(config(), {"data.sample": {"photos": 60, "skus": 12}}, "here")
    assert drawn.data.sample is not None
    assert parameters.applied(drawn, parameters.read('{"data_path": "/srv/mistyped"}')).data.sample is None
    assert parameters.applied(drawn, parameters.read('{"epochs": 3}')).data.sample == drawn.data.sample


def test_force_leaves_the_verdict_alone() -> None:
    changed = parameters.applied(config(), parameters.read('{"force": true}'))
    assert changed.verdict == config().verdict


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"epochs": "many"}',
            r"the run's parameters: Expected `int \| null`, got `str` - at `\$.epochs`; allowed: data_path, epochs, force",
        ),
        ('{"epoch": 3}', "unknown field `epoch`; allowed: data_path, epochs"),
        ("{", "the run's parameters: Input data was truncated"),
    ],
)
def test_a_wrong_form_says_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parameters.read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epochs": 0}', r"parameters: train\.epochs: expected int >= 1, got 0"),
        ('{"data_path": "photos"}', r"parameters: data\.path: expected an absolute path, got 'photos'"),
        ('{"settings": ["train.epoch=3"]}', r"parameters: train\.epoch: unknown key; allowed here: epochs, "),
        ('{"settings": ["train.epochs"]}', "expected KEY=VALUE"),
        ('{"settings": ["train.epochs=[1"]}', "the value is not YAML"),
        ('{"settings": ["root=/elsewhere", "airflow.retries=1"]}', r"root, airflow\.retries: the same for all runs"),
        ('{"epochs": 1}', r"parameters: train\.warmup_epochs: 1 is not less than train\.epochs \(1\)"),
    ],
)
def test_what_the_configuration_refuses_the_form_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parameters.applied(config(), parameters.read(text))
