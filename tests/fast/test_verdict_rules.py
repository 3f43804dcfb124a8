"""The rules of the blessing, by hand."""

import math

import msgspec
import pytest

from tests.fast.scene_crops import crops, scenes
from tfx_retail.comparison import Earlier
from tfx_retail.config import Gate, Rule, VerdictConfig
from tfx_retail.verdict import Circumstances, InfraResult, SignatureEvaluation, Verdict, judge

SOUND = InfraResult(passed=True)
PLAIN = Circumstances(schema_reviewed=True)


def measured(examples: int = 100, **metrics: float | None) -> dict[str, SignatureEvaluation]:
    return {"serving_default": SignatureEvaluation(overall={**metrics, "examples": examples})}


def rules(*asked: Rule, min_examples: int = 30) -> VerdictConfig:
    return VerdictConfig(rules=asked, min_examples=min_examples)


ACCURATE = Rule(metric="sku_accuracy", at_least=0.8)


def test_a_model_that_reaches_every_rule_is_blessed() -> None:
    asked = rules(ACCURATE, Rule(metric="log_loss", at_most=0.5))
    verdict = judge(asked, measured(sku_accuracy=0.85, log_loss=0.4), SOUND, PLAIN)
    assert verdict.blessed
    assert [(rule.metric, rule.value, rule.result) for rule in verdict.rules] == [
        ("sku_accuracy", 0.85, "pass"),
        ("log_loss", 0.4, "pass"),
        ("infra_check", 1.0, "pass"),
    ]
    assert verdict.rules[0].text == "sku_accuracy of serving_default is 0.850 (asked: at least 0.8; 100 examples)"
    assert verdict.notes == ["no earlier version to compare with: absolute rules only"]


@pytest.mark.parametrize(
    ("rule", "metrics", "result"),
    [
        (ACCURATE, {"sku_accuracy": 0.8}, "pass"),  # exactly the threshold is enough
        (ACCURATE, {"sku_accuracy": 0.7999}, "fail"),
        (Rule(metric="log_loss", at_most=0.5), {"log_loss": 0.5}, "pass"),
        (Rule(metric="log_loss", at_most=0.5), {"log_loss": 0.5001}, "fail"),
        (ACCURATE, {"sku_accuracy": math.nan}, "fail"),
        (Rule(metric="log_loss", at_most=0.5), {"log_loss": math.nan}, "fail"),
        (ACCURATE, {"sku_accuracy": None}, "fail"),
        (ACCURATE, {"look_accuracy": 0.9}, "fail"),  # not measured
        (Rule(metric="sku_accuracy", at_least=0.0), {}, "fail"),
        (Rule(metric="sku_accuracy", signature="predict_sized", at_least=0.0), {"sku_accuracy": 1.0}, "fail"),
    ],
)
def test_a_rule_holds_or_not(rule: Rule, metrics: dict[str, float | None], result: str) -> None:
    verdict = judge(rules(rule), {"serving_default": SignatureEvaluation(overall={**metrics, "examples": 100})}, SOUND, PLAIN)
    assert verdict.rules[0].result == result
    assert verdict.blessed == (result == "pass")


def test_a_value_that_is_not_a_number_is_kept_as_none() -> None:
    (rule, _) = judge(rules(ACCURATE), measured(sku_accuracy=math.nan), SOUND, PLAIN).rules
    assert rule.value is None
    assert rule.text == "sku_accuracy of serving_default is not a number (asked: at least 0.8; 100 examples)"


def test_too_few_examples_bless_nothing_however_good_they_are() -> None:
    verdict = judge(rules(ACCURATE), measured(examples=29, sku_accuracy=1.0), SOUND, PLAIN)
    assert not verdict.blessed
    assert verdict.rules[0].result == "too_few"
    assert verdict.rules[0].text == (
        "sku_accuracy of serving_default is 1.000 (asked: at least 0.8; 29 examples, too few: at least 30 are needed)"
    )
    assert judge(rules(ACCURATE), measured(examples=30, sku_accuracy=1.0), SOUND, PLAIN).blessed


def test_an_empty_eval_blesses_nothing() -> None:
    verdict = judge(rules(ACCURATE), {"serving_default": SignatureEvaluation(overall={"examples": 0})}, SOUND, PLAIN)
    assert [rule.result for rule in verdict.rules] == ["too_few", "pass"]
    assert not verdict.blessed


def test_one_failed_rule_is_enough() -> None:
    asked = rules(ACCURATE, Rule(metric="family_accuracy", at_least=0.9))
    verdict = judge(asked, measured(sku_accuracy=0.5, family_accuracy=0.95), SOUND, PLAIN)
    assert [rule.result for rule in verdict.rules] == ["fail", "pass", "pass"]
    assert not verdict.blessed


def test_a_model_that_a_fresh_process_cannot_use_is_not_blessed() -> None:
    verdict = judge(rules(ACCURATE), measured(sku_accuracy=1.0), InfraResult(passed=False, reason="crashed (SIGSEGV)"), PLAIN)
    assert not verdict.blessed
    assert (verdict.rules[-1].result, verdict.rules[-1].text) == ("fail", "infra check: crashed (SIGSEGV)")


def test_the_verdict_notes_what_its_rules_do_not_say() -> None:
    evaluation = {
        "serving_default": SignatureEvaluation(overall={"sku_accuracy": 0.9, "examples": 50}, absent=["milk", "可乐"]),
        "predict_sized": SignatureEvaluation(overall={"sku_accuracy": 0.9, "examples": 50}, absent=["milk", "可乐"]),
    }
    verdict = judge(rules(ACCURATE), evaluation, SOUND, Circumstances(schema_reviewed=False, anomalies=2, baseline=4))
    assert verdict.blessed
    assert not verdict.schema_reviewed
    assert verdict.baseline == 4
    assert verdict.notes == [
        "schema not reviewed: read the draft and accept it with `tfx-retail schema CONFIG --accept`",
        "2 anomalies of the data were let through (data.on_anomalies: warn)",
        "2 SKUs have no example in eval, nothing is known of them: milk, 可乐",
    ]


COMPARED = Circumstances(schema_reviewed=True, baseline=3)


def test_a_model_that_got_worse_in_one_family_is_refused_with_that_family_named() -> None:
    shown = [crop for name in ("chips", "soda", "water") for crop in scenes(80, name, new=name != "soda", old=True)]
    asked = VerdictConfig(rules=(ACCURATE,), gating=(Gate(feature="family"),))
    verdict = judge(asked, measured(sku_accuracy=0.9), SOUND, COMPARED, crops=crops(shown), earlier={"baseline": Earlier(version=3)})
    assert not verdict.blessed
    (refused,) = (rule for rule in verdict.rules if rule.result == "fail")
    assert (refused.kind, refused.against, refused.version, refused.feature, refused.slice) == ("slice", "baseline", 3, "family", "soda")
    assert (refused.value, refused.baseline_value, refused.loss, refused.margin, refused.groups) == (0.0, 1.0, 1.0, 0.05, 80)
    assert refused.text.startswith("sku_accuracy of serving_default, family soda: 0.000, with version 3 1.000; loss 1.000, between 0.8")
    assert "(allowed: 0.05; 80 groups, 80 examples; no loss under 0.114 could have been seen)" in refused.text
    assert {rule.slice for rule in verdict.slices if rule.feature == "sku"} == {"chips", "soda", "water"}


def test_too_few_groups_neither_block_nor_pass_unseen() -> None:
    asked = VerdictConfig(rules=(ACCURATE,), gating=(Gate(feature="family"),))
    few = crops(scenes(5, "soda", new=True, old=True))
    verdict = judge(asked, measured(sku_accuracy=0.9), SOUND, COMPARED, crops=few, earlier={"baseline": Earlier(version=3)})
    assert verdict.blessed
    assert verdict.rules[-1].result == "too_few"
    assert verdict.notes == ["too few groups to judge 1 of 1 gating slices, which neither blocks nor passes: family soda against version 3"]


def test_a_rule_has_bounds_over_scenes() -> None:
    found = crops(scenes(100, "soda", new=True, old=True))
    (rule, _) = judge(rules(ACCURATE), measured(sku_accuracy=1.0), SOUND, PLAIN, crops=found).rules
    assert rule.interval is not None
    assert 0.95 < rule.interval[0] < rule.interval[1] == 1.0
    assert rule.groups == 100
    assert f"between {rule.interval[0]:.3f} and 1.000" in rule.text


def test_the_verdict_says_what_changed_in_the_catalogue() -> None:
    earlier = {"baseline": Earlier(version=3, added=["tea"], removed=["milk", "juice"])}
    verdict = judge(rules(ACCURATE), measured(sku_accuracy=0.9), SOUND, COMPARED, crops=crops([]), earlier=earlier)
    assert verdict.notes[:2] == [
        "1 SKU is new since version 3, left out of the comparison: tea",
        "2 SKUs are answered by version 3 and no longer: milk, juice",
    ]


def test_a_reference_that_is_the_last_blessed_version_is_said_to_be() -> None:
    asked = VerdictConfig(rules=(ACCURATE,), reference=3)
    verdict = judge(asked, measured(sku_accuracy=0.9), SOUND, COMPARED, crops=crops([]), earlier={"baseline": Earlier(version=3)})
    assert verdict.reference == 3
    assert verdict.notes[0] == "the last blessed version is the pinned one too (verdict.reference: 3)"


def test_a_slice_without_any_example_says_so() -> None:
    asked = VerdictConfig(rules=(ACCURATE,), gating=(Gate(feature="family", value="tea"),))
    found = crops(scenes(9, "soda", new=True, old=True))
    verdict = judge(asked, measured(sku_accuracy=0.9), SOUND, COMPARED, crops=found, earlier={"baseline": Earlier(version=3)})
    assert verdict.rules[-1].text == "sku_accuracy of serving_default, family tea: no example to compare with version 3 on"


def test_a_verdict_can_be_read_again() -> None:
    found = crops(scenes(9, "soda", new=True, old=True))
    verdict = judge(rules(ACCURATE), measured(sku_accuracy=0.9), SOUND, COMPARED, crops=found, earlier={"baseline": Earlier(version=3)})
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
