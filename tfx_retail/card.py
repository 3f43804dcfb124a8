"""The model card: what a model is, what it was made from, what it is worth and where it ends, as plain Markdown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tfx_retail.intervals import Estimate, Interval
from tfx_retail.measured_doubt import MeasuredDoubt
from tfx_retail.reliability import Quality
from tfx_retail.verdict import SignatureEvaluation, Verdict

_METRICS = ("sku_accuracy", "look_accuracy", "family_accuracy", "category_accuracy", "top_k_accuracy", "macro_f1", "log_loss")
_SPLITS = {
    "photo": "no photo is in two roles",
    "group": "no scene is in two roles",
    "store": "no store is in two roles",
    "time": "later photos judge what earlier ones taught",
    "given": "as the data's own lists say",
}
_LISTED = 20  # names in a list before it is cut


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What a card says of the model itself, as `model.json` beside it has it."""

    image_size: int
    parameters: int
    k: int
    examples: dict[str, int]  # SKU -> training crops
    never_answered: list[str]
    crop_context: float = 0.0
    accepts: dict[str, str] = {}  # of each signature and of families, in words


class DataFacts(Struct, frozen=True, kw_only=True):
    """What a card says of the data."""

    roles: dict[str, int]  # role -> crops
    split_by: str
    photos: int
    rejected: int
    sized: int  # crops of eval with a measured side
    licence: str = ""  # of the photos and labels


def model_card(
    name: str,
    intended_use: str,
    model: ModelFacts,
    data: DataFacts,
    evaluation: Mapping[str, SignatureEvaluation],
    verdict: Verdict,
) -> str:
    """Returns the card; every share has the number of examples behind it."""
    sections = [
        f"# {name}",
        _what_it_is(model),
        "## Intended use",
        intended_use,
        "## Data",
        *_data(model, data),
        "## Results on eval",
        _results(evaluation),
        _sized(data),
        "## What is accepted",
        *_accepted(model, evaluation),
        "## Weakest families",
        _families(evaluation["serving_default"].slices),
        "## Verdict",
        *_verdict(verdict),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(model, evaluation["serving_default"])),
    ]
    return "\n\n".join(sections) + "\n"


def _what_it_is(model: ModelFacts) -> str:
    return (
        f"Names the product on an upright crop of one facing, out of {len(model.examples) - len(model.never_answered):,} SKUs. "
        f"A network of {model.parameters / 1e6:.2f} million parameters on {model.image_size} x {model.image_size} pixels; "
        "family first, look within it, SKU within that. With the product's measured height or width, `predict_sized` tells sizes of one "
        "look apart."
    )


def _data(model: ModelFacts, data: DataFacts) -> Iterator[str]:
    trained = sum(1 for count in model.examples.values() if count)
    yield _table(("role", "crops"), [(role, f"{count:,}") for role, count in data.roles.items()])
    yield (
        f"{data.photos:,} photos, {data.rejected:,} files, boxes or rows rejected. Split by {data.split_by}: {_SPLITS[data.split_by]}. "
        f"{trained:,} of {len(model.examples):,} SKUs have training crops."
    )
    yield f"Licence of the data: {data.licence or 'not stated (card.data_licence)'}."


def _results(evaluation: Mapping[str, SignatureEvaluation]) -> str:
    rows = [(_spoken(metric), *(_number(measured.overall.get(metric)) for measured in evaluation.values())) for metric in _METRICS]
    rows.append(("examples", *(f"{measured.examples:,}" for measured in evaluation.values())))
    return _table(("metric", *evaluation), rows)


def _sized(data: DataFacts) -> str:
    return (
        f"{data.sized:,} of the {data.roles['eval']:,} crops have a measured side; to the others `predict_sized` answers as "
        "`serving_default` does."
    )


def _accepted(model: ModelFacts, evaluation: Mapping[str, SignatureEvaluation]) -> Iterator[str]:
    yield "\n".join(f"- {name}: {text}." for name, text in model.accepts.items()) or "Not known: the model was made without calibration."
    found = {name: measured.doubt for name, measured in evaluation.items() if measured.doubt}
    if found:
        yield "What came of it on eval, whose crops had no part in it, with bounds over scenes:"
        yield _table(("", *found), [(name, *map(of, found.values())) for name, of in _DOUBT.items()])
    missing = dict.fromkeys(line for doubt in found.values() for line in doubt.missing)
    if missing:
        yield "\n".join(f"- not measured: {line}" for line in missing)


def _measured(found: Estimate | None) -> str:
    if found is None or found.value is None:
        return "-"
    return f"{found.value:.3f}{_ends(found.interval)}"


def _ends(interval: Interval | None) -> str:
    return f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""


def _error(quality: Quality | None) -> str:
    error = quality.calibration if quality else None
    return "-" if error is None or error.debiased is None else f"{error.debiased:.3f}{_ends(error.interval)}"


_DOUBT: dict[str, Callable[[MeasuredDoubt], str]] = {
    "SKU accepted": lambda doubt: _measured(doubt.coverage),
    "right among these": lambda doubt: _measured(doubt.precision),
    "family accepted": lambda doubt: _measured(doubt.family_coverage),
    "family right among these": lambda doubt: _measured(doubt.family_precision),
    "calibration error": lambda doubt: _error(doubt.after),
    "before calibration": lambda doubt: _error(doubt.before),
    "Brier score": lambda doubt: _measured(doubt.after.brier),
    "Brier score before calibration": lambda doubt: _measured(doubt.before.brier if doubt.before else None),
    "log loss": lambda doubt: _measured(doubt.after.log_loss),
    "log loss before calibration": lambda doubt: _measured(doubt.before.log_loss if doubt.before else None),
    "area under risk and coverage": lambda doubt: _number(doubt.area.value),
}


def _families(slices: Sequence[Mapping[str, Any]]) -> str:
    families = [row for row in slices if row["feature"] == "family" and row["sku_accuracy"] is not None]
    weakest = sorted(families, key=lambda row: (row["sku_accuracy"], -row["examples"], row["value"]))[:5]
    rows = [(row["value"], _number(row["sku_accuracy"]), _number(row["family_accuracy"]), f"{row['examples']:,}") for row in weakest]
    return _table(("family", "SKU accuracy", "family accuracy", "examples"), rows)


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield "Blessed." if verdict.blessed else "Not blessed."
    yield "\n".join([*(f"- {rule.result}: {rule.text}" for rule in verdict.rules), *(f"- note: {note}" for note in verdict.notes)])


def _limits(model: ModelFacts, measured: SignatureEvaluation) -> Iterator[str]:
    if model.never_answered:
        yield f"Never answered, as they have no training crops or are retired: {_names(model.never_answered)}."
    if measured.absent:
        yield f"Not measured, as eval has no crop of them: {_names(measured.absent)}."
    yield "A product outside the catalogue gets the name of one in it; `unknown_score` says how odd it looks."
    yield "What `accepted` promises holds for photos like those of the calibration role, with sizes known as often as there."
    yield "SKUs of one look differ in size only: without a measured size the answer among them is a guess."
    yield "Measured on photos like those of eval; other cameras, shelves and countries have to be measured anew."


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """A bar in a product's name would start a new column."""
    return text.replace("|", "\\|")


def _spoken(metric: str) -> str:
    return metric.replace("_", " ").replace("sku", "SKU")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
