"""What a model says of its own doubt, `doubt.json` beside it: temperatures, prior, and from which score on answers are accepted and why."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from tfx_retail.abstention import Abstention
from tfx_retail.acceptance import Usual
from tfx_retail.calibration import Calibration
from tfx_retail.config import AbstainConfig, CalibrationConfig, ServingConfig

FAMILY = "family"  # beside the signatures: what `family_accepted` promises
_FILE = "doubt.json"
_SPOKEN = {"serving_default": "without sizes", "predict_sized": "with sizes", FAMILY: "families"}


class Settings(Struct, frozen=True, kw_only=True):
    """What of the configuration decides how a trained network's answers are corrected and accepted."""

    calibration: CalibrationConfig
    abstain: AbstainConfig
    prior: str  # `train`, `uniform` or `file`
    accept_above: float | None
    family_accept_above: float | None

    @classmethod
    def of(cls, calibration: CalibrationConfig, abstain: AbstainConfig, serving: ServingConfig) -> "Settings":
        """Returns them from their sections; a path of a file of weights is not among them."""
        return cls(
            calibration=calibration,
            abstain=abstain,
            prior=serving.prior,
            accept_above=serving.accept_above,
            family_accept_above=serving.family_accept_above,
        )


class Doubt(Struct, frozen=True, kw_only=True):
    """`doubt.json`."""

    calibration: Calibration
    crops: int  # of the calibration role
    groups: int
    fitted_on: str  # `tuning part`, or `all` where no promise rests on the rest
    prior: str
    unknown_kind: str  # of the unknown score that a sibling chose; empty where there is none: no product is taken for unknown
    usual: Usual  # unknown scores of known products
    promises: dict[str, Abstention]  # of both signatures and of FAMILY
    thresholds: dict[str, float | None]  # that are served; None: nothing is accepted
    fixed: list[str] = []  # whose threshold the configuration gives, so that it promises nothing

    @property
    def lines(self) -> Iterator[tuple[str, str]]:
        """What is accepted, in words, by what it is said of."""
        for name, promise in self.promises.items():
            yield _SPOKEN.get(name, name), self._fixed(name) if name in self.fixed else promise.text

    def _fixed(self, name: str) -> str:
        return f"accepted from a score of {self.thresholds[name]:g} on, as the configuration says; nothing is promised"


def read(folder: Path) -> Doubt | None:
    """Returns `doubt.json` of a model's extra files; None of a model that has none: it was made before there was any."""
    file = folder / _FILE
    return msgspec.json.decode(file.read_bytes(), type=Doubt) if file.is_file() else None


def write(folder: Path, doubt: Doubt) -> None:
    """Writes `doubt.json`."""
    (folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(doubt), indent=1) + b"\n")
