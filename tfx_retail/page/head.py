"""Section 1: whether this model may be trusted, why, how long the run took, and what is new since the last blessed one."""

from collections.abc import Iterator
from typing import Any

import msgspec
from markupsafe import Markup
from msgspec import Struct

from tfx_retail.page import changes, charts, tiles
from tfx_retail.page.collect import Collected
from tfx_retail.page.tiles import Tile, is_share, written
from tfx_retail.page.values import NONE, duration, percent, points, slice_name, spoken

_TITLES = {
    "blessed": "Blessed",
    "not blessed": "Not blessed",
    "done": "Done, not judged",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "running": "Still running",
}
_LEADS = {
    "blessed": "{holds}: the model was pushed as version {version}.",
    "not blessed": "Nothing was pushed: {broken}.",
    "done": "The run went as far as was asked for; there is no verdict.",
    "failed": "The run stopped in {node}; nothing was judged or pushed.",
    "interrupted": "The run was stopped before its end; the next one goes on from there.",
    "running": "The page shows what is known so far.",
}
_BY_HAND = "A person blessed this model although not every rule holds; who, when and why stands below."
_NAMED = 3  # slices that the first sentence names
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
    since: str  # what the changes are since; empty: there is nothing earlier
    changes: list[tuple[str, str, str]]  # what, before, now


def build(given: Collected) -> Head:
    """Returns the head of a run's page."""
    facts, verdict = given.facts, given.verdict
    failed = next((node for node in facts.nodes if node.state == "failed"), None)
    overridden = msgspec.to_builtins(facts.overridden) if facts.overridden else verdict.get("overridden") or {}
    rules = verdict.get("rules") or []
    where = failed.node if failed else "the runner, outside of any node"
    lead = _LEADS[facts.state].format(version=facts.version, node=where, holds=_holds(rules), broken=_broken(rules))
    return Head(
        state=facts.state.replace(" ", "-"),
        title="Blessed by hand" if overridden else _TITLES[facts.state],
        lead=_BY_HAND if overridden else lead,
        overridden=overridden,
        rules=[_rule(rule) for rule in _most_urgent(rules)],
        notes=[str(note) for note in verdict.get("notes") or []],
        tiles=tiles.build(given),
        error=failed.error if failed else "",
        error_node=failed.node if failed else "",
        log_tail=given.log_tail,
        facts=list(_facts(given)),
        timeline=_timeline(given),
        why=[(node.node, node.state, duration(node.seconds), " · ".join(filter(None, (node.why, node.summary)))) for node in facts.nodes],
        compared=_compared(given),
        since=given.before.name if given.before else "",
        changes=changes.build(given),
    )


def _holds(rules: list[dict[str, Any]]) -> str:
    few = [rule for rule in rules if rule.get("result") == "too_few"]
    sliced = sum(1 for rule in few if rule.get("slice"))
    proofs = sorted({spoken(str(rule.get("metric"))) for rule in few if not rule.get("slice")})
    said = [f"{sliced} {'slice has' if sliced == 1 else 'slices have'} too few scenes to judge"] if sliced else []
    said += [f"there are too few crops to judge the {' and the '.join(proofs)}"] if proofs else []
    return f"No rule is broken, but {', and '.join(said)}" if said else "Every rule holds"


def _broken(rules: list[dict[str, Any]]) -> str:
    broken = sum(1 for rule in rules if rule.get("result") == "fail" or (rule.get("result") == "too_few" and _needs_crops(rule)))
    worse = [_slice(rule) for rule in rules if rule.get("result") == "fail" and rule.get("slice")]
    more = f" and {len(worse) - _NAMED} more" if len(worse) > _NAMED else ""
    named = f"; it is worse in {', '.join(worse[:_NAMED])}{more}" if worse else ""
    return f"{broken} of {len(rules)} rules {'does' if broken == 1 else 'do'} not hold{named}"


def _needs_crops(rule: dict[str, Any]) -> bool:
    """Tells whether too few crops block: not in a slice, and not where a fault would have to be proven."""
    return not rule.get("slice") and rule.get("kind") != "proof"


def _slice(rule: dict[str, Any]) -> str:
    of, value = slice_name(str(rule.get("feature") or ""), str(rule.get("slice") or ""))
    return value if of == "all" else f"{of} {value}".strip()


def _most_urgent(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {"fail": 0, "too_few": 1}
    return sorted(rules, key=lambda rule: order.get(str(rule.get("result")), 2))


def _rule(rule: dict[str, Any]) -> RuleLine:
    result = str(rule.get("result", "too_few"))
    metric, infra = str(rule.get("metric", "")), rule.get("metric") == "infra_check"
    where = _slice(rule)
    against = f"against {_version(rule)}" if rule.get("against") else ""
    return RuleLine(
        result=result.replace("_", " "),
        sign=_SIGNS.get(result, "?"),
        name="Fresh process gives the trainer's answers" if infra else spoken(metric),
        of="" if infra else " · ".join(filter(None, (spoken(str(rule.get("signature", ""))), where, against))),
        found="" if infra else _found(rule),
        asked="" if infra else _asked(rule),
        picture=Markup("") if infra else _picture(rule),
        detail=_detail(rule),
    )


def _version(rule: dict[str, Any]) -> str:
    return f"{'the pinned ' if rule['against'] == 'reference' else ''}version {rule.get('version') or ''}".strip()


def _detail(rule: dict[str, Any]) -> str:
    """Returns a slice's numbers in the page's own words, and for other rules what the verdict said."""
    low, high = rule.get("interval") or (None, None)
    counted = f"{rule.get('examples', 0):,} crops of {rule.get('groups') or 0:,} scenes"
    if low is None or high is None or rule.get("value") is None:
        return str(rule.get("text", ""))
    if rule.get("loss") is None and not rule.get("slice"):
        return _between(rule, low, high, counted)
    if rule.get("loss") is None or rule.get("baseline_value") is None:
        return str(rule.get("text", ""))
    masked = (rule.get("masked") or {}).get("loss")
    among = f" Among the SKUs that both know, {points(-masked)} points." if masked is not None else ""
    smallest = rule.get("smallest_loss")
    seen = "With so few scenes no loss could be proven." if smallest is None else f"A loss is proven from {100 * smallest:.1f} points on."
    return (
        f"{percent(rule['value'])}, {_version(rule)} {percent(rule['baseline_value'])}, on the same {counted}; "
        f"the change lies between {points(-high)} and {points(-low)} points.{among} {seen}"
    )


def _between(rule: dict[str, Any], low: float, high: float, counted: str) -> str:
    """Returns a value's bounds, and why these crops are too few to prove a fault."""
    metric = str(rule.get("metric"))
    proof = rule.get("kind") == "proof" and rule.get("result") == "too_few"
    why = " So few crops prove nothing: this rule neither blocks nor passes." if proof else ""
    return f"It lies between {written(metric, low)} and {written(metric, high)}, by {counted}.{why}"


def _found(rule: dict[str, Any]) -> str:
    if rule.get("loss") is not None:
        return f"{points(-float(rule['loss']))} points"
    value = rule.get("value")
    return NONE if value is None else written(str(rule.get("metric")), float(value))


def _asked(rule: dict[str, Any]) -> str:
    metric = str(rule.get("metric"))
    if rule.get("margin") is not None:
        return f"may lose {100 * float(rule['margin']):.1f}"
    if rule.get("at_least") is not None:
        return f"at least {written(metric, float(rule['at_least']))}"
    return f"at most {written(metric, float(rule['at_most']))}" if rule.get("at_most") is not None else ""


def _picture(rule: dict[str, Any]) -> Markup:
    if rule.get("loss") is not None:
        low, high = (None if end is None else -end for end in (rule.get("interval") or (None, None))[::-1])
        margin = None if rule.get("margin") is None else -rule["margin"]  # right of the tick is well, as in every other picture
        return charts.dots(-rule["loss"], low, high, margin, None, (-0.2, 0.2))
    low, high = rule.get("interval") or (None, None)
    asked = rule.get("at_least") if rule.get("at_least") is not None else rule.get("at_most")
    known = [float(number) for number in (rule.get("value"), asked, low) if number is not None]
    span = (max(0.0, min([*known, 0.9]) - 0.1), 1.0) if _to_one(str(rule.get("metric"))) else (0.0, charts.ceiling(known))
    return charts.dots(rule.get("value"), low, high, asked, rule.get("baseline_value"), span)


def _to_one(metric: str) -> bool:
    return is_share(metric) or metric == "macro_f1"


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
    rows, nodes = [], given.facts.nodes
    spent = sum(node.seconds for node in nodes)
    total = max([given.facts.seconds, *((node.began or 0.0) + node.seconds for node in nodes)])
    begin = max(0.0, total - spent)  # what loading and preparing took comes first
    for node in nodes:
        said = duration(node.seconds) if node.state in ("ran", "failed") else node.state
        begin = begin if node.began is None else node.began
        rows.append((node.node, node.state, begin, node.seconds, said))
        begin += node.seconds
    return charts.timeline(rows, total) if rows else Markup("")


def _compared(given: Collected) -> str:
    if given.against_id:
        return f"run {given.against_id}"
    return f"version {given.baseline.number}, the last blessed one" if given.baseline else ""
