"""The Calibrator node: a trained network becomes a finished model, with confidences that hold and a promise behind `accepted`.

It takes seconds, and no training: another threshold, another prior or another catalogue is a matter of this node alone.
"""

from pathlib import Path

import msgspec
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils

from tfx_retail import finishing
from tfx_retail.components import artifacts
from tfx_retail.doubt import Settings
from tfx_retail.finishing import Sources


@component
def Calibrator(  # noqa: N802, PLR0913, PLR0917  # TFX names a component after its function, and what goes in and out after the arguments
    examples: InputArtifact[Examples],
    trained: InputArtifact[Model],
    labels: InputArtifact[artifacts.Labels],
    model: OutputArtifact[Model],
    settings: Parameter[str],
    weights: Parameter[str],
    untaught: Parameter[int],
    code: Parameter[str],
    sibling: InputArtifact[artifacts.Sibling] = None,
) -> None:
    """Writes the finished model; `trained` is what the Trainer left, or a version that is served.

    Parameters: `settings` is `doubt.Settings` as JSON; `weights` the path of the CSV for `serving.prior: file`, or empty; `untaught` 1
    lets SKUs without a photo be answered where the network was taught their look.
    """
    del code  # read by the cache alone
    order = Path(labels.uri)
    sources = Sources(
        network=_network(Path(trained.uri)),
        labels=order / "labels.csv",
        catalog=order / "catalog.csv",
        examples=Path(examples.uri),
        weights=Path(weights) if weights else None,
        sibling=Path(sibling.uri) if sibling else None,
    )
    folder = Path(path_utils.serving_model_dir(model.uri))
    finishing.finish(sources, msgspec.json.decode(settings, type=Settings), folder, untaught=bool(untaught))


def _network(folder: Path) -> Path:
    """Returns where the SavedModel lies: a version's folder is one itself."""
    return folder if (folder / "saved_model.pb").is_file() else Path(path_utils.serving_model_path(str(folder)))
