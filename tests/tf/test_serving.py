"""The exported model: the contract's signatures, loaded without this package, the same answers as the trainer's."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import answers, evaluation, golden, signatures
from tfx_retail.golden import CloseCalls
from tfx_retail.size_model import SizeModel

NAN = float("nan")
IMAGE = {"image_bytes": "string"}
SIZES = {"measured_height_mm": "float32", "measured_width_mm": "float32"}
ANSWERS: dict[str, tuple[str, list[int | None]]] = {
    "sku": ("string", [None]),
    "confidence": ("float32", [None]),
    "accepted": ("bool", [None]),
    "reason": ("string", [None]),
    "look": ("string", [None]),
    "look_confidence": ("float32", [None]),
    "family": ("string", [None]),
    "family_confidence": ("float32", [None]),
    "family_accepted": ("bool", [None]),
    "category": ("string", [None]),
    "category_confidence": ("float32", [None]),
    "unknown_score": ("float32", [None]),
    "top_skus": ("string", [None, 4]),
    "top_scores": ("float32", [None, 4]),
}
CONTRACT: dict[str, tuple[dict[str, str], dict[str, tuple[str, list[int | None]]]]] = {
    "serving_default": (IMAGE, ANSWERS),
    "predict_sized": (IMAGE | SIZES, ANSWERS),
    "predict_all": (
        IMAGE | SIZES,
        {"sku_scores": ("float32", [None, 6]), "family_scores": ("float32", [None, 4]), "unknown_score": ("float32", [None])},
    ),
    "serve_examples": ({"examples": "string"}, ANSWERS),
    "embed": (IMAGE, {"embedding": ("float32", [None, 8]), "embedder_id": ("string", [None])}),
}


@pytest.fixture(scope="module")
def model(trained: Path) -> Any:
    return signatures.load(trained / "model")


def test_signatures_are_those_of_the_contract(model: Any) -> None:
    assert sorted(model.signatures) == sorted(CONTRACT)
    for name, (inputs, outputs) in CONTRACT.items():
        signature = model.signatures[name]
        specs = signature.structured_input_signature[1]
        assert {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in specs.items()} == {k: (v, [None]) for k, v in inputs.items()}
        found = {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in signature.structured_outputs.items()}
        assert found == outputs, name


def test_the_first_of_top_skus_is_the_answer_and_parts_never_contradict(model: Any) -> None:
    found = signatures.predict(model, [retail_set.pack(sku, number) for sku in retail_set.COLORS for number in range(200, 203)])
    assert found["top_skus"][:, 0].tolist() == found["sku"].tolist()
    look = {"cola": "cola", "lime": "lime", "water": "water", "still": "water"}
    family = {"cola": "soda", "lime": "soda", "water": "waters"}
    for sku, found_look, found_family in zip(found["sku"], found["look"], found["family"], strict=True):
        assert found_look.decode() == look[sku.decode()]
        assert found_family.decode() == family[found_look.decode()]
    assert set(found["category"].tolist()) == {b"drinks"}


def test_retired_and_unphotographed_skus_score_nothing(model: Any) -> None:
    found = signatures.predict(model, [retail_set.pack("milk", 1)], signature="predict_all")["sku_scores"]
    assert found[0, [1, 5]].tolist() == [0.0, 0.0]
    assert found.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_size_tells_two_skus_of_one_look_apart(model: Any) -> None:
    images = [retail_set.pack("water", 300)] * 4
    unsized = signatures.predict(model, images)
    assert set(unsized["reason"].tolist()) == {b"size_needed"}
    assert not unsized["accepted"].any()
    sized = signatures.predict(model, images, height_mm=[200, 300, NAN, -1], width_mm=[NAN, 80, NAN, 0], signature="predict_sized")
    assert sized["sku"][:2].tolist() == [b"water", b"still"]
    assert sized["reason"].tolist() == [b"ok", b"ok", b"size_needed", b"size_needed"]


def test_one_bad_image_is_its_own_rows_failure(model: Any) -> None:
    found = signatures.predict(model, [retail_set.pack("cola", 301), b"no image", retail_set.pack("cola", 301)])
    assert found["reason"].tolist() == [b"ok", b"bad_image", b"ok"]
    assert found["accepted"].tolist() == [True, False, True]
    assert found["sku"][1] != b""
    assert found["unknown_score"][1] == 1.0
    embedding = signatures.predict(model, [retail_set.pack("cola", 301), b"no image"], signature="embed")["embedding"]
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), [1.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("signature", CONTRACT)
def test_a_request_without_images_gets_an_answer_without_rows(model: Any, signature: str) -> None:
    found = signatures.predict(model, [], signature=signature)
    assert {name: value.shape[0] for name, value in found.items()} == dict.fromkeys(CONTRACT[signature][1], 0)


def test_what_the_predictions_node_asks_is_what_the_signatures_say(model: Any) -> None:
    images = [retail_set.pack("water", 300), retail_set.pack("cola", 300), b"no image"]
    heights, widths = np.array([200, NAN, NAN], np.float32), np.full(3, NAN, np.float32)
    both = model.predict_both(tf.constant(images), heights, widths)
    assert sorted(both) == ["predict_sized", "serving_default"]
    for name, found in both.items():
        said = signatures.predict(model, images, height_mm=heights, width_mm=widths, signature=name)
        for output in ("accepted", "family_accepted", "unknown_score"):
            np.testing.assert_allclose(found[output].numpy(), said[output], atol=1e-6)
        assert found["uncalibrated"].shape == found["sku_scores"].shape == (3, 6)
        np.testing.assert_allclose(found["score"].numpy(), np.where(said["accepted"], said["confidence"], 0.0), atol=1e-6)
    raw = signatures.predict(model, images, height_mm=heights, width_mm=widths, signature="predict_all")
    np.testing.assert_allclose(both["predict_sized"]["sku_scores"].numpy(), raw["sku_scores"], atol=1e-6)


def test_examples_are_answered_like_the_images_and_sizes_in_them(model: Any) -> None:
    images, heights = [retail_set.pack("water", 302), retail_set.pack("lime", 302)], [300.0, NAN]
    by_example = signatures.predict(model, images, height_mm=heights, signature="serve_examples")
    by_inputs = signatures.predict(model, images, height_mm=heights, signature="predict_sized")
    assert by_example["sku"].tolist() == by_inputs["sku"].tolist()
    np.testing.assert_allclose(by_example["confidence"], by_inputs["confidence"], atol=1e-6)


def test_more_images_than_one_request_holds_are_answered_in_order(model: Any) -> None:
    skus = ["cola", "lime"] * 35
    found = signatures.predict(model, [retail_set.pack(sku, 303) for sku in skus])
    assert [sku.decode() for sku in found["sku"]] == skus


def test_a_process_without_this_package_loads_and_asks_the_model(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "pack.jpg").write_bytes(retail_set.pack("cola", 304))
    script = (
        "import sys, tensorflow as tf; model = tf.saved_model.load(sys.argv[1]);"
        "image = tf.constant([open(sys.argv[2], 'rb').read()]); answer = model.signatures['serving_default'](image_bytes=image);"
        "print(answer['sku'].numpy()[0]);"
        "assert not any(name.startswith('tfx_retail') for name in sys.modules)"
    )
    command = [sys.executable, "-I", "-c", script, str(trained / "model"), str(tmp_path / "pack.jpg")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "b'cola'", ended.stderr


def test_label_lists_and_facts_lie_beside_the_model(trained: Path, packs: RetailSet) -> None:
    folder = trained / "model"
    for place in ("assets", "assets.extra"):
        assert (folder / place / "labels.csv").read_bytes() == packs.labels.read_bytes()
        assert (folder / place / "catalog.csv").read_bytes() == packs.catalog.read_bytes()
        assert (folder / place / "families.txt").read_text() == "soda\ngone\nwaters\nmilks\n"
    facts = json.loads((folder / "assets.extra" / "model.json").read_text())
    assert facts["examples"] == {"cola": 12, "gone": 0, "lime": 12, "water": 12, "still": 12, "milk": 0}
    assert facts["never_answered"] == ["gone", "milk"]
    assert (facts["k"], facts["image_size"], facts["crop_context"]) == (4, 32, 0.0)


def test_warm_up_requests_ask_every_signature(trained: Path, model: Any) -> None:
    path = trained / "model" / "assets.extra" / "tf_serving_warmup_requests"
    asked = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        model.signatures[request.model_spec.signature_name](**inputs)
        asked.append(request.model_spec.signature_name)
    assert asked == list(CONTRACT)


def test_a_loaded_model_gives_the_trainers_golden_answers(trained: Path) -> None:
    assert golden.check(trained / "model") == []


def test_changed_answers_are_told_by_signature_and_output(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained / "model", folder)
    path = folder / "assets.extra" / "golden" / "golden.json"
    kept = json.loads(path.read_text())
    kept["answers"]["predict_all"]["sku_scores"][0][0] += 0.01
    kept["answers"]["serving_default"]["category"][0] = "toys"
    path.write_text(json.dumps(kept))
    assert golden.check(folder) == [
        "serving_default: category: image 0: drinks, expected toys",
        "predict_all: sku_scores: differs by 0.01, allowed 0.0001",
    ]


def test_a_model_without_golden_answers_is_not_taken_for_sound(tmp_path: Path) -> None:
    (line,) = golden.check(tmp_path)
    assert "golden.json: is missing" in line


def test_a_size_at_its_limit_may_be_judged_either_way(trained: Path) -> None:
    folder = trained / "model"
    facts = json.loads((folder / "assets.extra" / "model.json").read_text())

    def flips(*heights: float) -> list[bool]:
        kept = {"height_mm": list(heights), "width_mm": [None] * len(heights)}
        return list(golden._sizes_at_a_limit(folder, facts, kept, np.array(["cola"] * len(heights))))

    low, high = 120.0, 1000.0  # cola is 120 mm high: somewhere above, a measured height no longer fits it
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _fits_cola(folder, middle) else (low, middle)
    assert flips(120.0, low * 0.999, low, low * 1.001, 1000.0) == [False, False, True, False, False]


def _fits_cola(folder: Path, height_mm: float) -> bool:
    facts = json.loads((folder / "assets.extra" / "model.json").read_text())
    lists, model = evaluation.lists_of(folder), msgspec.convert(facts["size_model"], SizeModel)
    measured = answers.evidence(np.array([height_mm], np.float32), np.array([NAN], np.float32), lists, model)
    return bool(measured.fits.numpy()[0, 0])


def test_strings_may_differ_only_where_the_scores_are_that_close() -> None:
    expected = {"serving_default": {"sku": np.array(["a", "a"]), "confidence": np.array([0.5, 0.5])}}
    found = {"serving_default": {"sku": np.array(["b", "b"]), "confidence": np.array([0.5, 0.50009])}}
    close = CloseCalls(decided=np.array([True, False]), ranked=np.array([False, True]))
    assert golden.differences(expected, found, close) == ["serving_default: sku: image 1: b, expected a"]


def test_the_embedders_name_follows_its_weights(trained: Path, model: Any) -> None:
    first = signatures.predict(model, [b""], signature="embed")["embedder_id"][0].decode()
    assert first == json.loads((trained / "model" / "assets.extra" / "model.json").read_text())["embedder_id"]
    assert len(first) == 16


def test_golden_images_are_kept_as_they_were_with_one_that_is_none(trained: Path) -> None:
    folder = trained / "model" / "assets.extra" / "golden"
    kept = json.loads((folder / "golden.json").read_text())
    assert len(kept["images"]) == 13  # the set has twelve validation images
    assert Image.open(io.BytesIO((folder / kept["images"][0]).read_bytes())).size == (40, 40)
    assert kept["answers"]["serving_default"]["reason"][-1] == "bad_image"
    assert kept["height_mm"].count(None) == 7  # six packs without a size, and the text
