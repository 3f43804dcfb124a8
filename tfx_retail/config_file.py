"""Reads a configuration file: checked whole, every fault named, paths made absolute."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import yaml

from tfx_retail import storage, tuned
from tfx_retail.config import Config
from tfx_retail.errors import UserError
from tfx_retail.features import ROLES
from tfx_retail.section import Section


class ConfigError(UserError):
    """The configuration cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """Returns the checked configuration, its paths made absolute.

    Args:
      overrides: `section.key=value` texts, the value in YAML, applied over the file.

    Raises:
      ConfigError: with every fault found, each as `<file>: <key>: <what is wrong>`.
      RunError: a folder that it names does not answer.
    """
    tree = _read_yaml(path)
    for override in overrides:
        _put(tree, *parse(override))
    return _checked(tree, path.resolve().parent, str(path))


def changed(config: Config, changes: dict[str, Any], where: str) -> Config:
    """Returns a configuration with some settings changed, checked as the file was; paths among them have to be absolute.

    Args:
      changes: `section.key` -> value.
      where: what messages call the place that the changes come from.

    Raises:
      ConfigError: with every fault found.
    """
    tree = msgspec.to_builtins(config)
    for key, value in changes.items():
        _put(tree, key, value)
    return _checked(tree, None, where)


def parse(override: str) -> tuple[str, Any]:
    """Returns key and value of `section.key=value`, the value in YAML.

    Raises:
      ConfigError: it has no `=`, or its value is not YAML.
    """
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError([f"--set {override}: expected KEY=VALUE, say train.epochs=3"])
    try:
        return key.strip(), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([f"--set {override}: the value is not YAML: {' '.join(str(error).split())}"]) from None


def _checked(tree: dict[str, Any], folder: Path | None, where: str) -> Config:
    """Args: `folder` is what paths are relative to; None where only absolute ones will do."""
    faults = [f"{where}: {fault}" for fault in _faults(Config, tree, "")]
    if faults:
        raise ConfigError(faults)
    config = msgspec.convert(tree, Config)
    faults = [f"{where}: {fault}" for fault in (*_addresses(config), *(_relative_paths(config) if folder is None else ()))]
    if faults:
        raise ConfigError(faults)
    folder = folder or Path("/")
    # before anything else looks at them: to make a path absolute is to look at each folder on its way
    storage.check_answers({key: str(folder / path) for key, path in _places(config).items()})
    config = _absolute(config, folder)
    contradictions = [f"{where}: {fault}" for fault in _contradictions(config)]
    if contradictions:
        raise ConfigError(contradictions)
    return config


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(tree, dict):
        raise ConfigError([f"{path}: expected keys like `name:` and `data:`, got {type(tree).__name__}"])
    return tree


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, leaf = key.split(".")
    for parent in parents:
        node = tree.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError([f"--set {key}: {parent} is not a section"])
        tree = node
    tree[leaf] = value


def _addresses(config: Config) -> Iterator[str]:
    """Yields paths that are addresses: joined to a folder they would name one that is empty, and a run would begin with it."""
    for key, path in (_inputs(config) | _places(config)).items():
        if path and "://" in path:
            yield (
                f"{key}: expected a path, got the address {path!r}; mount the bucket on every machine and give the path of the mount "
                "(docs/scale.md, Object storage)"
            )


def _places(config: Config) -> dict[str, str]:
    """Returns what may lie on a mount."""
    return {"root": config.root, "data.path": config.data.path, "catalog.path": config.catalog.path, "serving.dir": config.serving.dir}


def _relative_paths(config: Config) -> Iterator[str]:
    for key, path in _inputs(config).items():
        if path and not Path(path).is_absolute():
            yield f"{key}: expected an absolute path, got {path!r}"


def _inputs(config: Config) -> dict[str, str | None]:
    """Returns the files and folders that are read."""
    data = config.data
    return {
        "catalog.path": config.catalog.path,
        "data.path": data.path,
        "data.label_map": data.label_map,
        "data.schema": data.schema,
        "data.packshot_path": data.packshot_path,
        "pretrain.path": config.pretrain.path if config.pretrain else None,
    }


def _faults(kind: Any, value: Any, where: str) -> Iterator[str]:
    """Yields one line for each fault below `where`; msgspec alone stops at the first."""
    section = _section_of(kind)
    if section is None or not isinstance(value, dict):
        yield from _leaf_faults(kind, value, where)
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(section)}
    found = 0
    for key in value:
        if key not in fields:
            found += 1
            yield f"{_join(where, key)}: unknown key; allowed here: {', '.join(fields)}"
    for name, field in fields.items():
        if name in value:
            for fault in _faults(field.type, value[name], _join(where, name)):
                found += 1
                yield fault
        elif field.required:
            found += 1
            yield f"{_join(where, name)}: is missing"
    if not found:  # what only the whole section can tell
        yield from _leaf_faults(section, value, where)


def _section_of(kind: Any) -> type[Section] | None:
    candidates = [kind, *get_args(kind)] if get_origin(kind) is not dict else []
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _leaf_faults(kind: Any, value: Any, where: str) -> Iterator[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text, _, inner = str(error).partition(" - at `$")
        where += inner.rstrip("`").replace("[...]", "")
        expected = text.replace("`", "").partition(", got ")[0]
        yield f"{where or 'file'}: {expected[0].lower() + expected[1:]}, got {value!r}"


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _absolute(config: Config, folder: Path) -> Config:
    def resolve(text: str) -> str:
        return str((folder / text).resolve())

    replace = msgspec.structs.replace
    data = config.data
    weights = config.model.weights
    return replace(
        config,
        root=resolve(config.root),
        catalog=replace(config.catalog, path=resolve(config.catalog.path)),
        serving=replace(
            config.serving, dir=resolve(config.serving.dir), prior_file=config.serving.prior_file and resolve(config.serving.prior_file)
        ),
        model=replace(config.model, weights=weights if weights in ("none", "imagenet") else resolve(weights)),
        pretrain=config.pretrain and replace(config.pretrain, path=resolve(config.pretrain.path)),
        data=replace(
            data,
            path=resolve(data.path),
            label_map=data.label_map and resolve(data.label_map),
            packshot_path=data.packshot_path and resolve(data.packshot_path),
            schema=resolve(data.schema or f"../schema/{config.name}/schema.pbtxt"),
        ),
    )


def _contradictions(config: Config) -> Iterator[str]:
    split, data = config.split, config.data
    if split.by != "given":
        missing = [role for role in ROLES if not split.shares.get(role)]  # type: ignore[call-overload]
        if missing:
            yield f"split.shares: no share for {', '.join(missing)}; all four roles need one"
        elif abs(sum(split.shares.values()) - 1.0) > 1e-6:
            yield f"split.shares: they add up to {sum(split.shares.values()):g}, expected 1"
        if split.carve:
            yield "split.carve: only for split.by: given"
    elif sum(split.carve.values()) >= 1.0:
        yield f"split.carve: takes {sum(split.carve.values()):g} of train, expected less than 1"
    if data.format == "manifest" and not data.manifests:
        yield "data.manifests: format manifest needs at least one"
    if data.format == "idx" and not data.idx_files:
        yield "data.idx_files: format idx needs at least one pair of files"
    yield from tuned.faults(config)
    yield from _small_size_faults(config)
    yield from _worker_faults(config)
    if config.train.max_steps == 0 and config.train.warmup_epochs >= config.train.epochs:
        yield f"train.warmup_epochs: {config.train.warmup_epochs:g} is not less than train.epochs ({config.train.epochs})"


def _worker_faults(config: Config) -> Iterator[str]:
    train = config.train
    if (train.strategy == "multi_worker") != (train.workers > 1):
        yield f"train.workers: {train.workers} with train.strategy {train.strategy}; 2 or more go with multi_worker, 1 with the others"
    elif train.batch_size % train.workers:
        yield f"train.batch_size: {train.workers} workers cannot share {train.batch_size} crops evenly; take a multiple of {train.workers}"
    elif 0 < config.beam.shards < train.workers:
        yield f"beam.shards: {config.beam.shards}; each of {train.workers} workers (train.workers) reads other files"


def _small_size_faults(config: Config) -> Iterator[str]:
    size, model = config.train.small_size, config.model
    if size and model.backbone != "compact":
        yield f"train.small_size: only the compact network takes images of two sizes, and model.backbone is {model.backbone}; leave it at 0"
    elif size and not 16 <= size < model.image_size:
        yield f"train.small_size: {size}, expected 0, or 16 to less than model.image_size ({model.image_size})"
