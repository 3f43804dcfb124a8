"""From photos to records with a SKU: labels resolved, boxes counted, every refusal kept with its reason."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from tfx_retail import catalog, labels
from tfx_retail.config import DataConfig
from tfx_retail.ingest import images, packshots
from tfx_retail.ingest.facts import Facts, read_facts
from tfx_retail.ingest.readers import reader
from tfx_retail.ingest.record import Annotation, Item, Photo, Record, Rejection
from tfx_retail.ingest.rows import SetAside, Tally

Resolver = Callable[[str], labels.Target | str]


class Sources(Struct, frozen=True):
    """What reading needs to know beside the photos."""

    settings: DataConfig
    products: catalog.Catalog
    resolve: Resolver
    facts: Facts


class PhotoResult(Struct, kw_only=True):
    """What one photo, or one refusal of the reader, came to."""

    records: list[Record] = []
    rejected: list[Rejection] = []
    set_aside: list[SetAside] = []
    photo_tally: Tally
    box_tally: Tally
    of_catalog: bool = False


def sources(data: str, catalog_path: str, label_map: str) -> Sources:
    """Returns what reading needs.

    Args:
      data: `DataConfig` as JSON.
      catalog_path: the catalogue, in the columns of the data contract.
      label_map: path, empty where there is none.

    Raises:
      CatalogError, LabelError, DataError: one of the files cannot be used.
    """
    settings = msgspec.json.decode(data, type=DataConfig)
    products = catalog.read(Path(catalog_path))
    return Sources(settings, products, resolver(products, label_map, settings.label_column), read_facts(settings))


def resolver(products: catalog.Catalog, label_map: str, column: str) -> Resolver:
    """Returns what annotations' labels mean, by the label map where there is one."""
    return labels.resolver(products, labels.read_label_map(Path(label_map), products) if label_map else {}, column)


def photos(items: list[Item], settings: DataConfig) -> Iterator[Photo | Rejection]:
    """Yields what the items hold, one after another."""
    chosen = reader(settings.format)
    for item in items:
        yield from packshots.read(item, settings) if item.packshot_of else chosen.read(settings.path, item, settings)


def result(found: Photo | Rejection, known: Sources) -> PhotoResult:
    """Returns the records of a photo, their labels replaced by SKUs, and all that was refused or set aside."""
    if isinstance(found, Rejection):
        refused = Tally(seen=1, rejected=1)
        tallies = (refused, Tally()) if found.kind == "photo" else (Tally(), refused)
        return PhotoResult(rejected=[found], photo_tally=tallies[0], box_tally=tallies[1])
    photo = found if found.of_catalog else known.facts.add_to(found)
    numbers, kept, rejected, set_aside = resolved(photo, known.resolve)
    records: list[Record] = []
    outcomes = list(images.records(structs.replace(photo, annotations=tuple(kept)), known.settings))
    lost_photo = any(isinstance(outcome, Rejection) and outcome.kind == "photo" for outcome in outcomes)
    for number, outcome in zip(numbers, outcomes, strict=not lost_photo):
        if isinstance(outcome, Record):
            records.append(structs.replace(outcome, number=number))
        else:
            rejected.append(outcome)
    boxes = Tally(seen=len(photo.annotations) + len(photo.faults), out=len(records), set_aside=len(set_aside))
    boxes.rejected = len(rejected) + (len(kept) - 1 if lost_photo else 0)  # a photo takes all its boxes with it
    return PhotoResult(
        records=records,
        rejected=rejected,
        set_aside=set_aside,
        photo_tally=_photo_tally(records, rejected),
        box_tally=boxes,
        of_catalog=photo.of_catalog,
    )


def resolved(photo: Photo, resolve: Resolver) -> tuple[list[int], list[Annotation], list[Rejection], list[SetAside]]:
    """Returns the numbers of those annotations whose label is a SKU, these with it as label; refusals; and what is set aside."""
    numbers: list[int] = []
    kept: list[Annotation] = []
    rejected = list(photo.faults)
    set_aside = []
    for number, annotation in enumerate(photo.annotations, 1):
        part = annotation.part or f"box {number}"
        where = f"{photo.source_file}: {part}"
        target = labels.Target(annotation.label) if photo.of_catalog else resolve(annotation.label)
        if isinstance(target, str):
            rejected.append(Rejection(where, target, "box"))
        elif target.reserved:
            set_aside.append(SetAside(where, annotation.label, target.sku))
        else:
            numbers.append(number)
            kept.append(structs.replace(annotation, label=target.sku, face=target.face or annotation.face, part=part))
    return numbers, kept, rejected, set_aside


def _photo_tally(records: list[Record], rejected: list[Rejection]) -> Tally:
    if records:
        return Tally(seen=1, out=1)
    return Tally(seen=1, rejected=1) if rejected else Tally(seen=1, set_aside=1)
