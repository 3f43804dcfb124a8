"""Sections 6 to 10: the data, the training, the crops to look at, where the model comes from, and its card."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup
from msgspec import Struct

from tfx_retail import catalog, features
from tfx_retail.page import charts, mistakes, photos
from tfx_retail.page.charts import Axis, Frame, Series
from tfx_retail.page.collect import Collected, Listed
from tfx_retail.page.mistakes import Mistake
from tfx_retail.page.predicted import Predicted
from tfx_retail.page.values import Cell, Column, Figure, Photo, Table, change, duration, percent, real, spoken, table, whole, words

_COLUMNS = 120  # SKUs up to which each is a column
_STYLES = dict(zip(features.ROLES, ("a", "b", "c", "d"), strict=True))


class Card(Struct, frozen=True, kw_only=True):
    """A wrong answer with its photo."""

    photo: Photo
    true: str
    answered: str
    category: str
    confidence: str
    truth_score: str
    where: str


class Data(Struct, frozen=True, kw_only=True):
    """Section 6."""

    balance: Table | None
    balance_figure: Markup
    histograms: list[Figure]
    anomalies: Table | None
    reviewed: bool | None
    leaks: Table | None
    rejected: Table | None
    set_aside: Table | None
    counts: list[tuple[str, str]]
    warnings: list[str]
    drift: str


class Training(Struct, frozen=True, kw_only=True):
    """Section 7."""

    figures: list[Figure]
    facts: list[tuple[str, str]]
    settings: list[tuple[str, str]]


class Gallery(Struct, frozen=True, kw_only=True):
    """Section 8."""

    worst: list[Card]
    categories: list[str]
    suspects: list[Card]
    misfits: Table | None


def data(given: Collected) -> Data | None:
    """Returns section 6, or None where nothing was read."""
    ingest = given.ingest
    if not ingest:
        return None
    photos_in, boxes = ingest.get("photos") or {}, ingest.get("boxes") or {}
    counts = [("photos", f"{photos_in.get('in', 0):,}"), ("boxes", f"{boxes.get('in', 0):,}"), ("crops", f"{ingest.get('records', 0):,}")]
    counts += [
        (name.replace("_", " "), f"{ingest.get(name, 0):,}")
        for name in ("rejected", "set_aside", "groups", "alike_crops")
        if name in ingest
    ]
    return Data(
        balance=_balance(ingest.get("skus") or {}),
        balance_figure=_balance_figure(ingest.get("skus") or {}),
        histograms=[_histogram(name, splits) for name, splits in given.numbers.items()],
        anomalies=_anomalies(given.data_check),
        reviewed=given.data_check.get("reviewed"),
        leaks=_listed("leaks", "Near-duplicate photos in two roles", given.leakage),
        rejected=_listed("rejected", "Rejected files, boxes and rows", given.rejected),
        set_aside=_listed("set-aside", "Boxes that show no product of the catalogue", given.set_aside),
        counts=counts,
        warnings=[str(warning) for warning in ingest.get("warnings") or []],
        drift="The data is the one that the last blessed model was made of: no drift." if _same_data(given) else _no_drift(given),
    )


def training(given: Collected) -> Training | None:
    """Returns section 7, or None where nothing was trained."""
    epochs: list[dict[str, Any]] = given.history.get("epochs") or []
    if not epochs:
        return None
    settings = [(f"{part}.{key}", _setting(value)) for part in ("model", "train") for key, value in (given.config.get(part) or {}).items()]
    figures = [_curves("Loss", epochs, (("loss", "train", "a"), ("val_loss", "validation", "b")), given)]
    figures.append(_curves("Accuracy on validation", epochs, (("val_accuracy", "validation", "b"),), given, percent_axis=True))
    figures.append(_curves("Learning rate", epochs, (("learning_rate", "rate", "c"),), given))
    return Training(figures=figures, facts=list(_training_facts(given, epochs)), settings=settings)


def gallery(given: Collected) -> Gallery | None:
    """Returns section 8, or None without predictions."""
    made = given.eval
    if made is None or not len(made):
        return None
    worst, suspects = mistakes.worst(made), mistakes.suspects(made)
    crops = {str(made.texts["crop_id"][item.row]) for item in (*worst, *suspects)}
    shown = photos.of_crops(given.examples, "eval", crops)
    cards = [_card(item, made, shown) for item in worst]
    parts = [part for part in (made, given.calibration) if part is not None]
    return Gallery(
        worst=cards,
        categories=sorted({card.category for card in cards}),
        suspects=[_card(item, made, shown) for item in suspects],
        misfits=_misfits(mistakes.misfits(parts, given.catalog)),
    )


def _balance(skus: dict[str, dict[str, int]]) -> Table | None:
    columns = [Column("SKU"), *(Column(role, "number") for role in features.ROLES), Column("all", "number")]
    ordered = sorted(skus.items(), key=lambda item: (item[1].get("train", 0), item[0]))
    rows = [(words(sku), *(whole(roles.get(role, 0)) for role in features.ROLES), whole(sum(roles.values()))) for sku, roles in ordered]
    return table("balance", "Crops of each SKU by role, the rarest in train first", columns, rows) if rows else None


def _balance_figure(skus: dict[str, dict[str, int]]) -> Markup:
    counts = sorted((float(roles.get("train", 0)) for roles in skus.values()), reverse=True)
    if not counts:
        return Markup("")
    frame = Frame(Axis("SKUs, the most photographed first", 0, len(counts)), Axis("crops in train", 0, charts.ceiling(counts)), 1000, 190)
    if len(counts) <= _COLUMNS:
        return charts.columns(frame, [("right", counts)], "Crops in train of each SKU")
    return charts.lines(
        frame, [Series("train", "a", [(place + 0.5, count) for place, count in enumerate(counts)])], "Crops in train of each SKU"
    )


def _histogram(name: str, splits: dict[str, Any]) -> Figure:
    low, high = min(numbers.low for numbers in splits.values()), max(numbers.high for numbers in splits.values())
    parts = [(_STYLES[role], numbers.buckets) for role, numbers in splits.items()]
    drawing = charts.outline(parts, low, high, f"{spoken(name)} by role, from {low:.3g} to {high:.3g}")
    medians = ", ".join(f"{role} {numbers.median:.3g}" for role, numbers in splits.items())
    return Figure(spoken(name), drawing, f"{low:.3g} to {high:.3g}; medians: {medians}")


def _anomalies(check: dict[str, Any]) -> Table | None:
    columns = [Column(name) for name in ("feature", "split", "found", "allowed", "how many")]
    rows = [
        tuple(words(str(item.get(key, ""))) for key in ("feature", "split", "found", "allowed", "how_many"))
        for item in check.get("anomalies") or []
    ]
    return table("anomalies", "What is not as the schema says", columns, rows) if rows else None


def _listed(name: str, caption: str, found: Listed) -> Table | None:
    if not found.rows:
        return None
    keys = [key for key in found.rows[0] if key]
    rows = [tuple(words(str(row.get(key) or "")) for key in keys) for row in found.rows]
    cut = f", the first {len(rows):,} of {found.count:,}" if found.count > len(rows) else ""
    return table(name, caption + cut, [Column(key.replace("_", " ")) for key in keys], rows)


def _same_data(given: Collected) -> bool:
    return given.baseline is not None and given.baseline.manifest.data_digest == given.facts.data_digest


def _no_drift(given: Collected) -> str:
    if given.baseline is None:
        return "Drift: nothing to compare with, no model was blessed before this run."
    return (
        "Drift: the data changed since the last blessed model; its statistics are not kept with the version, so the change is not measured."
    )


def _curves(
    title: str, epochs: list[dict[str, Any]], lines: tuple[tuple[str, str, str], ...], given: Collected, *, percent_axis: bool = False
) -> Figure:
    series = [
        Series(name, style, [(float(row["epoch"]), float(row[key])) for row in epochs if row.get(key) is not None])
        for key, name, style in lines
    ]
    values = [y for item in series for _, y in item.points]
    best = given.history.get("best_epoch")
    marks = [(x, y, f"best, epoch {best}") for x, y in series[-1].points if x == best]
    high = 1.0 if percent_axis else charts.ceiling(values)
    last = max(float(epochs[-1]["epoch"]), 2.0)
    frame = Frame(Axis("epoch", min(1.0, last - 1), last), Axis(title, 0, high, percent=percent_axis))
    return Figure(
        title,
        charts.lines(frame, series, f"{title} by epoch", marks),
        legend=tuple((item.style, item.name) for item in series) if len(series) > 1 else (),
    )


def _training_facts(given: Collected, epochs: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    history = given.history
    yield "Epochs", f"{len(epochs)}{', stopped early' if history.get('early_stopped') else ''}"
    yield "Best epoch", f"{history.get('best_epoch', '–')}"
    yield "Exported epoch", f"{history.get('exported_epoch', '–')}"
    yield "Resumed", f"after epoch {history['resumed_from']}" if history.get("resumed_from") else "no, trained in one go"
    yield "Time", duration(float(history.get("seconds") or 0))
    if history.get("images_per_second"):
        yield "Speed", f"{history['images_per_second']:,.0f} images/s"


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)


def _card(item: Mistake, made: Predicted, shown: dict[str, str]) -> Card:
    skus, crop = made.lists.skus, str(made.texts["crop_id"][item.row])
    true, answered = skus[item.true], skus[item.answered] if item.answered >= 0 else "an answer that the lists lack"
    return Card(
        photo=Photo(shown.get(crop, ""), f"crop labelled {true}, answered {answered}"),
        true=true,
        answered=answered,
        category=made.lists.categories[int(made.truth[item.row, 3])],
        confidence=percent(item.confidence, 0),
        truth_score=percent(item.truth_score, 0),
        where=crop,
    )


def _misfits(found: list[mistakes.Misfit]) -> Table | None:
    columns = [
        Column("SKU"),
        Column("side"),
        Column("catalogue, mm", "number"),
        Column("median measured, mm", "number"),
        Column("off, %", "change"),
        Column("crops", "number"),
    ]
    rows: list[tuple[Cell, ...]] = [
        (words(item.sku), words(item.side), real(item.catalogue_mm, 1), real(item.median_mm, 1), change(item.off), whole(item.crops))
        for item in found
    ]
    return table("misfits", "SKUs whose median measured side is more than 10 % off the catalogue", columns, rows) if rows else None


def lineage(given: Collected) -> Markup:
    """Returns section 9: what this model was made of, as a graph from left to right."""
    facts = given.facts
    sources = [
        ("photos", f"{(given.ingest.get('photos') or {}).get('in', 0):,} photos", facts.data_digest),
        (
            "catalogue",
            f"{len(given.catalog.products):,} SKUs" if given.catalog else "not read",
            catalog.digest(given.catalog) if given.catalog else "",
        ),
        ("config", facts.pipeline, facts.config_digest),
        ("code", "tfx_retail", facts.code_digest),
        ("upstream", _software(facts.software), ""),
    ]
    verdict = "not judged" if not given.verdict else "blessed" if given.verdict.get("blessed") else "not blessed"
    chain = [("run", facts.run_id, facts.started[:10]), ("model", _model(given), ""), ("verdict", verdict, "")]
    chain.append(("version", str(facts.version) if facts.version is not None else "nothing pushed", ""))
    return _graph(sources, chain)


def _software(software: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in software.items()) or "not recorded by this run"


def _model(given: Collected) -> str:
    return f"{given.history['parameters'] / 1e6:.2f} M parameters" if given.history.get("parameters") else "not trained"


def _graph(sources: list[tuple[str, str, str]], chain: list[tuple[str, str, str]]) -> Markup:
    width, height, step = 190, 54, 66
    middle = (len(sources) - 1) * step / 2 + 6
    drawn = [_box(0, 6 + place * step, 250, height, *item) for place, item in enumerate(sources)]
    for place in range(len(sources)):
        begin, end = 6 + place * step + height / 2, middle + height / 2
        drawn.append(Markup('<path class="edge" d="M250 {0} C 280 {0}, 275 {1}, 306 {1}"/>').format(begin, end))
    for place, item in enumerate(chain):
        x = 306 + place * (width + 30)
        drawn.append(_box(x, middle, width, height, *item))
        if place:
            drawn.append(Markup('<path class="edge" d="M{} {} h30"/>').format(x - 30, middle + height / 2))
    size = (306 + len(chain) * (width + 30) - 24, len(sources) * step + 4)
    return Markup(
        '<svg class="graph" viewBox="-2 0 {} {}" role="img" aria-label="From the sources to the run and its version">{}</svg>'
    ).format(*size, Markup("").join(drawn))


def _box(x: float, y: float, width: float, height: float, kind: str, name: str, digest: str) -> Markup:
    shown = name if len(name) <= width / 7 else name[: int(width / 7) - 1] + "…"
    drawn = Markup('<rect class="box" x="{}" y="{}" width="{}" height="{}" rx="8"><title>{}</title></rect>').format(
        x, y, width, height, f"{kind}: {name} {digest}"
    )
    drawn += Markup('<text class="soft" x="{}" y="{}">{}</text>').format(x + 12, y + 20, f"{kind}  {digest[:16]}".strip())
    return drawn + Markup('<text class="strong" x="{}" y="{}">{}</text>').format(x + 12, y + 40, shown)
