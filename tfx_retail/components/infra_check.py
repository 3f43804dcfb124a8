"""The InfraCheck node: a fresh process loads the exported model and asks it again what the trainer asked it.

TFX's InfraValidator does it in a container; this needs nothing but Python, and a crash of that process is a result, not an error.
"""

from pathlib import Path

import msgspec
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils

from tfx_retail.components import artifacts
from tfx_retail.fresh import probe


@component
def InfraCheck(  # noqa: N802  # TFX names a component after its function
    model: InputArtifact[Model],
    check: OutputArtifact[artifacts.InfraCheck],
    code: Parameter[str],
    timeout_s: Parameter[int] = 600,
) -> None:
    """Writes `infra_check.json`. A model that fails does not fail the node: the verdict says so."""
    del code  # read by the cache alone
    result = probe(Path(path_utils.serving_model_path(model.uri)), timeout_s=timeout_s)
    folder = Path(check.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "infra_check.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
