"""A run on disk as its nodes would leave it, made by hand: a few crops, their photos, and what two models say of them."""

import io
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from PIL import Image

from tests.fast.shop import CONFIG
from tfx_retail import config_file
from tfx_retail.config import Config
from tfx_retail.inputs import workspace
from tfx_retail.runs import NodeFacts, RunFacts, write_run

RUN = "20260101T000000.000Z"
SKUS = ("cola-1l", "cola-2l", "tea<script>alert(1)</script>", "绿茶-500ml")
LOOK = (0, 0, 1, 2)
FAMILY = (0, 0, 1, 1)
CATALOG = """sku,name,category,family,look,height_mm,width_mm
cola-1l,Cola 1 l,Drinks,Cola,cola,200,80
cola-2l,Cola 2 l,Drinks,Cola,cola,300,100
tea<script>alert(1)</script>,Tea,Drinks,Tea,tea,100,50
绿茶-500ml,绿茶,Drinks,Tea,绿茶,150,60
"""


class Crop(NamedTuple):
    """One crop, and what the model says of it."""

    truth: int
    answered: int
    confidence: float
    sized: int | None = None  # the answer with size; None: the same
    earlier: int | None = None  # the earlier model's answer
    group: str = "scene"
    height_mm: float | None = None
    facts: Mapping[str, str] = {}
    doubted: bool = True  # False: the model is of earlier code, and does not say what it accepts


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(values: Mapping[str, Any]) -> bytes:
    """Returns a serialized tf.Example of bytes, texts, and lists of whole numbers or of numbers."""
    return field(1, b"".join(field(1, field(1, name.encode()) + field(2, feature(value))) for name, value in values.items()))


def feature(value: Any) -> bytes:
    if isinstance(value, (bytes, str)):
        return field(1, field(1, value.encode() if isinstance(value, str) else value))
    if isinstance(value[0], float):
        return field(2, field(1, struct.pack(f"<{len(value)}f", *value)))
    return field(3, field(1, b"".join(map(varint, value))))


def write_records(path: Path, records: Sequence[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(struct.pack("<Q", len(data)) + bytes(4) + data + bytes(4) for data in records))


def indices(sku: int) -> list[int]:
    return [sku, LOOK[sku], FAMILY[sku], 0] if sku >= 0 else [-1, -1, -1, -1]


def answer(signature: str, crop: Crop, sku: int) -> dict[str, Any]:
    scores = [(1.0 - crop.confidence) / (len(SKUS) - 1)] * len(SKUS)
    if sku >= 0:
        scores[sku] = crop.confidence
    return {
        **(doubt(signature, crop, scores) if crop.doubted else {}),
        f"{signature}/sku_scores": scores,
        f"{signature}/confidences": [crop.confidence] * 3,
        f"{signature}/decided": indices(sku),
        f"{signature}/in_top": [1],
    }


def doubt(signature: str, crop: Crop, scores: Sequence[float]) -> dict[str, Any]:
    """Returns what is accepted from a confidence of 0.75 on; before calibration the model was surer."""
    brier = sum(score**2 for score in scores) - 2 * scores[crop.truth] + 1
    return {
        f"{signature}/accepted": [int(crop.confidence >= 0.75), 1],
        f"{signature}/score": [crop.confidence],
        f"{signature}/losses": [brier, -math.log(max(scores[crop.truth], 1e-7))],
        f"{signature}/before": [crop.confidence**0.5, brier * 1.2, 1.5],
    }


def prediction(number: int, crop: Crop) -> bytes:
    sized = crop.answered if crop.sized is None else crop.sized
    values = {"crop_id": f"photo{number}.jpg#0", "photo_id": f"photo{number}.jpg", "group": crop.group, "truncated": [0], **crop.facts}
    if crop.height_mm is not None:
        values["measured_height_mm"] = [crop.height_mm]
    values |= {"truth": indices(crop.truth), **answer("serving_default", crop, crop.answered), **answer("predict_sized", crop, sized)}
    if crop.earlier is not None:
        values |= answer("baseline/serving_default", crop, crop.earlier) | answer("baseline/predict_sized", crop, crop.earlier)
    return example(values)


def photo(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 60), color).save(file, "JPEG")
    return file.getvalue()


def write_predictions(folder: Path, crops: Sequence[Crop], role: str = "eval") -> Path:
    lists = {
        "skus": SKUS,
        "looks": ("cola", "tea", "绿茶"),
        "families": ("Cola", "Tea"),
        "categories": ("Drinks",),
        "counts": {role: len(crops)},
        "sized": {role: sum(1 for crop in crops if crop.height_mm)},
        "training_crops": {"cola-1l": 40, "cola-2l": 12, "绿茶-500ml": 3} if all(crop.doubted for crop in crops) else {},
        "baseline": "models/shop/1" if any(crop.earlier is not None for crop in crops) else "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictions.json").write_bytes(msgspec.json.encode(lists))
    records = [prediction(number, crop) for number, crop in enumerate(crops)]
    write_records(folder / f"Split-{role}" / "predictions-00000-of-00001.tfrecord", records)
    return folder


def write_examples(folder: Path, crops: Sequence[Crop]) -> Path:
    colors = ((200, 30, 30), (30, 30, 200), (30, 160, 30), (240, 200, 20))
    records = [
        example({"crop_id": f"photo{number}.jpg#0", "sku": SKUS[crop.truth], "image_bytes": photo(colors[crop.truth])})
        for number, crop in enumerate(crops)
    ]
    write_records(folder / "Split-eval" / "data_tfrecord-00000-of-00001", records)
    return folder


def settings(folder: Path) -> Config:
    (folder / "shop.yaml").write_text(CONFIG)
    return config_file.load(folder / "shop.yaml", (f"root={folder / 'out'}", f"serving.dir={folder / 'models'}"))


def overall(accuracy: float | None) -> dict[str, Any]:
    return {
        "overall": {"sku_accuracy": accuracy, "macro_f1": None, "examples": 6},
        "slices": [{"feature": "family", "value": "Cola", "sku_accuracy": accuracy, "examples": 4}],
    }


def verdict(*, blessed: bool) -> dict[str, Any]:
    rule = {"metric": "sku_accuracy", "signature": "serving_default", "value": 0.5, "at_least": 0.8, "at_most": None, "examples": 6}
    loss = {
        "kind": "slice",
        "metric": "sku_accuracy",
        "signature": "serving_default",
        "feature": "family",
        "slice": "Cola",
        "against": "baseline",
        "version": 1,
        "loss": 0.12,
        "interval": [0.04, 0.2],
        "margin": 0.05,
        "result": "fail",
        "text": "Cola lost 12 points",
    }
    return {
        "blessed": blessed,
        "rules": [{**rule, "result": "pass" if blessed else "fail", "text": "sku_accuracy is 0.500"}, *([] if blessed else [loss])],
        "notes": ["run `tfx-retail schema`"],
        "overridden": None,
    }


CROPS = (
    Crop(0, 0, 0.9, group="a", height_mm=202.0, facts={"store": "north", "taken_at": "2026-01-05T10:00"}),
    Crop(0, 1, 0.6, sized=0, group="a", height_mm=198.0, facts={"store": "north", "taken_at": "2026-01-05T10:01"}),
    Crop(1, 1, 0.8, group="b", height_mm=299.0, facts={"store": "south", "taken_at": "2026-01-01T09:00"}),
    Crop(2, 0, 0.95, group="b", facts={"store": "south", "taken_at": "2026-01-01T09:01"}),
    Crop(2, 2, 0.7, group="c", height_mm=130.0, facts={"store": "south", "taken_at": "2026-01-01T09:02"}),
    Crop(3, 3, 0.99, group="c", height_mm=150.0, facts={"store": "south", "taken_at": "2026-01-01T09:03"}),
)


def whole_run(folder: Path, crops: Sequence[Crop] = CROPS, *, blessed: bool = False) -> tuple[Config, RunFacts]:
    """Writes a run that came to its end and returns its config and facts."""
    config = settings(folder)
    place, nodes = workspace(config), []
    files = {
        ("ExampleGen", "report", "ingest.json"): {
            "photos": {"in": 6, "out": 6},
            "boxes": {"in": 6},
            "records": 6,
            "rejected": 1,
            "roles": {"train": 0, "eval": 6},
            "skus": {sku: {"eval": 1} for sku in SKUS},
        },
        ("DataGate", "check", "data_check.json"): {
            "passed": True,
            "reviewed": False,
            "anomalies": [{"feature": "brightness", "split": "eval", "found": "0 to 2", "allowed": "0 to 1", "how_many": "3"}],
        },
        ("Trainer", "model_run", "history.json"): {
            "epochs": [
                {"epoch": 1, "loss": 2.0, "learning_rate": 0.1, "val_loss": 1.5, "val_accuracy": 0.4},
                {"epoch": 2, "loss": 1.0, "learning_rate": 0.05, "val_loss": 1.2, "val_accuracy": 0.6},
            ],
            "best_epoch": 2,
            "parameters": 1000,
            "seconds": 3.0,
        },
        ("Evaluator", "evaluation", "evaluation.json"): {"serving_default": overall(0.5), "predict_sized": overall(None)},
        ("Verdict", "verdict", "verdict.json"): verdict(blessed=blessed),
    }
    for (node, key, name), value in files.items():
        output = place.nodes / node / key / "1"
        output.mkdir(parents=True)
        (output / name).write_bytes(msgspec.json.encode(value))
        nodes.append(NodeFacts(node=node, state="ran", seconds=1.0, outputs={key: str(output)}))
    (place.nodes / "ExampleGen" / "report" / "1" / "rejected.csv").write_text(
        "path,reason,kind\n<img src=x onerror=alert(1)>.jpg,cannot be decoded,file\n"
    )
    nodes[0].outputs["examples"] = str(write_examples(place.nodes / "ExampleGen" / "examples" / "1", crops))
    nodes.append(
        NodeFacts(
            node="Predictions",
            state="ran",
            seconds=1.0,
            outputs={"predictions": str(write_predictions(place.nodes / "Predictions" / "predictions" / "1", crops))},
        )
    )
    labels = place.nodes / "Labels" / "labels" / "1"
    labels.mkdir(parents=True)
    (labels / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    nodes.append(NodeFacts(node="Labels", state="cached", outputs={"labels": str(labels)}))
    facts = RunFacts(
        run_id=RUN,
        pipeline="shop",
        started="2026-01-01T00:00:00+00:00",
        state="blessed" if blessed else "not blessed",
        seconds=9.0,
        nodes=nodes,
    )
    if blessed:
        facts.version = 1
    (place.run(RUN)).mkdir(parents=True)
    (place.run(RUN) / "config.json").write_bytes(msgspec.json.encode(config))
    write_run(place, facts)
    return config, facts
