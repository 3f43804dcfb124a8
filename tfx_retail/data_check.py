"""`tfx-retail check`: every fault of catalogue, labels, files, boxes and splits that can be seen without decoding an image."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, structs

from tfx_retail import catalog
from tfx_retail.catalog import Catalog
from tfx_retail.config import Config, DataConfig, Role, SplitConfig
from tfx_retail.errors import UserError
from tfx_retail.ingest import counts, images, packshots, reading
from tfx_retail.ingest.digest import folder_digest
from tfx_retail.ingest.facts import Facts, check_use, read_facts
from tfx_retail.ingest.readers import reader
from tfx_retail.ingest.record import Item, Photo, Rejection
from tfx_retail.ingest.rows import PhotoRow, ShardRows
from tfx_retail.ingest.splits import assign_roles
from tfx_retail.labels import Target

_Value = TypeVar("_Value")


class CheckResult(Struct):
    """What was found. With a fault, a run would fail."""

    faults: list[str] = []
    warnings: list[str] = []
    counts: dict[str, int] = {}


def check(config: Config) -> CheckResult:
    """Returns all faults, not the first: each part is looked at as far as the others allow."""
    found = CheckResult()
    data = config.data
    products = _tried(lambda: catalog.read(Path(config.catalog.path), config.catalog.format), found)
    if products:
        found.counts["SKUs in the catalogue"] = len(products.products)
    if not Path(data.path).exists() and data.sample:
        found.warnings.append(f"{data.path} is not there yet: the first run draws {data.sample.photos} sample photos into it")
        return found
    if config.pretrain:
        pretrain = config.pretrain
        _tried(lambda: folder_digest(pretrain.path), found)
    resolve = _tried(lambda: reading.resolver(products, data.label_map or "", data.label_column), found) if products else None
    facts = _tried(lambda: read_facts(data), found)
    rows = ShardRows()
    complete = _tried(lambda: _read_all(data, products, resolve or _any_label, facts or Facts({}), rows), found)
    _tell(rows, data, found)
    if complete and products and resolve and facts and rows.photos:
        found.warnings += _tried(lambda: check_use(facts, {photo.photo_id for photo in rows.photos if not photo.of_catalog}), found) or []
        _check_splits(rows, products, config, found)
    return found


def _tried(act: Callable[[], _Value], found: CheckResult) -> _Value | None:
    """Returns the result, or None after its faults have been noted."""
    try:
        return act()
    except UserError as error:
        found.faults += getattr(error, "faults", None) or [str(error)]
        return None


def _any_label(label: str) -> Target:
    """Takes a label for a SKU: without a catalogue nothing can be said of it."""
    return Target(label)


def _read_all(data: DataConfig, products: Catalog | None, resolve: reading.Resolver, facts: Facts, rows: ShardRows) -> bool:
    """Adds to the rows what all items hold; returns True: it came to the end."""
    for item in chain(reader(data.format).find(data.path, data), packshots.find(products, data) if products else ()):
        found: Iterator[Photo | Rejection] = reading.photos([item], data) if isinstance(item, Item) else iter([item])
        for photo in found:
            if isinstance(photo, Rejection):
                rows.rejected.append(photo)
                (rows.photo_tally if photo.kind == "photo" else rows.box_tally).seen += 1
            else:
                _add(photo if photo.of_catalog else facts.add_to(photo), data, resolve, rows)
    return True


def _add(photo: Photo, data: DataConfig, resolve: reading.Resolver, rows: ShardRows) -> None:
    numbers, kept, rejected, set_aside = reading.resolved(photo, resolve)
    refused = list(images.refused(structs.replace(photo, annotations=tuple(kept)), data))
    rows.photo_tally.seen += 1
    rows.box_tally.seen += len(photo.annotations) + len(photo.faults)
    rows.rejected += [*rejected, *refused]
    rows.set_aside += set_aside
    if len(refused) < len(kept) and not any(rejection.kind == "photo" for rejection in refused):
        rows.photos.append(_row(photo, numbers, tuple(annotation.label for annotation in kept)))


def _row(photo: Photo, numbers: list[int], skus: tuple[str, ...]) -> PhotoRow:
    """Returns the row of a photo whose pixels nobody has seen: its hashes say nothing."""
    return PhotoRow(
        photo_id=photo.photo_id,
        source_file=photo.source_file,
        split=photo.split,
        store=photo.store,
        taken_at=photo.taken_at,
        group=photo.group,
        hash=0,
        colors=b"",
        digest=b"",
        numbers=tuple(numbers),
        skus=skus,
        crop_digests=b"",
        crop_hashes=b"",
        of_catalog=photo.of_catalog,
    )


def _tell(rows: ShardRows, data: DataConfig, found: CheckResult) -> None:
    found.counts |= {
        "photos": rows.photo_tally.seen,
        "boxes": rows.box_tally.seen,
        "crops that can be used": sum(len(photo.skus) for photo in rows.photos),
        "boxes set aside": len(rows.set_aside),
        "photos or boxes rejected": len(rows.rejected),
    }
    told = [f"{rejection.path}: {rejection.reason}" for rejection in rows.rejected]
    if len(told) > data.max_rejected:
        found.faults += told
    else:
        found.warnings += told
    if not rows.photos and not found.faults:
        found.faults.append(f"{data.path}: nothing is left to learn from; label photos with SKUs of the catalogue")


def _check_splits(rows: ShardRows, products: Catalog, config: Config, found: CheckResult) -> None:
    """Deals photos by what is known of their scenes without pixels: near-duplicates are found by a run."""
    photos = rows.photos
    skus = {sku for photo in photos for sku in photo.skus}
    if len(skus) < 2:
        found.faults.append(
            f"{config.data.path}: all crops are of one SKU, {min(skus)!r}; there is nothing to tell apart: label another one"
        )
    _check_listed_once(photos, found)
    groups = [photo.photo_id if config.split.by == "photo" else photo.group or photo.photo_id for photo in photos]
    splits = _tried(lambda: assign_roles(photos, groups, config.split), found)
    if splits is None:
        return
    if not _carves(config.split):
        found.warnings += splits.warnings
    if config.split.by == "given":
        found.counts |= {f"photos in {role}": count for role, count in Counter(photo.split or "" for photo in photos).items()}
    learnt: list[Role] = ["train"] * len(photos)  # a SKU that is rare in all roles together is rare in train
    found.warnings += counts.rare(rows, learnt, products, config.data)


def _carves(split: SplitConfig) -> bool:
    return split.by != "given" or bool(split.carve)  # then scenes decide, and these are not known yet


def _check_listed_once(photos: list[PhotoRow], found: CheckResult) -> None:
    for photo_id, times in Counter(photo.photo_id for photo in photos).items():
        if times > 1:
            roles = " and ".join(sorted({photo.split or "none" for photo in photos if photo.photo_id == photo_id}))
            found.faults.append(f"{photo_id}: is in {times} splits, {roles}; keep it in one")
