"""The served weights with another catalogue: what it takes, and whether the network can answer it."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from tfx_retail import catalog, inputs, onboarding, trained, versions
from tfx_retail.config import CatalogConfig, Config
from tfx_retail.errors import UserError
from tfx_retail.inputs import RunInputs
from tfx_retail.runs import NodeFacts, RunFacts, Workspace, list_runs
from tfx_retail.versions import EXTRA, Version

# what a run has to have left on disk that its crops can judge another catalogue: nodes and outputs
_NEEDED = (("ExampleGen", "examples"), ("ExampleGen", "report"), ("DataGate", "check"))
_OF_DATA = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ImportSchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Trainer",
    "Sibling",
)


class Update(NamedTuple):
    """A served version and the catalogue that it is to have."""

    config: Config  # with the new catalogue
    given: RunInputs
    served: Version
    source: RunFacts  # the run whose crops judge: the one that made the version, where it has left them

    @property
    def reused(self) -> list[NodeFacts]:
        """The nodes that are as that run left them."""
        why = f"of run {self.source.run_id}"
        nodes = [node for node in self.source.nodes if node.node in _OF_DATA]
        return [msgspec.structs.replace(node, state="cached", why=why, seconds=0.0) for node in nodes]


def prepare(config: Config, path: Path) -> Update | None:
    """Returns the update; None where the served version has this very catalogue.

    Raises:
      CatalogError: the catalogue cannot be used.
      UserError: nothing is served, or the network was not taught what the catalogue names, a line for each row.
    """
    changed = msgspec.structs.replace(config, catalog=CatalogConfig(path=str(path), format=config.catalog.format))
    products, served = catalog.read(path, config.catalog.format), _served(config)
    order = inputs.label_order(inputs.model_dir(config), products)
    faults = onboarding.match(trained.read(served.path / EXTRA), order, products).faults
    if faults:
        cure = f"take these out, or train: set catalog.path to {path} and `tfx-retail run`"
        raise UserError("\n".join([*(f"{path}: {fault}" for fault in faults), cure]))
    source = _source(inputs.workspace(config), served)
    given = inputs.settle(changed, products, source.data_digest)
    if given.catalog.read_bytes() == (served.path / EXTRA / "catalog.csv").read_bytes():
        return None
    return Update(changed, given, served, source)


def _served(config: Config) -> Version:
    served = versions.latest(inputs.model_dir(config))
    if served is None:
        raise UserError(
            f"{inputs.model_dir(config)}: no version is served yet whose weights a catalogue could have; `tfx-retail run` first"
        )
    if not trained.is_in(served.path / EXTRA):
        raise UserError(f"{served.path}: was made before catalogues could be updated; `tfx-retail run` makes a version that can")
    return served


def _source(place: Workspace, served: Version) -> RunFacts:
    """Returns the run that made the version, or else the latest: crops of another run may have been shown to these weights in training."""
    runs = list_runs(place)
    made = [run for run in runs if run.run_id == served.manifest.run_id]
    for run in [*made, *reversed(runs)]:
        if all(run.output(*output) for output in _NEEDED):
            return run
    raise UserError(f"{place.root}: no run's crops are there any more to judge the new version with; `tfx-retail run` first")
