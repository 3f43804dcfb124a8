"""Prediction files: the contract's answers, with all scores, of two models in one label order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tfx.types.standard_artifacts import Examples, Model

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import (
    answers,
    catalog,
    decisions,
    doubted,
    evaluation,
    features,
    handover,
    labels,
    model,
    outcomes,
    prediction_files,
    predictions,
    reliability,
    signatures,
)
from tfx_retail.answers import Hierarchy
from tfx_retail.components import artifacts
from tfx_retail.components.predictions import SkuPredictions, predict, translated
from tfx_retail.decisions import Thresholds
from tfx_retail.errors import UserError
from tfx_retail.evaluation import SIGNATURES, decide, in_top, truth
from tfx_retail.predictions import Answers, Chunk
from tfx_retail.product import Product
from tfx_retail.size_model import SizeModel
from tfx_retail.trained import Taught, Trained

HEIGHTS = {"water": 205.0, "still": 290.0}  # the catalogue says 200 and 300
SKUS = ("cola", "lime", "water", "still")


def crops(count: int = 3) -> list[bytes]:
    """Returns examples as the pipeline has them: `count` of each SKU, sizes of two of them, a brand of one."""
    rows = [(sku, number) for number in range(count) for sku in SKUS]
    return [example(sku, number) for sku, number in rows]


def example(sku: str, number: int) -> bytes:
    made = tf.train.Example.FromString(retail_set.example(retail_set.pack(sku, 500 + number), sku, HEIGHTS.get(sku, float("nan"))))
    family = "soda" if sku in ("cola", "lime") else "waters"
    texts = {"crop_id": f"p{number}#{sku}", "photo_id": f"p{number}", "group": f"g{number}", "family": family, "category": "drinks"}
    if sku == "cola":
        texts["brand"] = "可乐"
    for name, text in texts.items():
        made.features.feature[name].bytes_list.value.append(text.encode())
    made.features.feature["truncated"].int64_list.value.append(number % 2)
    return bytes(made.SerializeToString())


def write(folder: Path, examples: Sequence[bytes], *, shards: int = 1, gzip: bool = False) -> None:
    folder.mkdir(parents=True)
    for shard in range(shards):
        path = folder / f"data_tfrecord-{shard:05d}-of-{shards:05d}{'.gz' if gzip else ''}"
        with tf.io.TFRecordWriter(str(path), options="GZIP" if gzip else "") as writer:
            for serialized in examples[shard::shards]:
                writer.write(serialized)


def all_of(folder: Path, role: str) -> Chunk:
    (chunk,) = predictions.read(folder, role)
    return chunk


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write(folder / "Split-calibration", crops(2), gzip=True)
    write(folder / "Split-eval", crops(3), shards=2)
    return folder


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model with labels of its own: it does not know `still`, and knows `juice`, which the new one does not."""
    folder = tmp_path_factory.mktemp("earlier")
    retail_set.write_rows(
        folder / "labels.csv", [("index", "sku", "status"), ("0", "water", "active"), ("1", "juice", "active"), ("2", "cola", "active")]
    )
    rows = [row for row in retail_set.CATALOG if row[0] in ("sku", "water", "cola")]
    retail_set.write_rows(folder / "catalog.csv", [*rows, ("juice", "Juice", "drinks", "juices", "juice", "", "")])
    lists = answers.hierarchy(labels.read(folder / "labels.csv"), catalog.read(folder / "catalog.csv"), np.ones(3, bool))
    settings = retail_set.config().model
    network = model.build(settings, lists.family_of_look)
    known = Trained(
        image_size=settings.image_size,
        crop_context=0.0,
        parameters=network.count_params(),
        embedder_id=handover.embedder_id(network),
        products=tuple(
            Taught(sku=sku, look=look, family=family, examples=1)
            for sku, look, family in zip(lists.skus, lists.looks, lists.families, strict=True)
        ),
    )
    handover.save(handover.of_keras(network, settings.image_size), known, folder / "network")
    retail_set.finish(RetailSet(folder), folder)
    (folder / "model").rename(folder / "7")
    return folder / "7"


@pytest.fixture(scope="module")
def answered(photos: Path, trained: Path, earlier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictions")
    predict(photos, trained / "model", earlier, folder)
    return folder


def products(*rows: tuple[str, str, str, str]) -> Hierarchy:
    """Returns label lists of (sku, look, family, category)."""
    listed = tuple(Product(sku=sku, name=sku, look=look, family=family, category=category) for sku, look, family, category in rows)
    order = [labels.Label(index, product.sku) for index, product in enumerate(listed)]
    return answers.hierarchy(order, catalog.of(listed), np.ones(len(rows), bool))


def floats(*rows: Sequence[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def test_the_family_decides_before_the_look_and_the_look_before_the_sku() -> None:
    lists = products(("a", "x", "f", "c"), ("b", "y", "g", "c"), ("d", "z", "g", "c"), ("e", "z", "g", "c"))
    # the best SKU is `a`, the best family g (0.6), in it the best look z (0.35), in it the best SKU e
    decided = decide(floats((0.4, 0.25, 0.15, 0.2)), floats((0.4, 0.6)), lists)
    assert decided.indices.tolist() == [[3, 2, 1, 0]]
    assert decided.confidences[0].tolist() == pytest.approx([0.2, 0.35, 0.6])


def test_truth_is_the_whole_lineage_of_a_label() -> None:
    lists = products(("a", "x", "f", "c"), ("b", "y", "g", "d"), ("e", "y", "g", "d"))
    assert truth(np.array([2, 0]), lists).tolist() == [[2, 1, 1, 1], [0, 0, 0, 0]]


def test_the_decided_sku_leads_the_top_whatever_its_score() -> None:
    lists = products(*((name, name, "f", "c") for name in "abcdefg"))
    scores = floats((0.3, 0.2, 0.15, 0.14, 0.11, 0.1, 0.0))
    decided = np.array([6])  # as if another rule had chosen the last one: then four more fit, a to d
    assert [bool(in_top(scores, decided, np.array([label]), lists)[0]) for label in range(7)] == [
        True,
        True,
        True,
        True,
        False,
        False,
        True,
    ]


def test_what_the_model_does_not_know_or_never_answers_is_not_in_the_top() -> None:
    lists = products(("a", "a", "f", "c"), ("b", "b", "f", "c"), ("d", "d", "f", "c"))
    lists = lists._replace(active=np.array([True, True, False]))
    scores = floats((1.0, 0.0, 0.0))
    assert [bool(in_top(scores, np.array([0]), np.array([label]), lists)[0]) for label in (0, 1, 2, -1)] == [True, True, False, False]


@pytest.mark.parametrize("seed", range(3))
def test_numpy_decides_as_the_served_graph_does(packs: RetailSet, seed: int) -> None:
    lists = answers.hierarchy(labels.read(packs.labels), catalog.read(packs.catalog), np.array([True, True, True, True, True, False]))
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(200, 5)).astype(np.float32)
    corrections = answers.uncorrected(lists, np.array([4, 0, 5, 6, 7, 0]))._replace(family_temperature=1.3, look_temperature=0.7)
    heights = rng.choice([np.nan, 210.0, 290.0], 200).astype(np.float32)
    ok = np.ones(200, bool)
    measured = answers.evidence(heights, np.full(200, np.nan, np.float32), lists, SizeModel())
    scores = answers.sized(answers.scores(logits, ok, lists, corrections), measured, lists)
    served = decisions.decided(scores, ok, measured, lists, Thresholds(0.5, 0.5))
    decided = decide(scores.sku.numpy(), scores.family.numpy(), lists)
    names = (lists.skus, lists.looks, lists.families, lists.categories)
    for level, name in enumerate(evaluation.LEVELS):
        assert [names[level][index].encode() for index in decided.indices[:, level]] == served[name].numpy().tolist()
    for column, name in enumerate(("confidence", "look_confidence", "family_confidence")):
        np.testing.assert_allclose(decided.confidences[:, column], served[name].numpy(), atol=1e-6)
    for index, sku in enumerate(lists.skus):
        label = np.full(200, index)
        hits = in_top(scores.sku.numpy(), decided.indices[:, 0], label, lists)
        assert hits.tolist() == [sku.encode() in row for row in served["top_skus"].numpy().tolist()]


def test_there_is_a_file_for_each_file_of_examples_and_the_counts_are_told(answered: Path) -> None:
    found = sorted(str(path.relative_to(answered)) for path in answered.rglob("*.tfrecord"))
    assert found == [
        "Split-calibration/predictions-00000-of-00001.tfrecord",
        "Split-eval/predictions-00000-of-00002.tfrecord",
        "Split-eval/predictions-00001-of-00002.tfrecord",
    ]
    facts = prediction_files.read_facts(answered)
    assert facts.counts == {"calibration": 8, "eval": 12}
    assert facts.sized == {"calibration": 4, "eval": 6}
    assert facts.skus == ["cola", "gone", "lime", "water", "still", "milk"]
    assert facts.never_answered == ["gone", "milk"]
    assert facts.top == 4
    assert (facts.baseline_lacks, facts.candidate_lacks) == (["gone", "lime", "still", "milk"], ["juice"])


def test_facts_are_kept_and_the_image_is_not(answered: Path) -> None:
    chunk = all_of(answered, "eval")
    assert sorted(chunk.facts["crop_id"].tolist()) == sorted(f"p{number}#{sku}" for number in range(3) for sku in SKUS)
    assert dict(zip(chunk.facts["sku"], chunk.facts["brand"], strict=True)) == {"cola": "可乐", "lime": "", "water": "", "still": ""}
    assert dict(zip(chunk.facts["photo_id"], chunk.facts["truncated"], strict=True)) == {"p0": 0, "p1": 1, "p2": 0}
    heights = chunk.facts["measured_height_mm"][chunk.facts["sku"] == "water"]
    assert heights.tolist() == [205.0, 205.0, 205.0]
    assert np.isnan(chunk.facts["measured_height_mm"][chunk.facts["sku"] == "cola"]).all()
    assert features.IMAGE.name not in chunk.facts
    labels_of = dict(zip(chunk.facts["sku"], chunk.label.tolist(), strict=True))
    assert labels_of == {"cola": 0, "lime": 2, "water": 3, "still": 4}


def test_scores_and_decisions_are_those_that_the_model_serves(answered: Path, photos: Path, trained: Path) -> None:
    served = signatures.load(trained / "model")
    chunk = all_of(answered, "eval")
    images = [image_of(serialized) for serialized in in_order(photos / "Split-eval")]
    for signature, sizes in (("serving_default", np.float32(np.nan)), ("predict_sized", chunk.facts["measured_height_mm"])):
        scores = signatures.predict(served, images, height_mm=sizes, signature="predict_all")
        said = signatures.predict(served, images, height_mm=sizes, signature=signature)
        found = chunk.answers[signature]
        np.testing.assert_allclose(found.sku_scores, scores["sku_scores"], atol=1e-5)
        np.testing.assert_allclose(found.family_scores, scores["family_scores"], atol=1e-5)
        np.testing.assert_allclose(found.unknown_score, scores["unknown_score"], atol=1e-5)
        names = prediction_files.read_facts(answered).skus
        assert [names[index].encode() for index in found.decisions.indices[:, 0]] == said["sku"].tolist()
        assert found.in_top.tolist() == [
            sku.encode() in top for sku, top in zip(chunk.facts["sku"], said["top_skus"].tolist(), strict=True)
        ]


def test_what_is_accepted_is_what_the_model_serves(answered: Path, photos: Path, trained: Path) -> None:
    served = signatures.load(trained / "model")
    chunk = all_of(answered, "eval")
    images = [image_of(serialized) for serialized in in_order(photos / "Split-eval")]
    said = signatures.predict(served, images, height_mm=chunk.facts["measured_height_mm"], signature="predict_sized")
    found = chunk.answers["predict_sized"].doubt
    assert found is not None
    assert found.accepted.tolist() == np.stack([said["accepted"], said["family_accepted"]], axis=1).astype(int).tolist()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert ((found.before[:, 0] > 0) & (found.before[:, 0] <= 1)).all()
    light = doubted.read(answered, "eval")
    assert light.facts.training_crops == {"cola": 12, "gone": 0, "lime": 12, "water": 12, "still": 12, "milk": 0}
    of_files = light.answered["predict_sized"]
    assert of_files.accepted is not None
    assert of_files.accepted.sku.tolist() == said["accepted"].tolist()
    np.testing.assert_allclose(of_files.after.confidence, said["confidence"], atol=1e-5)


def test_losses_are_those_of_the_scores_beside_them(answered: Path) -> None:
    chunk = all_of(answered, "eval")
    for name in SIGNATURES:
        found, expected = chunk.answers[name].losses, reliability.losses(chunk.answers[name].sku_scores, chunk.label)
        assert found is not None
        np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-4, atol=1e-6)


def test_a_model_of_earlier_code_does_not_say_what_it_accepts(tmp_path: Path) -> None:
    lists = products(("a", "a", "f", "c"), ("b", "b", "f", "c"))
    scores, families = floats((0.7, 0.3)), floats((1.0,))
    given = Answers(scores, families, floats([0.3])[0], decide(scores, families, lists), np.array([True]))
    path = prediction_files.file_path(tmp_path, "eval", 0, 1)
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(predictions.encode(example("cola", 1), 0, truth(np.array([1]), lists), dict.fromkeys(SIGNATURES, given)))
    facts = prediction_files.PredictionFacts(
        counts={"eval": 1}, sized={}, skus=["a", "b"], looks=["a", "b"], families=["f"], categories=["c"]
    )
    prediction_files.write_facts(tmp_path, facts)
    assert all_of(tmp_path, "eval").answers["serving_default"].doubt is None
    assert all_of(tmp_path, "eval").answers["serving_default"].losses is None
    assert len(doubted.measure(doubted.read(tmp_path, "eval"))["serving_default"].missing) == 4


def test_a_crop_without_a_size_is_answered_alike_by_both_signatures(answered: Path) -> None:
    chunk = all_of(answered, "eval")
    plain, sized = (chunk.answers[signature].sku_scores for signature in SIGNATURES)
    unsized = np.isnan(chunk.facts["measured_height_mm"])
    assert (plain[unsized] == sized[unsized]).all()
    assert (np.abs(plain[~unsized] - sized[~unsized]).max(axis=1) > 0.01).all()


def test_the_earlier_models_scores_are_in_the_new_models_order(answered: Path, photos: Path, earlier: Path) -> None:
    chunk = all_of(answered, "eval")
    images = [image_of(serialized) for serialized in in_order(photos / "Split-eval")]
    scores = signatures.predict(signatures.load(earlier), images, signature="predict_all")
    found = chunk.answers["baseline/serving_default"]
    np.testing.assert_allclose(found.sku_scores[:, [3, 0]], scores["sku_scores"][:, [0, 2]], atol=1e-5)
    assert (found.sku_scores[:, [1, 2, 4, 5]] == 0).all()
    assert set(chunk.answers) == {"serving_default", "predict_sized", "baseline/serving_default", "baseline/predict_sized"}


def test_answers_are_translated_by_name() -> None:
    own = products(("water", "bottle", "waters", "drinks"), ("juice", "juice", "juices", "drinks"), ("cola", "cola", "soda", "drinks"))
    new = products(("cola", "cola", "soda", "drinks"), ("water", "bottle", "waters", "drinks"), ("still", "bottle", "waters", "drinks"))
    scores, families = floats((0.5, 0.3, 0.2), (0.1, 0.8, 0.1)), floats((0.5, 0.3, 0.2), (0.1, 0.8, 0.1))
    given = Answers(scores, families, floats([0.5, 0.2])[0], decide(scores, families, own), np.array([True, False]))
    found = translated(given, own, new)
    np.testing.assert_array_equal(found.sku_scores, floats((0.2, 0.5, 0.0), (0.1, 0.1, 0.0)))
    np.testing.assert_array_equal(found.family_scores, floats((0.2, 0.5), (0.1, 0.1)))
    assert found.decisions.indices.tolist() == [[1, 1, 1, 0], [-1, -1, -1, 0]]  # juice has no place in the new lists
    assert found.in_top.tolist() == [True, False]


def test_both_models_are_asked_among_common_skus_where_the_catalogue_changed(answered: Path, photos: Path, earlier: Path) -> None:
    facts = prediction_files.read_facts(answered)
    assert (facts.added, facts.removed) == ({"baseline": ["lime", "still"]}, {"baseline": ["juice"]})
    assert facts.same_look == ["water", "still"]
    crops = outcomes.read(answered)
    new, old = crops.masked["baseline/serving_default"]
    assert new.shape == old.shape == (12, 4)
    images = [image_of(serialized) for serialized in in_order(photos / "Split-eval")]
    scores = signatures.predict(signatures.load(earlier), images, signature="predict_all")
    water, _, cola = scores["sku_scores"].T  # the earlier model's order; juice may not win
    chosen = np.where(water > cola, "water", "cola")
    skus = np.array(crops.columns["sku"].values)[crops.columns["sku"].codes]
    assert old[:, 0].tolist() == (chosen == skus).tolist()


def test_a_pinned_model_answers_beside_the_last_blessed_one(photos: Path, trained: Path, earlier: Path, tmp_path: Path) -> None:
    facts = predict(photos, trained / "model", trained / "model", tmp_path, reference=earlier)
    assert (facts.prefixes, facts.is_masked("baseline/"), facts.is_masked("reference/")) == (("baseline/", "reference/"), False, True)
    chunk = all_of(tmp_path, "eval")
    plain, baseline = chunk.answers["serving_default"], chunk.answers["baseline/serving_default"]
    np.testing.assert_array_equal(plain.sku_scores, baseline.sku_scores)
    assert (chunk.answers["reference/serving_default"].sku_scores[:, [1, 2, 4, 5]] == 0).all()


def test_among_some_skus_a_family_is_worth_what_they_are() -> None:
    lists = products(("a", "a", "f", "c"), ("b", "b", "g", "c"), ("d", "d", "g", "c"))
    scores = floats((0.3, 0.1, 0.6), (0.05, 0.9, 0.05))  # without d, family g is worth 0.1, and a wins
    assert evaluation.decide_among(scores, np.array([True, True, False]), lists).indices[:, 0].tolist() == [0, 1]


def test_reading_is_bounded_by_the_rows_that_are_asked_for(answered: Path) -> None:
    chunks = list(predictions.read(answered, "eval", rows=5))
    assert [len(chunk.label) for chunk in chunks] == [5, 5, 2]
    whole = all_of(answered, "eval")
    assert np.concatenate([chunk.label for chunk in chunks]).tolist() == whole.label.tolist()


def test_a_sku_that_the_model_has_no_output_for_stops_the_node(trained: Path, tmp_path: Path) -> None:
    stranger = tf.train.Example.FromString(retail_set.example(retail_set.pack("cola", 1), "可可"))
    write(tmp_path / "examples" / "Split-calibration", [bytes(stranger.SerializeToString())])
    with pytest.raises(UserError, match=r"data_tfrecord-00000-of-00001: SKU '可可' is not in the model's labels\.csv"):
        predict(tmp_path / "examples", trained / "model", None, tmp_path / "out")


def test_an_earlier_version_that_was_removed_is_named(photos: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"shop/3: no model in it"):
        predict(photos, trained / "model", tmp_path / "shop" / "3", tmp_path / "out")


def test_the_node_asks_the_exported_model_and_nothing_else_where_there_is_no_earlier_one(
    photos: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "Format-Serving").symlink_to(trained / "model")
    given, asked, made = Examples(), Model(), artifacts.Predictions()
    given.uri, asked.uri, made.uri = str(photos), str(tmp_path / "model"), str(tmp_path / "out")
    SkuPredictions.test_call(examples=given, model=asked, predictions=made, baseline="", code="0")
    assert prediction_files.read_facts(tmp_path / "out").counts == {"calibration": 8, "eval": 12}
    assert set(all_of(tmp_path / "out", "calibration").answers) == {"serving_default", "predict_sized"}


def test_an_empty_role_has_no_files_and_counts_nothing(trained: Path, tmp_path: Path) -> None:
    write(tmp_path / "examples" / "Split-eval", crops(1))
    facts = predict(tmp_path / "examples", trained / "model", None, tmp_path / "out")
    assert facts.counts == {"calibration": 0, "eval": 4}
    assert list(predictions.read(tmp_path / "out", "calibration")) == []


def in_order(folder: Path) -> list[bytes]:
    paths = sorted(str(path) for path in folder.iterdir())
    return [bytes(serialized) for serialized in tf.data.TFRecordDataset(paths).as_numpy_iterator()]


def image_of(serialized: bytes) -> bytes:
    return bytes(tf.train.Example.FromString(serialized).features.feature[features.IMAGE.name].bytes_list.value[0])
