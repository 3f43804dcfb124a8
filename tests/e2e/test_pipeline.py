"""The whole pipeline through the command line, on drawn shelves: what a user does, in the order in which it is done."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.shops import CONFIG, Shop

pytestmark = pytest.mark.e2e
EPOCHS = ("--set", "train.epochs=25")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_a_killed_training_goes_on_from_its_checkpoint_and_the_run_ends_with_a_pushed_version(shop: Shop) -> None:
    shop.kill_in("Trainer", *EPOCHS, once="checkpoints/*/state.npz")
    facts = shop.run(*EPOCHS)
    assert facts["state"] == "blessed" and facts["version"] == 1
    states = shop.states()
    assert states["ExampleGen"] == states["Transform"] == "cached"
    assert states["Trainer"] == states["Pusher"] == "ran"
    trainer = next(node for node in facts["nodes"] if node["node"] == "Trainer")
    assert "25 epochs" in trainer["summary"]
    assert "resumed after epoch" in trainer["summary"]


def test_the_run_ends_with_the_path_of_its_page(shop: Shop) -> None:
    page = shop.run_folders()[-1] / "report.html"
    assert str(page.relative_to(shop.folder)) in shop.text
    assert "Blessed" in page.read_text(encoding="utf-8")


def test_the_first_run_says_that_the_schema_is_not_reviewed(shop: Shop) -> None:
    assert "schema not reviewed" in shop.text


def test_a_second_run_takes_everything_from_the_cache(shop: Shop) -> None:
    facts = shop.run(*EPOCHS)
    assert set(shop.states().values()) == {"cached"}
    assert facts["version"] == 1
    assert [path.name for path in (shop.folder / "served" / "shop").iterdir() if path.name.isdigit()] == ["1"]


def test_a_higher_threshold_judges_anew_without_training_and_pushes_nothing(shop: Shop) -> None:
    strict = CONFIG.replace("at_least: 0.05", "at_least: 1.1")
    shop.config.write_text(strict, encoding="utf-8")
    try:
        facts = shop.run(*EPOCHS, code=3)
    finally:
        shop.config.write_text(CONFIG, encoding="utf-8")
    assert facts["state"] == "not blessed" and facts["version"] is None
    assert shop.states()["Trainer"] == "cached"
    assert shop.states()["Verdict"] == "ran"
    folder = next(node["outputs"]["verdict"] for node in facts["nodes"] if node["node"] == "Verdict")
    verdict = json.loads((Path(folder) / "verdict.json").read_text())
    slices = [rule for rule in verdict["rules"] if rule["kind"] == "slice"]
    assert verdict["baseline"] == 1 and slices
    assert {rule["loss"] for rule in slices} == {0.0}  # the same model on the same crops
    assert not (shop.folder / "served" / "shop" / "2").exists()


def test_a_person_can_push_a_refused_model_and_the_manifest_says_why(shop: Shop) -> None:
    refused = shop.facts()["run_id"]
    shop.call("bless", "shop.yaml", refused, "--because", "the test set is known to be wrong")
    manifest = json.loads((shop.folder / "served" / "shop" / "2" / "manifest.json").read_text())
    assert manifest["run_id"] == refused
    assert manifest["verdict"]["overridden"]["why"] == "the test set is known to be wrong"
    assert shop.facts()["version"] == 2


PLAIN_CLIENT = """
import json, sys
import tensorflow as tf
assert not any(name.startswith("tfx_retail") for name in sys.modules)
model = tf.saved_model.load(sys.argv[1])
image = open(sys.argv[2], "rb").read()
answer = model.signatures["serving_default"](image_bytes=tf.constant([image, b"no image"]))
embedding = model.signatures["embed"](image_bytes=tf.constant([image]))["embedding"]
print(json.dumps({
    "signatures": sorted(model.signatures),
    "names": sorted(answer),
    "reasons": [value.decode() for value in answer["reason"].numpy()],
    "skus": [value.decode() for value in answer["sku"].numpy()],
    "top": [value.decode() for value in answer["top_skus"].numpy()[0]],
    "length": float(tf.norm(embedding)),
}))
"""


def test_the_pushed_version_answers_by_itself_without_this_package(shop: Shop, tmp_path: Path) -> None:
    version = shop.folder / "served" / "shop" / "1"
    photo = next((shop.folder / "data" / "JPEGImages").glob("*.jpg"))
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN_CLIENT, str(version), str(photo)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["signatures"] == ["embed", "predict_all", "predict_sized", "serve_examples", "serving_default"]
    assert answer["names"] == [
        "accepted",
        "category",
        "category_confidence",
        "confidence",
        "family",
        "family_accepted",
        "family_confidence",
        "look",
        "look_confidence",
        "reason",
        "sku",
        "top_scores",
        "top_skus",
        "unknown_score",
    ]
    assert answer["reasons"][1] == "bad_image"
    assert answer["skus"][0] and answer["skus"][1]
    assert answer["top"][0] == answer["skus"][0] and len(answer["top"]) == 5
    assert answer["length"] == pytest.approx(1.0, abs=1e-5)


def test_predict_names_the_boxes_of_a_photo_and_reports_a_bad_image(shop: Shop) -> None:
    xml = next((shop.folder / "data" / "Annotations").glob("*.xml"))
    photo = shop.folder / "data" / "JPEGImages" / f"{xml.stem}.jpg"
    rows = [json.loads(line) for line in shop.call("predict", "served/shop/1", str(photo), "--boxes", str(xml), "--json").splitlines()]
    assert len(rows) == xml.read_text().count("<object>")
    assert all(0.0 <= row["confidence"] <= 1.0 for row in rows)
    (shop.folder / "notes.jpg").write_text("a shopping list")
    text = shop.call("predict", "served/shop/1", str(photo), "notes.jpg", "--json", code=1)
    assert [json.loads(line)["reason"] for line in text.splitlines()][1] == "bad_image"


def test_an_accepted_schema_is_what_later_runs_check_against(shop: Shop) -> None:
    shop.call("schema", "shop.yaml", "--accept")
    assert (shop.folder / "schema.pbtxt").is_file()
    shop.run(*EPOCHS, "--to", "DataGate")
    assert shop.states()["ImportSchemaGen"] == "ran"
    assert shop.facts()["schema_reviewed"] is True


def test_a_rollback_serves_an_old_version_as_the_next_number(shop: Shop) -> None:
    shop.call("rollback", "shop.yaml", "1", "--because", "a drill")
    manifest = json.loads((shop.folder / "served" / "shop" / "3" / "manifest.json").read_text())
    assert manifest["rollback_of"] == 1
    assert shop.call("versions", "shop.yaml").splitlines()[0].split()[0] == "3"


def test_a_catalogue_with_a_new_size_is_served_without_training(shop: Shop) -> None:
    rows = list(csv.DictReader((shop.folder / "data" / "catalog.csv").read_text(encoding="utf-8").splitlines()))
    pair = next(row for row in rows if sum(other["look"] == row["look"] for other in rows) > 1)
    sides = {side: str(3 * float(pair[side])) for side in ("width_mm", "height_mm")}
    (shop.folder / "bad.csv").write_text(_table([*rows, {**pair, "sku": "tea", "look": "tea", "gtin": ""}]), encoding="utf-8")
    assert "bad.csv: SKU tea: look 'tea' was not trained; needs training" in shop.call("update-catalog", "shop.yaml", "bad.csv", code=2)
    new = {**pair, **sides, "sku": "family-pack", "name": "Family pack", "gtin": ""}
    (shop.folder / "new.csv").write_text(_table([*rows, new]), encoding="utf-8")
    said = shop.call("update-catalog", "shop.yaml", "new.csv")
    assert "pushed as version 4" in said and "the next `run` reads" in said
    states = shop.states()
    assert states["Calibrator"] == states["Pusher"] == "ran"
    assert states["Trainer"] == "cached"
    facts = [json.loads((shop.folder / "served" / "shop" / number / "assets.extra" / "model.json").read_text()) for number in "34"]
    assert facts[0]["embedder_id"] == facts[1]["embedder_id"]
    assert "family-pack" not in facts[1]["never_answered"] and facts[1]["examples"]["family-pack"] == 0
    assert "nothing was done" in shop.call("update-catalog", "shop.yaml", "new.csv")


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_gc_keeps_the_served_version_and_the_cache_of_the_kept_runs(shop: Shop) -> None:
    assert "would remove" in shop.call("gc", "shop.yaml", "--keep", "2", "--dry-run")
    assert len(shop.run_folders()) == 6
    shop.call("gc", "shop.yaml", "--keep", "2")  # the update, and the run on the accepted schema
    assert (shop.folder / "served" / "shop" / "4").is_dir()
    shop.run(*EPOCHS, "--to", "DataGate")
    assert set(shop.states().values()) == {"cached"}


def test_runs_and_report_tell_what_happened(shop: Shop) -> None:
    listed = shop.call("runs", "shop.yaml")
    assert "cached" in listed and "same code, config and inputs as before" in listed
    assert "config" in shop.call("report", "shop.yaml")


def test_a_failed_node_is_told_in_one_line_and_the_traceback_is_in_the_log(shop: Shop) -> None:
    broken = next((shop.folder / "data" / "JPEGImages").glob("*.jpg"))
    broken.write_bytes(broken.read_bytes()[:500])
    facts = shop.run(code=1)
    assert facts["state"] == "failed"
    assert "ExampleGen" in shop.text and broken.name in shop.text and "run.log" in shop.text
    assert "Traceback" not in shop.text and "Traceback" in shop.log()
