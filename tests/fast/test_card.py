"""The model card in words: every number with what it stands on."""

import msgspec
import numpy as np

from tfx_retail import measured_doubt
from tfx_retail.card import DataFacts, ModelFacts, model_card
from tfx_retail.measured_doubt import Accepted, Answered, MeasuredDoubt, Shown, Sureness
from tfx_retail.reliability import Losses
from tfx_retail.verdict import RuleResult, SignatureEvaluation, Verdict

MODEL = ModelFacts(image_size=96, parameters=1_240_000, k=5, examples={"cola": 60, "lime": 40, "milk": 0}, never_answered=["milk"])
DATA = DataFacts(
    roles={"train": 100, "validation": 12, "calibration": 12, "eval": 1_040}, split_by="group", photos=300, rejected=2, sized=400
)
PASSED = RuleResult(metric="sku_accuracy", signature="serving_default", value=0.9, at_least=0.8, examples=1040, result="pass", text="fine")


def family(name: str, accuracy: float | None, examples: int) -> dict[str, object]:
    return {"feature": "family", "value": name, "sku_accuracy": accuracy, "family_accuracy": 1.0, "examples": examples}


def card(*slices: dict[str, object], verdict: Verdict | None = None, absent: tuple[str, ...] = (), data: DataFacts = DATA) -> str:
    plain = SignatureEvaluation(overall={"sku_accuracy": 0.9, "log_loss": None, "examples": 1040}, slices=list(slices), absent=list(absent))
    sized = SignatureEvaluation(overall={"sku_accuracy": 0.95, "log_loss": 0.25, "examples": 1040})
    return model_card(
        "shop",
        "Counting facings.",
        MODEL,
        data,
        {"serving_default": plain, "predict_sized": sized},
        verdict or Verdict(blessed=True, rules=[PASSED]),
    )


def test_the_card_says_what_the_model_is() -> None:
    text = card()
    assert text.startswith("# shop\n\nNames the product on an upright crop of one facing, out of 2 SKUs. ")
    assert "1.24 million parameters on 96 x 96 pixels" in text


def test_the_card_says_what_the_model_is_for_and_whose_the_photos_are() -> None:
    assert "## Intended use\n\nCounting facings.\n" in card()
    assert "Licence of the data: not stated (card.data_licence)." in card()
    assert "Licence of the data: MIT, Ana." in card(data=msgspec.structs.replace(DATA, licence="MIT, Ana"))


def test_data_is_counted_by_role() -> None:
    text = card()
    assert "| eval | 1,040 |" in text
    assert "300 photos, 2 files, boxes or rows rejected. Split by group: no scene is in two roles. 2 of 3 SKUs have training crops." in text


def test_each_metric_has_a_column_a_signature_and_the_examples_behind_it() -> None:
    text = card()
    assert "| metric | serving_default | predict_sized |" in text
    assert "| SKU accuracy | 0.900 | 0.950 |" in text
    assert "| log loss | - | 0.250 |" in text
    assert "| examples | 1,040 | 1,040 |" in text
    assert "400 of the 1,040 crops have a measured side" in text


def doubted() -> MeasuredDoubt:
    rows = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]])
    after = Sureness(np.array([0.9, 0.6, 0.8, 0.7]), Losses(np.full(4, 0.25), np.full(4, 0.5)))
    accepted = Accepted(np.array([True, True, False, False]), np.ones(4, bool), after.confidence)
    decided = np.where(np.arange(4)[:, None] == 1, 0, rows)  # the second is the wrong SKU of the right family
    return measured_doubt.measure(Shown(rows, np.arange(4), {}), Answered(decided, after, None, accepted))


def test_doubt_is_what_was_accepted_and_what_that_promises() -> None:
    plain = SignatureEvaluation(overall={"sku_accuracy": 0.75, "examples": 4}, doubt=doubted())
    verdict = Verdict(blessed=True, rules=[PASSED])
    model = msgspec.structs.replace(MODEL, accepts={"without sizes": "accepted from 0.7 on"})
    text = model_card("shop", "Counting.", model, DATA, {"serving_default": plain}, verdict)
    section = text[text.index("## What is accepted") : text.index("## Weakest families")]
    assert "\n- without sizes: accepted from 0.7 on.\n" in section
    assert "| SKU accepted | 0.500 (" in section
    assert "| right among these | 0.500 (" in section
    assert "| family right among these | 1.000 (" in section
    assert "| Brier score | 0.250 (0.250 to 0.250) |" in section
    assert "| before calibration | - |" in section
    assert "- not measured: quality before calibration: the model was exported by an earlier version of this package" in section


def test_a_model_without_calibration_says_so() -> None:
    assert "## What is accepted\n\nNot known: the model was made without calibration.\n\n## Weakest" in card()


def test_the_weakest_families_come_first_and_what_was_not_measured_not_at_all() -> None:
    text = card(family("soda", 0.9, 10), family("可乐", 0.5, 4), family("waters", 0.5, 40), family("teas", None, 0))
    table = text[text.index("| family |") :].splitlines()[2:5]
    assert [row.split(" | ")[0] for row in table] == ["| waters", "| 可乐", "| soda"]
    assert "| 可乐 | 0.500 | 1.000 | 4 |" in text
    assert "teas" not in text


def test_a_bar_in_a_name_does_not_start_a_column() -> None:
    assert "| salt\\|pepper | 0.500 |" in card(family("salt|pepper", 0.5, 4))


def test_rules_and_notes_of_the_verdict_are_listed() -> None:
    failed = RuleResult(
        metric="macro_f1", signature="serving_default", value=0.1, at_least=0.5, examples=40, result="fail", text="macro_f1 is 0.100"
    )
    text = card(verdict=Verdict(blessed=False, rules=[PASSED, failed], notes=["schema not reviewed"]))
    assert "Not blessed.\n\n- pass: fine\n- fail: macro_f1 is 0.100\n- note: schema not reviewed\n" in text


def test_what_was_neither_trained_nor_measured_is_named_and_long_lists_are_cut() -> None:
    text = card(absent=tuple(f"sku{number}" for number in range(25)))
    assert "- Never answered, as they have no training crops or are retired: milk.\n" in text
    assert "sku18, sku19 and 5 more." in text
