"""What a run is given, fixed before it starts: files under the name of their content, digests, the model to compare with.

TFX's cache compares parameters and artifact ids. A path whose file changes would go unseen, and a file that is written anew with the
same content would cost a training. Under the name of its content neither happens.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from tfx_retail import catalog, labels, priors, versions
from tfx_retail.config import (
    AbstainConfig,
    AirflowConfig,
    CalibrationConfig,
    CardConfig,
    CatalogConfig,
    Config,
    DataConfig,
    Rule,
    ServingConfig,
    SplitConfig,
    UnknownsConfig,
    VerdictConfig,
)
from tfx_retail.digests import text_digest
from tfx_retail.engines import BeamConfig
from tfx_retail.errors import UserError
from tfx_retail.ingest.digest import data_digest, folder_digest
from tfx_retail.runs import Workspace, write_atomically


class RunInputs(Struct, frozen=True, kw_only=True):
    """Files and digests that decide what a run computes."""

    catalog: Path
    labels: Path
    label_map: Path | None
    schema: Path | None  # None: no reviewed schema yet, the run drafts one
    data_digest: str
    config_digest: str
    baseline: versions.Version | None  # the version that the new model is compared with
    reference: versions.Version | None = None  # the pinned one, where it is another
    crops_digest: str = ""  # of the unlabelled crops that a trunk is trained on first
    weights: Path | None = None  # how often each SKU is expected, for `serving.prior: file`


def workspace(config: Config) -> Workspace:
    """Returns the folder of the pipeline."""
    return Workspace(Path(config.root) / config.name)


def model_dir(config: Config) -> Path:
    """Returns the folder whose integer subfolders TensorFlow Serving watches."""
    return Path(config.serving.dir) / config.name


def prepare(config: Config) -> RunInputs:
    """Reads catalogue, labels and schema, and keeps a copy of each under the name of its content.

    Raises:
      catalog.CatalogError: the catalogue cannot be used.
      DataError: the data, or the label order of the served model, cannot be read.
      PriorError: `serving.prior_file` does not give each SKU its weight.
      UserError: `verdict.reference` is not a pushed version.
    """
    products = catalog.read(Path(config.catalog.path), config.catalog.format)
    return settle(config, products, data_digest(config.data, products))


def settle(config: Config, products: catalog.Catalog, digest: str) -> RunInputs:
    """Returns what a run with these products on data of this digest is given; what raises is as with `prepare`."""
    store, data = workspace(config).inputs, config.data
    order = label_order(model_dir(config), products)
    baseline = _baseline(config, versions.latest(model_dir(config)), digest)
    return RunInputs(
        catalog=_keep_written(store, "catalog.csv", lambda path: catalog.write(products, path)),
        labels=_keep_written(store, "labels.csv", lambda path: labels.write(order, path)),
        label_map=_keep(store, "label_map.csv", Path(data.label_map)) if data.label_map else None,
        schema=_keep(store, "schema.pbtxt", Path(data.schema)) if data.schema and Path(data.schema).is_file() else None,
        data_digest=digest,
        config_digest=config_digest(config),
        baseline=baseline,
        reference=_reference(config, baseline),
        weights=_weights(config, order),
        crops_digest=folder_digest(config.pretrain.path) if config.pretrain else "",
    )


def config_digest(config: Config) -> str:
    """Returns a digest of all settings that can change a model or its verdict: not where things lie, and not where the work is done."""
    fixed = msgspec.structs.replace(
        config,
        root="",
        serving=_placeless(config.serving),
        beam=BeamConfig(shards=config.beam.shards),
        airflow=AirflowConfig(),
        card=CardConfig(),
        cache=True,
    )
    return text_digest(msgspec.json.encode(fixed))


def training_view(config: Config) -> Config:
    """Returns the settings with those fixed that the Trainer does not look at, so that they cannot make its cache miss."""
    data = DataConfig(path="", format=config.data.format, crop_context=config.data.crop_context)
    return msgspec.structs.replace(
        config,
        root="",
        catalog=CatalogConfig(path=""),
        data=data,
        split=SplitConfig(),
        serving=ServingConfig(dir=""),
        calibration=CalibrationConfig(),
        abstain=AbstainConfig(),
        verdict=VerdictConfig(rules=(Rule(metric="sku_accuracy", at_least=0.0),)),
        beam=BeamConfig(),
        airflow=AirflowConfig(),
        card=CardConfig(),
        unknowns=UnknownsConfig(),
        pretrain=config.pretrain and msgspec.structs.replace(config.pretrain, path=""),
        cache=True,
    )


def pretraining_view(config: Config) -> Config:
    """Returns `training_view` for the training of a trunk, which takes network, changes of images and optimizer from it."""
    return msgspec.structs.replace(training_view(config), pretrain=None, tune=None)


def sibling_view(config: Config) -> Config:
    """Returns `training_view` for the model's sibling, which may train for another number of epochs."""
    train = msgspec.structs.replace(config.train, epochs=config.unknowns.epochs or config.train.epochs)
    unknowns = msgspec.structs.replace(config.unknowns, epochs=0)
    return msgspec.structs.replace(training_view(config), train=train, unknowns=unknowns)


def _placeless(serving: ServingConfig) -> ServingConfig:
    """The weights of a prior count by what the file holds."""
    file = Path(serving.prior_file) if serving.prior_file else None
    content = text_digest(file.read_bytes()) if file and file.is_file() else serving.prior_file
    return msgspec.structs.replace(serving, dir="", prior_file=content)


def _weights(config: Config, order: tuple[labels.Label, ...]) -> Path | None:
    if config.serving.prior_file is None:
        return None
    path = Path(config.serving.prior_file)
    priors.read(path, [label.sku for label in order if label.status == "active"])
    return _keep(workspace(config).inputs, "weights.csv", path)


def label_order(folder: Path, products: catalog.Catalog) -> tuple[labels.Label, ...]:
    """Goes on from the longest order that was ever pushed: after a rollback the served one lacks indices that are taken for ever."""
    orders = [labels.read(version.path / versions.LABELS) for version in versions.list_versions(folder)]
    return labels.extend(max(orders, key=len, default=()), products)


def _baseline(config: Config, served: versions.Version | None, digest: str) -> versions.Version | None:
    """A run that made the served version is compared again with what that version was compared with, so that it stays cached."""
    if served is None:
        return None
    manifest = served.manifest
    if (manifest.config_digest, manifest.data_digest) != (config_digest(config), digest):
        return served
    if manifest.baseline is None:
        return None
    return versions.find(model_dir(config), manifest.baseline)


def _reference(config: Config, baseline: versions.Version | None) -> versions.Version | None:
    number, place = config.verdict.reference, model_dir(config)
    if number is None or (baseline and baseline.number == number):
        return None
    pinned = versions.find(place, number)
    if pinned is None:
        known = ", ".join(str(version.number) for version in versions.list_versions(place)) or "none"
        raise UserError(f"verdict.reference: {place} has no version {number}; there are: {known}; pin one of these, or none")
    return pinned


def _keep_written(store: Path, name: str, write: Callable[[Path], None]) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / name
        write(draft)
        return _keep(store, name, draft)


def _keep(store: Path, name: str, source: Path) -> Path:
    data = source.read_bytes()
    target = store / f"{text_digest(data)}-{name}"
    if not target.is_file():
        write_atomically(target, data)
    return target
