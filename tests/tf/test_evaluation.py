"""TFMA's numbers, by hand and against scikit-learn on the same predictions."""

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from tfx.types import channel_utils
from tfx.types.standard_artifacts import ModelEvaluation

from tfx_retail import answers, catalog, evaluation, labels
from tfx_retail.answers import Hierarchy
from tfx_retail.components import artifacts
from tfx_retail.components.evaluator import SkuEvaluator, SkuEvaluatorExecutor
from tfx_retail.prediction_files import PredictionFacts, file_path, write_facts
from tfx_retail.predictions import Answers, encode
from tfx_retail.product import Product
from tfx_retail.verdict import SignatureEvaluation

# sku, look, family, category, brand; two pairs that look alike; nobody photographed `tea`
PRODUCTS = (
    ("cola-s", "cola", "可乐", "drinks", "fizz"),
    ("cola-l", "cola", "可乐", "drinks", "fizz"),
    ("lime", "lime", "soda", "drinks", ""),
    ("milk-s", "milk", "milk", "dairy", "alp"),
    ("milk-l", "milk", "milk", "dairy", "alp"),
    ("oat", "oat", "milk", "dairy", ""),
    ("tea", "tea", "tea", "drinks", ""),
)


def lists() -> Hierarchy:
    rows = tuple(Product(sku=sku, name=sku, look=look, family=family, category=category) for sku, look, family, category, _ in PRODUCTS)
    order = [labels.Label(index, product.sku) for index, product in enumerate(rows)]
    return answers.hierarchy(order, catalog.of(rows), np.ones(len(rows), bool))


def answered(scores: NDArray[np.float32], label: NDArray[np.int64], nest: Hierarchy) -> Answers:
    families = np.stack(
        [scores[:, nest.family_of_look[nest.look_of_sku] == family].sum(axis=1) for family in range(len(nest.families))], axis=1
    )
    decided = evaluation.decide(scores, families, nest)
    hits = evaluation.in_top(scores, decided.indices[:, 0], label, nest)
    return Answers(scores, families, 1 - scores.max(axis=1), decided, hits)


def write(folder: Path, label: NDArray[np.int64], plain: NDArray[np.float32], sized: NDArray[np.float32], *, shards: int = 1) -> None:
    """Writes a Predictions artifact with these scores as the answers of the two signatures."""
    nest = lists()
    truth = evaluation.truth(label, nest)
    said = {"serving_default": answered(plain, label, nest), "predict_sized": answered(sized, label, nest)}
    for shard in range(shards):
        path = file_path(folder, "eval", shard, shards)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in range(shard, len(label), shards):
                writer.write(encode(crop(row, int(label[row])), row, truth, said))
    facts = PredictionFacts(
        counts={"eval": len(label)},
        sized={"eval": 0},
        skus=list(nest.skus),
        looks=list(nest.looks),
        families=list(nest.families),
        categories=list(nest.categories),
        top=nest.top,
    )
    write_facts(folder, facts)


def crop(number: int, label: int) -> bytes:
    sku, look, family, category, brand = PRODUCTS[label]
    made = tf.train.Example()
    texts = {"crop_id": f"p{number}#0", "sku": sku, "look": look, "family": family, "category": category, "brand": brand}
    for name, text in texts.items():
        if text:
            made.features.feature[name].bytes_list.value.append(text.encode())
    made.features.feature["image_bytes"].bytes_list.value.append(b"image")
    return bytes(made.SerializeToString())


def evaluate(given: Path, made: Path) -> dict[str, SignatureEvaluation]:
    """Runs the node's executor and returns `evaluation.json`."""
    given_artifact, made_artifact = artifacts.Predictions(), ModelEvaluation()
    given_artifact.uri, made_artifact.uri = str(given), str(made)
    SkuEvaluatorExecutor().Do({"predictions": [given_artifact]}, {"evaluation": [made_artifact]}, {"code": "0"})
    return msgspec.json.decode((made / "evaluation.json").read_bytes(), type=dict[str, SignatureEvaluation])


def rows(*scores: dict[str, float]) -> NDArray[np.float32]:
    """Returns [N, 7] scores by SKU, 0 where none is given."""
    return np.array([[row.get(sku, 0.0) for sku, *_ in PRODUCTS] for row in scores], np.float32)


HAND_LABELS = np.array([0, 1, 2, 3])
HAND_PLAIN = rows(
    {"cola-s": 0.5, "cola-l": 0.25, "lime": 0.25},  # right
    {"cola-s": 0.5, "cola-l": 0.25, "lime": 0.25},  # right look, wrong size
    {"cola-s": 0.25, "lime": 0.25, "milk-s": 0.5},  # wrong category
    {"milk-s": 0.125, "milk-l": 0.25, "oat": 0.375, "lime": 0.25},  # family milk; oat and milk tie at 0.375, the earlier look wins: milk-l
)
HAND_SIZED = np.eye(7, dtype=np.float32)[HAND_LABELS]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SignatureEvaluation]:
    folder = tmp_path_factory.mktemp("by_hand")
    write(folder / "predictions", HAND_LABELS, HAND_PLAIN, HAND_SIZED)
    return evaluate(folder / "predictions", folder / "evaluation")


class Random:
    """Three hundred crops with random scores, what TFMA made of them, and what numpy knows of them."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(7)
        self.label = rng.integers(0, 6, 300)  # never tea
        self.plain, self.sized = (self._scores(rng, strength) for strength in (1.5, 3.0))
        write(folder / "predictions", self.label, self.plain, self.sized, shards=3)
        self.folder = folder / "evaluation"
        self.found = evaluate(folder / "predictions", self.folder)
        self.answer = {
            name: answered(scores, self.label, lists()).decisions.indices
            for name, scores in (("serving_default", self.plain), ("predict_sized", self.sized))
        }
        self.truth = evaluation.truth(self.label, lists())

    def _scores(self, rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
        logits = rng.normal(size=(300, 7))
        logits[np.arange(300), self.label] += strength
        return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Random:
    return Random(tmp_path_factory.mktemp("random"))


def test_metrics_of_four_crops_are_those_worked_out_by_hand(by_hand: dict[str, SignatureEvaluation]) -> None:
    overall = by_hand["serving_default"].overall
    assert overall["examples"] == 4
    assert overall["sku_accuracy"] == 0.25
    assert overall["look_accuracy"] == 0.75
    assert overall["family_accuracy"] == 0.75
    assert overall["category_accuracy"] == 0.75
    assert overall["top_k_accuracy"] == 1.0
    # F1: cola-s 2*1/(1+2), the other three with examples 0
    assert overall["macro_f1"] == pytest.approx((2 / 3) / 4)
    assert overall["log_loss"] == pytest.approx((math.log(2) + math.log(4) + math.log(4) + math.log(8)) / 4)


def test_the_signatures_are_measured_apart(by_hand: dict[str, SignatureEvaluation]) -> None:
    overall = by_hand["predict_sized"].overall
    assert (overall["sku_accuracy"], overall["macro_f1"], overall["log_loss"]) == (1.0, 1.0, 0.0)


def test_each_class_has_its_precision_and_recall_and_absent_ones_are_named(by_hand: dict[str, SignatureEvaluation]) -> None:
    measured = by_hand["serving_default"]
    found = {row["sku"]: (row["examples"], row["predicted"], row["precision"], row["recall"]) for row in measured.per_class}
    assert found == {
        "cola-s": (1, 2, 0.5, 1.0),
        "cola-l": (1, 0, None, 0.0),
        "lime": (1, 0, None, 0.0),
        "milk-s": (1, 1, 0.0, 0.0),
        "milk-l": (0, 1, 0.0, None),
    }
    assert measured.absent == ["milk-l", "oat", "tea"]


def test_slices_are_by_category_family_and_brand(by_hand: dict[str, SignatureEvaluation]) -> None:
    found = [(row["feature"], row["value"], row["examples"], row["sku_accuracy"]) for row in by_hand["serving_default"].slices]
    assert found == [
        ("category", "dairy", 1, 0.0),
        ("category", "drinks", 3, 1 / 3),
        ("family", "milk", 1, 0.0),
        ("family", "soda", 1, 0.0),
        ("family", "可乐", 2, 0.5),
        ("brand", "alp", 1, 0.0),
        ("brand", "fizz", 2, 0.5),  # what has no brand is in no slice of one
    ]


@pytest.mark.parametrize("signature", evaluation.SIGNATURES)
def test_the_numbers_are_scikit_learns(random: Random, signature: str) -> None:
    overall, answer = random.found[signature].overall, random.answer[signature]
    scores = random.plain if signature == "serving_default" else random.sized
    for level, name in enumerate(evaluation.LEVELS):
        assert overall[f"{name}_accuracy"] == pytest.approx(sklearn.accuracy_score(random.truth[:, level], answer[:, level]))
    expected_f1 = sklearn.f1_score(random.label, answer[:, 0], labels=range(6), average="macro", zero_division=0)
    assert overall["macro_f1"] == pytest.approx(expected_f1)
    assert overall["log_loss"] == pytest.approx(
        sklearn.log_loss(random.label, scores / scores.sum(axis=1, keepdims=True), labels=range(7)), rel=1e-5
    )
    top = [
        [first, *[sku for sku in np.argsort(-row, kind="stable") if sku != first][:4]]
        for first, row in zip(answer[:, 0], scores, strict=True)
    ]
    assert overall["top_k_accuracy"] == pytest.approx(np.mean([label in five for label, five in zip(random.label, top, strict=True)]))
    assert overall["examples"] == 300


@pytest.mark.parametrize("signature", evaluation.SIGNATURES)
def test_precision_and_recall_by_class_are_scikit_learns(random: Random, signature: str) -> None:
    answer = random.answer[signature][:, 0]
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(random.label, answer, labels=range(7), zero_division=0)
    by_sku = {row["sku"]: row for row in random.found[signature].per_class}
    for index, (sku, *_) in enumerate(PRODUCTS[:6]):
        assert by_sku[sku]["precision"] == pytest.approx(precision[index])
        assert by_sku[sku]["recall"] == pytest.approx(recall[index])
        assert by_sku[sku]["f1"] == pytest.approx(f1[index])
        assert by_sku[sku]["examples"] == support[index]
    assert random.found[signature].absent == ["tea"]


def test_slices_are_scikit_learns_on_their_rows(random: Random) -> None:
    answer = random.answer["serving_default"][:, 0]
    by_slice = {(row["feature"], row["value"]): row for row in random.found["serving_default"].slices}
    columns = {"category": 3, "family": 2, "brand": 4}
    assert len(by_slice) == 2 + 3 + 2
    for (feature, value), row in by_slice.items():
        mask = np.array([PRODUCTS[label][columns[feature]] == value for label in random.label])
        present = sorted(set(random.label[mask].tolist()))
        assert row["examples"] == mask.sum()
        assert row["sku_accuracy"] == pytest.approx(sklearn.accuracy_score(random.label[mask], answer[mask]))
        expected = sklearn.f1_score(random.label[mask], answer[mask], labels=present, average="macro", zero_division=0)
        assert row["macro_f1"] == pytest.approx(expected)


def test_doubt_and_look_alikes_stand_beside_what_tfma_measured(random: Random) -> None:
    for name, scores in (("serving_default", random.plain), ("predict_sized", random.sized)):
        found, wrong = random.found[name], random.answer[name][:, 0] != random.label
        assert found.doubt is not None
        assert found.doubt.crops == 300
        assert found.doubt.after.calibration.crops == 300
        sure = scores[np.arange(300), random.answer[name][:, 0]]
        assert sum(found.doubt.histogram.wrong) == wrong.sum()
        assert found.doubt.after.calibration.bins[-1].confidence == pytest.approx(np.sort(sure)[-20:].mean())
        assert found.look_alikes is not None
        assert sum(pair.crops for pair in found.look_alikes.pairs) == wrong.sum()
        assert sum(pair.crops for pair in found.look_alikes.families) == wrong.sum()
    lines = (random.folder / "look_alikes.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + sum(len(found.look_alikes.pairs) for found in random.found.values() if found.look_alikes)


def test_tfmas_own_files_can_be_read_by_tfma(random: Random) -> None:
    result = tfma.load_eval_result(str(random.folder), model_name="predict_sized")
    found = {key: values[""][""]["sku_accuracy"]["doubleValue"] for key, values in result.slicing_metrics}
    assert found[()] == random.found["predict_sized"].overall["sku_accuracy"]
    assert (("family", "可乐"),) in found


def test_an_eval_role_without_crops_measures_nothing_and_names_every_sku(tmp_path: Path) -> None:
    write(tmp_path / "predictions", np.zeros(0, np.int64), np.zeros((0, 7), np.float32), np.zeros((0, 7), np.float32))
    found = evaluate(tmp_path / "predictions", tmp_path / "evaluation")
    assert found["serving_default"].overall["examples"] == 0
    assert found["serving_default"].overall["sku_accuracy"] is None
    assert len(found["serving_default"].absent) == 7


def test_a_score_of_zero_for_the_truth_costs_a_finite_loss(tmp_path: Path) -> None:
    write(tmp_path / "predictions", np.array([2]), rows({"cola-s": 1.0}), rows({"lime": 1.0}))
    found = evaluate(tmp_path / "predictions", tmp_path / "evaluation")
    assert found["serving_default"].overall["log_loss"] == pytest.approx(-math.log(1e-7))
    json.loads((tmp_path / "evaluation" / "evaluation.json").read_bytes(), parse_constant=pytest.fail)


def test_the_node_takes_predictions_and_a_digest_of_its_code() -> None:
    given = artifacts.Predictions()
    node = SkuEvaluator(predictions=channel_utils.as_channel([given]), code="abc").with_id("Evaluator")
    assert node.exec_properties["code"] == "abc"
    assert list(node.outputs) == ["evaluation"]
