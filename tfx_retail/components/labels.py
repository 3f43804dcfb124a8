"""The Labels node: puts the label order and the catalogue that a run was given into its lineage."""

import shutil
from pathlib import Path

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component

from tfx_retail.components.artifacts import Labels


@component
def RetailLabels(  # noqa: N802  # TFX names a component after its function
    labels: OutputArtifact[Labels],
    labels_file: Parameter[str],
    catalog_file: Parameter[str],
    code: Parameter[str],
) -> None:
    """Copies `labels.csv` and `catalog.csv` into an artifact.

    Both were settled before the run (`tfx_retail.inputs`): the last pushed order with new SKUs appended, so that an index never moves.
    """
    del code  # read by the cache alone
    folder = Path(labels.uri)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(labels_file, folder / "labels.csv")
    shutil.copyfile(catalog_file, folder / "catalog.csv")
