"""What the files of predictions are called and hold: names, lists and counts, for whatever reads them without TensorFlow.

`Split-<role>/predictions-*.tfrecord` holds a tf.Example for each crop: its facts without the image, `label` and `truth` as indices, and
for each signature `<signature>/<answer>`; answers of the last blessed model have `baseline/` before that, those of the pinned one
`reference/`, both in the new model's label order.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

LABEL = "label"  # index of the SKU
TRUTH = "truth"  # [4], indices of LEVELS
BASELINE, REFERENCE = "baseline/", "reference/"
MASKED = "masked"  # [2, 4]: as `decided`, of the new and the earlier model, where other SKUs than the common ones may not win
SKU_SCORES, FAMILY_SCORES, UNKNOWN_SCORE = "sku_scores", "family_scores", "unknown_score"
DECIDED = "decided"  # [4], indices of LEVELS; -1: the earlier model's answer has no place in the new lists
CONFIDENCES = "confidences"  # [3], of SKU, look and family
IN_TOP = "in_top"  # 1 where the label is among `top_skus`
ACCEPTED = "accepted"  # [2], 0 or 1: the SKU, the family; this, `score` and `before` are not there if the model is of earlier code
SCORE = "score"  # the one that decides: accepted from a threshold on
LOSSES = "losses"  # [2], Brier score and log loss of `sku_scores`
BEFORE = "before"  # [3], confidence of the decided SKU, Brier score and log loss, all before temperatures and priors
_FILE = "predictions.json"


class PredictionFacts(Struct, frozen=True, kw_only=True):
    """`predictions.json`: what the files hold and what the indices and columns in them mean."""

    counts: dict[str, int]  # role -> crops
    sized: dict[str, int]  # role -> crops with a measured height or width
    left_out: dict[str, int] = {}  # role -> crops of SKUs that have left the catalogue
    skus: list[str]
    looks: list[str]
    families: list[str]
    categories: list[str]
    never_answered: list[str] = []  # SKUs that were not trained or are retired
    top: int = 0  # the k of top-k
    baseline: str = ""  # the folder of the earlier model; empty where there was none
    baseline_lacks: list[str] = []  # SKUs that only the new model knows: their baseline scores are 0
    candidate_lacks: list[str] = []  # SKUs that only the earlier model knows: their scores are left out
    reference: str = ""  # the folder of the pinned model; empty where there is none, or where it is the baseline
    added: dict[str, list[str]] = {}  # `baseline`, `reference` -> SKUs that only the new model answers
    removed: dict[str, list[str]] = {}  # and those that only the earlier one answers
    same_look: list[str] = []  # SKUs that share their look with another that may be answered
    training_crops: dict[str, int] = {}  # SKU -> crops that the model was trained on
    seconds: float = 0.0

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What stands before the earlier models' answers, of those that there are."""
        return tuple(prefix for prefix, folder in ((BASELINE, self.baseline), (REFERENCE, self.reference)) if folder)

    def is_masked(self, prefix: str) -> bool:
        """Tells whether the files have answers among common SKUs too: only where the catalogue changed."""
        return any(of.get(prefix.rstrip("/")) for of in (self.added, self.removed))


def read_facts(folder: Path) -> PredictionFacts:
    """Returns `predictions.json` of a Predictions artifact."""
    return msgspec.json.decode((folder / _FILE).read_bytes(), type=PredictionFacts)


def write_facts(folder: Path, facts: PredictionFacts) -> None:
    """Writes `predictions.json`."""
    (folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))


def file_pattern(folder: Path, role: str) -> str:
    """Returns the pattern of the files of one role; sorted, they are in the order of the examples that they come from."""
    return str(folder / f"Split-{role}" / "predictions-*.tfrecord")


def file_path(folder: Path, role: str, number: int, total: int) -> Path:
    """Returns the path of one file of a role."""
    return folder / f"Split-{role}" / f"predictions-{number:05d}-of-{total:05d}.tfrecord"
