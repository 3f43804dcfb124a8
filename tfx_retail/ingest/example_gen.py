"""What ExampleGen does around its two passes: deals items to shards, and decides from rows alone who gets which role."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tfx_retail.catalog import Catalog
from tfx_retail.config import DataConfig, SplitConfig
from tfx_retail.ingest import counts, packshots
from tfx_retail.ingest.counts import IngestCounts
from tfx_retail.ingest.facts import check_use
from tfx_retail.ingest.leakage import Leak, Leakage, find_contradictions, find_leakage
from tfx_retail.ingest.readers import reader
from tfx_retail.ingest.reading import Sources
from tfx_retail.ingest.record import DataError, Item, Rejection
from tfx_retail.ingest.rows import ShardRows
from tfx_retail.ingest.scenes import find_scenes
from tfx_retail.ingest.shards import Fate, Shard, write_items
from tfx_retail.ingest.splits import assign_roles, seeded

SHARD_ITEMS = 2_000  # photos, for most formats


class Decision(Struct, frozen=True):
    """What the second pass and the report need."""

    fates: dict[str, Fate]  # by photo id
    dropped: frozenset[str]  # crop ids
    rows: ShardRows
    leakage: Leakage
    counts: IngestCounts


def find(settings: DataConfig, products: Catalog) -> tuple[list[Item], list[Rejection]]:
    """Returns what there is to read, pack shots included, and what is refused before it is read.

    Raises:
      DataError: there is nothing.
    """
    found = list(reader(settings.format).find(settings.path, settings))
    if not found:
        raise DataError(f"{settings.path}: holds nothing that format {settings.format} reads; correct data.path or data.format")
    found.extend(packshots.find(products, settings))
    items = [item for item in found if isinstance(item, Item)]
    rejected = [item for item in found if isinstance(item, Rejection)]
    return items, rejected


def deal(items: Sequence[Item], folder: Path, *, shards: int, seed: int) -> list[Shard]:
    """Deals the items to shards in an order that looks random: then each shard is a sample of the whole.

    Args:
      folder: of the first pass; it gets each shard's items.
      shards: how many; 0: one for each 2,000 items or so.
    """
    wanted = shards or -(-len(items) // SHARD_ITEMS)
    number = max(min(wanted, len(items)), 1)
    ordered = sorted(items, key=lambda item: seeded(seed, f"{item.path} {item.payload} {item.split}"))
    dealt = [Shard(index, str(folder)) for index in range(number)]
    for shard in dealt:
        write_items(shard, ordered[shard.number :: number])
    return dealt


def decide(rows: ShardRows, known: Sources, split: SplitConfig, explain: Path) -> Decision:
    """Returns scenes, roles and counts, decided without looking at a pixel.

    Args:
      explain: folder that gets `rejected.csv` and `leakage.csv` if the data is refused; one that outlives the node, whose outputs TFX
        removes when it fails.

    Raises:
      DataError: too much is rejected, the roles cannot be filled, or a photo is in two splits.
    """
    contradictory = find_contradictions(rows.photos)
    rows = counts.without(rows, contradictory)
    leaks: list[Leak] = []
    try:
        return _decided(rows, known, split, frozenset(contradictory), leaks, explain)
    except DataError:
        counts.write_files(explain, rows, leaks)
        raise


def _decided(rows: ShardRows, known: Sources, split: SplitConfig, dropped: frozenset[str], leaks: list[Leak], explain: Path) -> Decision:
    counts.check_limits(rows, known.settings, explain)
    unused = check_use(known.facts, {photo.photo_id for photo in rows.photos if not photo.of_catalog})
    groups = find_scenes(rows.photos, split)
    splits = assign_roles(rows.photos, groups, split)
    leakage = find_leakage(rows.photos, splits.roles, known.settings)
    leaks.extend(leakage.leaks)
    if leakage.fatal:
        cure = "remove one of each, or let split.by keep them together"
        found = "\n".join(f"  {line}" for line in leakage.fatal)
        raise DataError(f"{known.settings.path}: photos leak across splits\n{found}\nall of them: {explain / counts.LEAKAGE}\n{cure}")
    rare = counts.rare(rows, splits.roles, known.products, known.settings)
    fates = {photo.photo_id: Fate(role, group) for photo, role, group in zip(rows.photos, splits.roles, groups, strict=True)}
    told = counts.count(rows, splits.roles, groups, leakage, [*splits.warnings, *leakage.warnings, *rare, *unused])
    return Decision(fates, dropped, rows, leakage, told)


def write_report(made: Decision, folder: Path) -> None:
    """Writes `ingest.json`, `rejected.csv`, `set_aside.csv` and `leakage.csv`."""
    counts.write_files(folder, made.rows, made.leakage.leaks)
    (folder / counts.COUNTS).write_bytes(msgspec.json.format(msgspec.json.encode(made.counts), indent=1))


def forget_failure(explain: Path) -> None:
    """Removes the files that explained an earlier failure."""
    for name in (counts.REJECTED, counts.SET_ASIDE, counts.LEAKAGE):
        (explain / name).unlink(missing_ok=True)
