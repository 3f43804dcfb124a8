"""Section 8: the crops to look at, and the SKUs that are not as large as the catalogue says."""

from msgspec import Struct

from tfx_retail.page import mistakes
from tfx_retail.page.collect import Collected
from tfx_retail.page.mistakes import Mistake
from tfx_retail.page.picked import Picked
from tfx_retail.page.predicted import Predicted
from tfx_retail.page.values import Cell, Column, Photo, Table, change, percent, real, table, whole, words


class Card(Struct, frozen=True, kw_only=True):
    """A wrong answer with its photo."""

    photo: Photo
    true: str
    answered: str
    category: str
    confidence: str
    truth_score: str
    accepted: bool
    where: str


class Gallery(Struct, frozen=True, kw_only=True):
    """Section 8."""

    worst: list[Card]
    categories: list[str]
    suspects: list[Card]
    misfits: Table | None


def build(given: Collected, picked: Picked | None) -> Gallery | None:
    """Returns section 8, or None without predictions."""
    made = given.eval
    if made is None or picked is None:
        return None
    cards = [_card(item, made, picked.of_crops) for item in picked.worst]
    parts = [part for part in (made, given.calibration) if part is not None]
    return Gallery(
        worst=cards,
        categories=sorted({card.category for card in cards}),
        suspects=[_card(item, made, picked.of_crops) for item in picked.suspects],
        misfits=_misfits(mistakes.misfits(parts, given.catalog)),
    )


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
        accepted=item.accepted,
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
