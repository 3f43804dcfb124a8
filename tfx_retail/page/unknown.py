"""Unknown products and unseen SKUs, as a sibling of the model tells of them."""

from msgspec import Struct

from tfx_retail.page.values import Cell, Column, Table, bounded, table, whole, words
from tfx_retail.retrieval import Recall
from tfx_retail.sibling import Sibling
from tfx_retail.unknowns import Detection

_KINDS = {"confidence": "one minus the best confidence", "energy": "energy", "distance": "distance to class means"}
_GALLERIES = {"unseen": "unseen SKUs alone", "joint": "unseen and known SKUs"}
_NONE = (
    "Not measured: no sibling of the model was trained. The pushed model knows all SKUs, so that only a sibling that was not taught some "
    "of them can tell how unknown products are answered. Ask for one with `unknowns.hold_out`, say 0.2: the share of SKUs that it is not "
    "taught."
)


class Unknown(Struct, frozen=True, kw_only=True):
    """The last part of section 4; tables None: no sibling was trained."""

    said: str
    detection: Table | None = None
    recalls: Table | None = None


def build(found: Sibling | None) -> Unknown:
    """Returns what is known of products that are not."""
    if found is None:
        return Unknown(said=_NONE)
    said = (
        f"Measured on a sibling of the model, not on the model itself: the same network, taught {found.known:,} SKUs and not the other "
        f"{len(found.choosing) + len(found.reporting):,}. On {len(found.choosing):,} of these the kind of unknown score was chosen, on "
        f"{len(found.reporting):,} it was measured; the pushed model knows them all."
    )
    return Unknown(said=said, detection=_detection(found), recalls=_recalls(found))


def _detection(found: Sibling) -> Table:
    rows = [_row(_KINDS.get(kind, kind), one, chosen=kind == found.kind) for kind, one in found.reported.items()]
    columns = [Column("unknown score"), Column("chosen"), Column("AUROC", "share", "chance that an unknown crop scores above a known one")]
    columns += [Column("unknown ones passed", "share", "where 95 % of the known ones are kept"), Column("known crops", "number")]
    columns += [Column("unknown crops", "number"), Column("their scenes", "number")]
    return table("unknowns", "How well unknown products are told, by the sibling", columns, rows)


def _row(kind: str, found: Detection, *, chosen: bool) -> tuple[Cell, ...]:
    shares = bounded(found.auroc, found.auroc_interval), bounded(found.passed, found.passed_interval)
    return (words(kind), words("yes" if chosen else "no"), *shares, whole(found.known), whole(found.unknown), whole(found.unknown_groups))


def _recalls(found: Sibling) -> Table:
    rows = [_recall_row(one) for one in found.recalls]
    columns = [Column("reference photos", "number"), Column("gallery"), Column("recall@1", "share", "the nearest reference is of the SKU")]
    columns += [Column("looks", "number", "SKUs of one look are one thing to the eye"), Column("left out", "number", "too few photos")]
    columns += [Column("queries", "number"), Column("draws", "number")]
    return table("recalls", "SKUs that the sibling was never taught, found by reference photos", columns, rows)


def _recall_row(one: Recall) -> tuple[Cell, ...]:
    found = (whole(one.references), words(_GALLERIES.get(one.gallery, one.gallery)), bounded(one.value, one.interval))
    return (*found, *map(whole, (one.skus, one.left_out, one.queries, one.draws)))
