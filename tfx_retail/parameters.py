"""What a scheduler's user may change for one run: the form's fields, and the settings that each stands for."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tfx_retail import config_file
from tfx_retail.config import Config
from tfx_retail.config_file import ConfigError

# where things lie, and what makes the nodes of the DAG: those are of all runs
_FIXED = ("name", "root", "serving.dir", "airflow", "unknowns.hold_out", "pretrain", "tune")


class Parameters(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parameters of one run. Left empty, each is what the configuration says."""

    data_path: Annotated[str | None, Meta(description="Folder of labelled photos, absolute, as the workers see it")] = None
    epochs: Annotated[int | None, Meta(description="Passes over the train split, at most: 1 or more")] = None
    force: Annotated[
        bool, Meta(description="Go on where anomalies or leaking photos would stop the run; the verdict still decides what is pushed")
    ] = False
    no_cache: Annotated[bool, Meta(description="Run every node, whatever earlier runs left")] = False
    settings: Annotated[list[str] | None, Meta(description="Further settings, one a line: train.learning_rate=0.001")] = None


def read(text: str) -> Parameters:
    """Returns the parameters of a JSON object; an empty text has none.

    Raises:
      ConfigError: with what is wrong.
    """
    try:
        return msgspec.json.decode(text or "{}", type=Parameters)
    except msgspec.MsgspecError as error:
        allowed = ", ".join(Parameters.__struct_fields__)
        raise ConfigError([f"the run's parameters: {error}; allowed: {allowed}; change them in the form and trigger again"]) from None


def applied(config: Config, given: Parameters) -> Config:
    """Returns the configuration of a run.

    Raises:
      ConfigError: with every fault, as the configuration file would have it.
    """
    changes = _changes(given)
    fixed = [key for key in changes if any(key == name or key.startswith(f"{name}.") for name in _FIXED)]
    if fixed:
        raise ConfigError([f"parameters: {', '.join(fixed)}: the same for all runs; change the configuration and compile it again"])
    return config_file.changed(config, changes, "parameters")


def _changes(given: Parameters) -> dict[str, Any]:
    changes = dict(config_file.parse(text) for text in given.settings or ())
    if given.data_path is not None:  # a folder of somebody's photos: where it is not there, a mistyped name, no sample is drawn into it
        changes |= {"data.path": given.data_path, "data.sample": None}
    changes |= {} if given.epochs is None else {"train.epochs": given.epochs}
    changes |= {"data.on_anomalies": "warn", "data.on_leakage": "warn"} if given.force else {}
    return changes | ({"cache": False} if given.no_cache else {})
