"""The Sibling node: the same network trained without some SKUs, to measure how products are told that a model does not know."""

from pathlib import Path

import msgspec
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, TransformGraph
from tfx.utils import path_utils

from tfx_retail import sibling_training
from tfx_retail.components import artifacts
from tfx_retail.config import Config
from tfx_retail.sibling_training import Given


@component
def SkuSibling(  # noqa: N802, PLR0913, PLR0917  # TFX names a component after its function, and what goes in and out after the arguments
    examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    sibling: OutputArtifact[artifacts.Sibling],
    config: Parameter[str],
    labels: Parameter[str],
    catalog: Parameter[str],
    checkpoints: Parameter[str],
    code: Parameter[str],
    trunk: InputArtifact[Model] = None,
) -> None:
    """Trains the sibling, or goes on training it from `checkpoints`, and writes what it tells of SKUs that it was not taught."""
    del code  # read by the cache alone
    begin = Path(path_utils.serving_model_path(trunk.uri)) if trunk else None
    given = Given(Path(examples.uri), Path(transform_graph.uri), Path(labels), Path(catalog), Path(checkpoints), begin)
    sibling_training.run(msgspec.json.decode(config, type=Config), given, Path(sibling.uri))
