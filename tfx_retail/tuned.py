"""Settings that a search has chosen: applied to a configuration, and as a fragment of one that a person can read and keep.

keras-tuner knows numbers and texts alone, so every value travels as JSON: `0.002`, `"sgd"`, `[1, 1, 1]`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from tfx_retail.config import Config, TuneConfig

SECTIONS = ("model", "train")  # what a training depends on


def applied(config: Config, values: Mapping[str, str]) -> Config:
    """Returns the configuration with some settings changed.

    Args:
      values: `section.key` -> value as JSON.

    Raises:
      msgspec.ValidationError: a value is not one of its setting.
      KeyError: there is no such section.
    """
    tree = msgspec.to_builtins(config)
    for key, text in values.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            place = place[section]
        place[name] = json.loads(text)
    return msgspec.convert(tree, Config)


def choices(settings: TuneConfig) -> dict[str, list[str]]:
    """Returns the search space: `section.key` -> values as JSON."""
    return {key: [json.dumps(value) for value in values] for key, values in settings.space.items()}


def faults(config: Config) -> Iterator[str]:
    """Yields what is wrong with the search space, a line for each fault."""
    settings = config.tune
    if settings and config.unknowns.hold_out:
        yield "tune: not together with unknowns.hold_out: the sibling would be another network; search first, keep the values of tuned.yaml"
    for key, texts in (choices(settings) if settings else {}).items():
        if key.split(".")[0] not in SECTIONS or "." not in key:
            yield f"tune.space: {key} is no setting of a training; allowed are those of {' and '.join(SECTIONS)}, say train.learning_rate"
            continue
        if not texts:
            yield f"tune.space: {key} has no value to try; give two or more"
        for text in texts:
            try:
                applied(config, {key: text})
            except (msgspec.ValidationError, KeyError, TypeError) as error:
                yield f"tune.space: {key}: {text} cannot be tried: {error}"


def fragment(values: Mapping[str, str], words: str) -> str:
    """Returns the chosen values as a part of a configuration file, with what is to be known of them as a comment."""
    tree: dict[str, Any] = {}
    for key, text in values.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = json.loads(text)
    comment = "".join(f"# {line}\n" for line in words.splitlines())
    return comment + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
