"""Section 1: whether this model may be trusted, why, how long the run took, and what is new since the last blessed one."""

from collections.abc import Iterator
from typing import Any

import msgspec
from markupsafe import Markup
from msgspec import Struct

from tfx_retail.page import charts, shares
from tfx_retail.page.collect import Collected
from tfx_retail.page.predicted import SIGNATURES
from tfx_retail.page.values import NONE, duration, nothing, percent, points, spoken

_TITLES = {
    "blessed": "Blessed",
    "not blessed": "Not blessed",
    "done": "Done, not judged",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "running": "Still running",
}
_LEADS = {
    "blessed": "Every rule holds: the model was pushed as version {version}.",
    "not blessed": "Nothing was pushed. The rules that did not hold are below.",
    "done": "The run went as far as was asked for; there is no verdict.",
    "failed": "The run stopped in {node}; nothing was judged or pushed.",
    "interrupted": "The run was stopped before its end; the next one goes on from there.",
    "running": "The page shows what is known so far.",
}
_BY_HAND = "A person blessed this model although not every rule holds; who, when and why stands below."
_TILES = (
    ("sku_accuracy", 0),
    ("look_accuracy", 1),
    ("family_accuracy", 2),
    ("top_k_accuracy", None),
    ("macro_f1", None),
    ("log_loss", None),
)
_SIGNS = {"pass": "✓", "fail": "✕", "too_few": "?"}


class RuleLine(Struct, frozen=True, kw_only=True):
    """One rule of the verdict."""

    result: str  # pass, fail or too few
    sign: str
    name: str
    of: str
    found: str
    asked: str
    picture: Markup
    detail: str


class Tile(Struct, frozen=True, kw_only=True):
    """One number of the head, without and with size."""

    name: str
    plain: str
    sized: str
    interval: str
    change: str
    better: bool | None  # None: no change to tell


class Head(Struct, frozen=True, kw_only=True):
    """What stands above everything else."""

    state: str
    title: str
    lead: str
    overridden: dict[str, Any]
    rules: list[RuleLine]
    notes: list[str]
    tiles: list[Tile]
    error: str
    error_node: str
    log_tail: str
    facts: list[tuple[str, str]]
    timeline: Markup
    why: list[tuple[str, str, str, str]]  # node, state, time, why and counts
    compared: str
    changes: list[tuple[str, str, str]]  # what, before, now


def build(given: Collected) -> Head:
    """Returns the head of a run's page."""
    facts, verdict = given.facts, given.verdict
    failed = next((node for node in facts.nodes if node.state == "failed"), None)
    overridden = msgspec.to_builtins(facts.overridden) if facts.overridden else verdict.get("overridden") or {}
    lead = _LEADS[facts.state].format(version=facts.version, node=failed.node if failed else "the runner, outside of any node")
    return Head(
        state=facts.state.replace(" ", "-"),
        title="Blessed by hand" if overridden else _TITLES[facts.state],
        lead=_BY_HAND if overridden else lead,
        overridden=overridden,
        rules=[_rule(rule) for rule in _most_urgent(verdict.get("rules") or [])],
        notes=[str(note) for note in verdict.get("notes") or []],
        tiles=list(_tiles(given)),
        error=failed.error if failed else "",
        error_node=failed.node if failed else "",
        log_tail=given.log_tail,
        facts=list(_facts(given)),
        timeline=_timeline(given),
        why=[(node.node, node.state, duration(node.seconds), " · ".join(filter(None, (node.why, node.summary)))) for node in facts.nodes],
        compared=_compared(given),
        changes=list(_changes(given)),
    )


def _most_urgent(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {"fail": 0, "too_few": 1}
    return sorted(rules, key=lambda rule: order.get(str(rule.get("result")), 2))


def _rule(rule: dict[str, Any]) -> RuleLine:
    result = str(rule.get("result", "too_few"))
    metric, infra = str(rule.get("metric", "")), rule.get("metric") == "infra_check"
    where = " ".join(dict.fromkeys(str(rule[key]).replace("_", " ") for key in ("feature", "slice") if rule.get(key)))
    against = f"against {rule['against']} {rule.get('version') or ''}".strip() if rule.get("against") else ""
    return RuleLine(
        result=result.replace("_", " "),
        sign=_SIGNS.get(result, "?"),
        name="Fresh process gives the trainer's answers" if infra else spoken(metric),
        of="" if infra else " · ".join(filter(None, (spoken(str(rule.get("signature", ""))), where, against))),
        found="" if infra else _found(rule),
        asked="" if infra else _asked(rule),
        picture=Markup("") if infra else _picture(rule),
        detail=str(rule.get("text", "")),
    )


def _found(rule: dict[str, Any]) -> str:
    if rule.get("loss") is not None:
        return f"{points(-float(rule['loss']))} points"
    value = rule.get("value")
    return NONE if value is None else _metric(str(rule.get("metric")), float(value))


def _asked(rule: dict[str, Any]) -> str:
    metric = str(rule.get("metric"))
    if rule.get("margin") is not None:
        return f"may lose {100 * float(rule['margin']):.1f}"
    if rule.get("at_least") is not None:
        return f"at least {_metric(metric, float(rule['at_least']))}"
    return f"at most {_metric(metric, float(rule['at_most']))}" if rule.get("at_most") is not None else ""


def _picture(rule: dict[str, Any]) -> Markup:
    if rule.get("loss") is not None:
        low, high = rule.get("interval") or (None, None)
        return charts.dots(rule["loss"], low, high, rule.get("margin"), None, (-0.2, 0.2))
    low, high = rule.get("interval") or (None, None)
    asked = rule.get("at_least") if rule.get("at_least") is not None else rule.get("at_most")
    known = [float(number) for number in (rule.get("value"), asked, low) if number is not None]
    span = (0.0, charts.ceiling(known)) if rule.get("metric") == "log_loss" else (max(0.0, min([*known, 0.9]) - 0.1), 1.0)
    return charts.dots(rule.get("value"), low, high, asked, rule.get("baseline_value"), span)


def _tiles(given: Collected) -> Iterator[Tile]:
    plain, sized = ((given.evaluation.get(name) or {}).get("overall") or {} for name in SIGNATURES)
    before = given.baseline.manifest.metrics.get(SIGNATURES[0], {}) if given.baseline else {}
    for metric, level in _TILES if plain or sized else ():
        value, earlier = plain.get(metric), before.get(metric)
        delta = None if value is None or earlier is None or nothing(value - earlier) else float(value - earlier)
        yield Tile(
            name=spoken(metric),
            plain=_metric(metric, value),
            sized=_metric(metric, sized.get(metric)),
            interval=_interval(given, level),
            change="" if delta is None else _difference(metric, delta),
            better=None if not delta else (delta > 0) != (metric == "log_loss"),
        )


def _interval(given: Collected, level: int | None) -> str:
    if given.eval is None or level is None or not len(given.eval):
        return ""
    found = shares.share(given.eval.right(SIGNATURES[0])[:, level], given.eval.groups)
    return f"{100 * found.low:.1f} – {percent(found.high)}"


def _metric(metric: str, value: float | None) -> str:
    if nothing(value) or value is None:
        return NONE
    return percent(value) if metric.endswith("accuracy") else f"{value:.3f}"


def _difference(metric: str, delta: float) -> str:
    return points(delta) if metric.endswith("accuracy") else "±0.000" if round(delta, 3) == 0 else f"{delta:+.3f}".replace("-", "−")


def _facts(given: Collected) -> Iterator[tuple[str, str]]:
    facts, roles, skus = given.facts, given.ingest.get("roles") or {}, len(given.ingest.get("skus") or {})
    model = given.config.get("model") or {}
    yield "Pipeline", facts.pipeline
    yield "Run", facts.run_id
    yield "Started", facts.started.replace("T", " ").replace("+00:00", " UTC")
    yield "Took", duration(facts.seconds)
    if facts.version is not None:
        yield "Version", str(facts.version)
    if given.history.get("parameters"):
        yield (
            "Model",
            f"{model.get('backbone', 'network')}, {given.history['parameters'] / 1e6:.2f} M parameters, {model.get('image_size', '?')} px",
        )
    if roles:
        yield (
            "Data",
            f"{sum(roles.values()):,} crops of {(given.ingest.get('photos') or {}).get('in', 0):,} photos, {skus:,} SKUs",
        )
    yield "Judged on", f"{roles.get('eval', 0):,} crops of eval" if roles else NONE


def _timeline(given: Collected) -> Markup:
    rows, begin = [], 0.0
    spent = sum(node.seconds for node in given.facts.nodes)
    total = max(given.facts.seconds, spent)
    begin = total - spent  # what loading and preparing took comes first
    for node in given.facts.nodes:
        said = duration(node.seconds) if node.state in ("ran", "failed") else node.state
        rows.append((node.node, node.state, begin, node.seconds, said))
        begin += node.seconds
    return charts.timeline(rows, total) if rows else Markup("")


def _compared(given: Collected) -> str:
    if given.against_id:
        return f"run {given.against_id}"
    return f"version {given.baseline.number}, the last blessed one" if given.baseline else ""


def _changes(given: Collected) -> Iterator[tuple[str, str, str]]:
    if given.baseline is None:
        return
    before, facts = given.baseline.manifest, given.facts
    for name, old, new in (("data", before.data_digest, facts.data_digest), ("code", before.code_digest, facts.code_digest)):
        if old != new:
            yield name, old[:12], new[:12]
    if given.eval is not None:
        lists = given.eval.lists
        for name, skus in (("SKUs added", lists.baseline_lacks), ("SKUs removed", lists.candidate_lacks)):
            if skus:
                yield name, "", ", ".join(skus[:10]) + (f" and {len(skus) - 10} more" if len(skus) > 10 else "")
    old_settings, new_settings = dict(_flat(before.config)), dict(_flat(given.config))
    for key in sorted(old_settings.keys() | new_settings.keys()):
        if old_settings.get(key) != new_settings.get(key) and given.config:
            yield key, str(old_settings.get(key, "not set")), str(new_settings.get(key, "not set"))


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
