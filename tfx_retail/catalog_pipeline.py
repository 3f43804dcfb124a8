"""The pipeline of `update-catalog`: the nodes from the Calibrator on, over what an earlier run left and the served version's weights."""

from pathlib import Path
from typing import Any

from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples, Model

from tfx_retail import lineage, shipped
from tfx_retail.catalog_update import Update
from tfx_retail.components import artifacts
from tfx_retail.components.labels import RetailLabels
from tfx_retail.digests import code_digest
from tfx_retail.inputs import workspace
from tfx_retail.pipeline import Made, finishing_nodes


def build(update: Update) -> Pipeline:
    """Returns the TFX pipeline of an update, under the name of the pipeline whose version it updates."""
    place, config, given = workspace(update.config), update.config, update.given
    labels = RetailLabels(
        labels_file=str(given.labels), catalog_file=str(given.catalog), code=code_digest(RetailLabels.__module__)
    ).with_id("Labels")
    sources = _sources(update)
    made = Made(**{name: node.outputs["result"] for name, node in sources.items()}, labels=labels.outputs["labels"])
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(place.nodes),
        components=[*sources.values(), labels, *finishing_nodes(config, given, made, untaught=True)],
        enable_cache=config.cache,
        metadata_connection_config=lineage.sqlite_config(place.metadata),
        beam_pipeline_args=shipped.beam_arguments(config, given),
    )


def _sources(update: Update) -> dict[str, Any]:
    """Returns the nodes that take earlier outputs into this run's lineage, by their name in `Made`."""
    run = update.source
    found = {
        "examples": ("Examples", run.output("ExampleGen", "examples"), Examples),
        "report": ("IngestReport", run.output("ExampleGen", "report"), artifacts.IngestReport),
        "data_check": ("DataCheck", run.output("DataGate", "check"), artifacts.DataCheck),
        "sibling": ("SiblingOfModel", run.output("Sibling", "sibling"), artifacts.Sibling),
        "trained": ("ServedVersion", update.served.path, Model),
    }
    return {name: _importer(node, folder, kind) for name, (node, folder, kind) in found.items() if folder}


def _importer(name: str, folder: Path, kind: Any) -> Importer:
    return Importer(source_uri=str(folder), artifact_type=kind).with_id(name)
