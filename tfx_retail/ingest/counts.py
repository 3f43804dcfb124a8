"""What ExampleGen tells: `ingest.json`, `rejected.csv`, `set_aside.csv`, `leakage.csv`."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tfx_retail.catalog import Catalog
from tfx_retail.config import DataConfig, Role
from tfx_retail.features import ROLES
from tfx_retail.ingest.leakage import Leak, Leakage, write_leaks
from tfx_retail.ingest.record import DataError, Rejection
from tfx_retail.ingest.rows import PhotoRow, SetAside, ShardRows, Tally

REJECTED, SET_ASIDE, LEAKAGE, COUNTS = "rejected.csv", "set_aside.csv", "leakage.csv", "ingest.json"
_SHOWN = 3  # rejections in the message; the file has all
_NAMED = 5  # SKUs in a warning


class Counted(Struct, frozen=True, rename={"found": "in"}):
    """in = out + rejected + set aside."""

    found: int
    out: int
    rejected: int
    set_aside: int


class IngestCounts(Struct, frozen=True, kw_only=True):
    """`ingest.json`."""

    photos: Counted
    boxes: Counted
    records: int  # examples written, one for each box that went out
    rejected: int  # rows of rejected.csv: a photo that is refused takes its boxes with it
    set_aside: int
    clipped: int
    roles: dict[str, int]  # examples
    role_photos: dict[str, int]
    role_groups: dict[str, int]
    skus: dict[str, dict[str, int]]  # examples of each SKU in each role
    packshots: int = 0  # photos that are the catalogue's own, all of them in train
    groups: int
    largest_group: int  # photos in it
    leaks: dict[str, int]  # by kind
    alike_crops: int
    warnings: list[str]


def gather(shards: Iterable[ShardRows], found: Sequence[Rejection]) -> ShardRows:
    """Returns the rows of all shards, of which one is looked at after the other, and the rejections of the search as one; they add up."""
    total = ShardRows(rejected=list(found))
    photos = sum(rejection.kind == "photo" for rejection in found)
    total.photo_tally.add(Tally(seen=photos, rejected=photos))
    total.box_tally.add(Tally(seen=len(found) - photos, rejected=len(found) - photos))
    for rows in shards:
        total.add(rows)
    total.photos.sort(key=lambda photo: (photo.photo_id, photo.split or ""))
    total.rejected.sort(key=lambda rejection: (rejection.path, rejection.reason))
    total.set_aside.sort(key=lambda box: (box.path, box.label))
    return total


def without(rows: ShardRows, reasons: dict[str, str]) -> ShardRows:
    """Returns the rows with some crops rejected after all.

    Args:
      reasons: by crop id.
    """
    if not reasons:
        return rows
    kept = [photo for photo in (_less(photo, reasons) for photo in rows.photos) if photo.numbers]
    boxes, photos = len(reasons), len(rows.photos) - len(kept)
    rejected = [*rows.rejected, *(Rejection(crop_id, reason, "box") for crop_id, reason in sorted(reasons.items()))]
    rows.photo_tally.add(Tally(out=-photos, rejected=photos))
    rows.box_tally.add(Tally(out=-boxes, rejected=boxes))
    return msgspec.structs.replace(rows, photos=kept, rejected=rejected)


def _less(photo: PhotoRow, reasons: dict[str, str]) -> PhotoRow:
    kept = [place for place, crop_id in enumerate(photo.crop_ids) if crop_id not in reasons]
    return photo if len(kept) == len(photo.numbers) else photo.only(kept)


def check_limits(rows: ShardRows, settings: DataConfig, folder: Path) -> None:
    """Refuses data of which too much cannot be used, or too little can.

    Args:
      folder: where `rejected.csv` lies, to be named in the message.

    Raises:
      DataError: more is rejected than `max_rejected`, no example is left, or all are of one SKU.
    """
    rows.photo_tally.check("photos")
    rows.box_tally.check("boxes")
    shown = "\n".join(f"  {rejection.path}: {rejection.reason}" for rejection in rows.rejected[:_SHOWN])
    count, file = len(rows.rejected), folder / REJECTED
    if count > settings.max_rejected:
        head = f"{settings.path}: {count} photos or boxes cannot be used, data.max_rejected allows {settings.max_rejected}"
        raise DataError(f"{head}\n{shown}\nall of them: {file}\ncorrect or remove them, or raise data.max_rejected")
    if not rows.photos:
        aside = f"{len(rows.set_aside)} boxes are set aside" if rows.set_aside else "nothing is labelled"
        raise DataError(
            f"{settings.path}: no example is left of {rows.photo_tally.seen} photos: {count} rejected, {aside}\n{shown}".rstrip()
        )
    skus = {sku for photo in rows.photos for sku in photo.skus}
    if len(skus) < 2:
        raise DataError(f"{settings.path}: all crops are of one SKU, {min(skus)!r}; there is nothing to tell apart: label another one")


def count(rows: ShardRows, roles: Sequence[Role], groups: Sequence[str], leakage: Leakage, warnings: Iterable[str] = ()) -> IngestCounts:
    """Returns the contents of `ingest.json`."""
    skus: dict[str, Counter[str]] = {}
    for photo, role in zip(rows.photos, roles, strict=True):
        for sku in photo.skus:
            skus.setdefault(sku, Counter())[role] += 1
    examples = Counter({role: sum(counter[role] for counter in skus.values()) for role in ROLES})
    sizes = Counter(groups)
    assert examples.total() == rows.box_tally.out, f"{rows.box_tally.out} boxes went out, {examples.total()} examples have a role"
    return IngestCounts(
        photos=_counted(rows.photo_tally),
        boxes=_counted(rows.box_tally),
        records=examples.total(),
        rejected=len(rows.rejected),
        set_aside=len(rows.set_aside),
        clipped=rows.clipped,
        roles=dict(examples),
        role_photos={role: roles.count(role) for role in ROLES},
        role_groups={role: len({group for group, own in zip(groups, roles, strict=True) if own == role}) for role in ROLES},
        skus={sku: dict(counter) for sku, counter in sorted(skus.items())},
        packshots=sum(photo.of_catalog for photo in rows.photos),
        groups=len(sizes),
        largest_group=max(sizes.values(), default=0),
        leaks=dict(Counter(leak.kind for leak in leakage.leaks)),
        alike_crops=leakage.alike_crops,
        warnings=list(warnings),
    )


def rare(rows: ShardRows, roles: Sequence[Role], products: Catalog, settings: DataConfig) -> list[str]:
    """Returns warnings about SKUs of which train has few crops, and those of the catalogue that nothing shows."""
    learnt: Counter[str] = Counter()
    for photo, role in zip(rows.photos, roles, strict=True):
        learnt.update(dict.fromkeys(photo.skus, 0))
        if role == "train":
            learnt.update(photo.skus)
    few = sorted(sku for sku, number in learnt.items() if 0 < number < settings.min_class_records)
    unseen = [product.sku for product in products.products if product.sku not in learnt]
    warnings = []
    if few:
        warnings.append(
            f"{len(few)} SKUs have fewer than {settings.min_class_records} crops in train (data.min_class_records): {some(few)}"
        )
    if unseen:
        warnings.append(f"{len(unseen)} of {len(products.products)} SKUs of the catalogue are on no photo: {some(unseen)}")
    return warnings


def some(names: Sequence[str]) -> str:
    """Returns the first names of a list, and how many more there are."""
    listed = ", ".join(names[:_NAMED])
    return listed if len(names) <= _NAMED else f"{listed} and {len(names) - _NAMED} more"


def write_rejected(folder: Path, rejected: Iterable[Rejection]) -> None:
    """Writes `rejected.csv`."""
    _write_csv(folder / REJECTED, ("path", "reason", "kind"), ((found.path, found.reason, found.kind) for found in rejected))


def write_files(folder: Path, rows: ShardRows, leaks: Iterable[Leak]) -> None:
    """Writes `rejected.csv`, `set_aside.csv` and `leakage.csv`."""
    write_rejected(folder, rows.rejected)
    _write_set_aside(folder, rows.set_aside)
    write_leaks(folder / LEAKAGE, leaks)


def _write_set_aside(folder: Path, boxes: Iterable[SetAside]) -> None:
    _write_csv(folder / SET_ASIDE, ("path", "label", "target"), ((box.path, box.label, box.target) for box in boxes))


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _counted(tally: Tally) -> Counted:
    return Counted(tally.seen, tally.out, tally.rejected, tally.set_aside)
