"""What a pushed version says of what it accepts."""

import json
from pathlib import Path
from typing import Any

import msgspec

from tfx_retail import doubt, pushing, versions
from tfx_retail.abstention import Abstention
from tfx_retail.acceptance import Usual
from tfx_retail.calibration import Calibration
from tfx_retail.doubt import Doubt
from tfx_retail.versions import EXTRA

PROMISE = Abstention(
    target=0.8,
    delta=0.05,
    threshold=0.9,
    bound=0.83,
    precision=1.0,
    coverage=0.5,
    groups=16,
    crops=100,
    accepted=50,
    trials=16,
    wrong=0,
    unknown_rate=0.0,
    unknown_accepted=None,
    trials_needed=14,
    groups_needed=20,
    reachable=0.83,
)
NOTHING = msgspec.structs.replace(PROMISE, threshold=None, bound=None, trials=0, groups=10)
DOUBT = Doubt(
    calibration=Calibration(),
    crops=150,
    groups=20,
    fitted_on="tuning part",
    prior="train",
    unknown_kind="confidence",
    usual=Usual(0.1, 0.2),
    promises={"serving_default": PROMISE, "predict_sized": NOTHING, "family": PROMISE},
    thresholds={"serving_default": 0.9, "predict_sized": None, "family": 0.4},
    fixed=["family"],
)


def pushed(folder: Path, found: Doubt | None) -> dict[str, Any]:
    """Returns the manifest of a version that was pushed with this beside its model."""
    (folder / "model" / EXTRA).mkdir(parents=True)
    (folder / "model" / EXTRA / "labels.csv").write_text("index,sku,status\n0,a,active\n")
    if found:
        doubt.write(folder / "model" / EXTRA, found)
    files = {"verdict.json": {"blessed": True, "rules": []}, "evaluation.json": {}, "model_card.md": {}}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    settings = dict.fromkeys(pushing.SETTINGS, "{}")
    number = pushing.push(folder / "model", folder / "served", {name: folder / name for name in files}, settings, "r1")
    return dict(json.loads((folder / "served" / str(number) / versions.MANIFEST).read_text()))


def test_the_manifest_has_target_bound_scenes_and_threshold_of_each_promise(tmp_path: Path) -> None:
    found = pushed(tmp_path, DOUBT)["accepts"]
    of_plain = found["serving_default"]
    assert (of_plain["threshold"], of_plain["target"], of_plain["bound"], of_plain["trials"], of_plain["wrong"]) == (0.9, 0.8, 0.83, 16, 0)
    assert of_plain["text"] == PROMISE.text
    assert (found["predict_sized"]["threshold"], found["predict_sized"]["reachable"]) == (None, 0.83)
    assert (found["family"]["threshold"], found["family"]["fixed"]) == (0.4, True)
    assert found["family"]["text"] == "accepted from a score of 0.4 on, as the configuration says; nothing is promised"


def test_a_model_without_promises_is_pushed_without(tmp_path: Path) -> None:
    assert pushed(tmp_path, None)["accepts"] == {}


def test_what_is_written_of_doubt_is_read_again(tmp_path: Path) -> None:
    doubt.write(tmp_path, DOUBT)
    assert doubt.read(tmp_path) == DOUBT
    assert doubt.read(tmp_path / "elsewhere") is None
    assert dict(DOUBT.lines)["with sizes"].startswith("nothing is accepted: 80.0% needs at least 14 scenes")
    assert dict(DOUBT.lines)["without sizes"] == PROMISE.text
