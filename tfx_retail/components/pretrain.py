"""The Pretrain node: a trunk that has seen unlabelled crops, for the Trainer to begin with."""

from pathlib import Path

import msgspec
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils

from tfx_retail import pretraining
from tfx_retail.config import Config, PretrainConfig


@component
def SkuPretrain(  # noqa: N802  # TFX names a component after its function
    trunk: OutputArtifact[Model],
    config: Parameter[str],
    pretrain: Parameter[str],
    crops_digest: Parameter[str],
    checkpoints: Parameter[str],
    code: Parameter[str],
) -> None:
    """Trains the trunk, or goes on training it from `checkpoints`."""
    del crops_digest, code  # read by the cache alone
    settings = msgspec.json.decode(pretrain, type=PretrainConfig)
    folder = Path(path_utils.serving_model_dir(trunk.uri))  # where TFX's Trainer looks for its base model
    pretraining.run(msgspec.json.decode(config, type=Config), settings, folder, checkpoint_dir=Path(checkpoints))
