"""Memory and time of deciding roles, which one process does for all photos: what a million of them would take.

python -m benchmarks.rows [--photos 100000] [--crops 13]
"""

import argparse
import gc
import os
import random
import time
from pathlib import Path

import msgspec

from tfx_retail.config import DataConfig, SplitConfig
from tfx_retail.ingest import counts, leakage, scenes, splits
from tfx_retail.ingest.rows import WORD, PhotoRow, ShardRows, Tally

_SHARD = 2_000  # photos
_SKUS = 2_000


def main() -> None:
    """Prints what is held after each step, and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--crops", type=int, default=13, help="on each photo")
    options = parser.parse_args()
    shards = [_shard(start, options.crops) for start in range(0, options.photos, _SHARD)]
    gc.collect()
    before, begun = _resident(), time.monotonic()

    def tell(step: str) -> None:
        used = _resident() - before
        print(f"{step:<10} {used / 2**20:6.0f} MB, {used / options.photos:6.0f} bytes a photo, {time.monotonic() - begun:5.1f} s")

    rows = counts.gather((msgspec.msgpack.decode(shard, type=ShardRows) for shard in shards), [])
    tell("rows")
    rows = counts.without(rows, leakage.find_contradictions(rows.photos))
    settings = SplitConfig(by="photo")  # scenes of unlike photos would be as many
    groups = scenes.find_scenes(rows.photos, settings)
    roles = splits.assign_roles(rows.photos, groups, settings).roles
    tell("roles")
    leakage.find_leakage(rows.photos, roles, DataConfig(path="data", format="voc"))
    tell("leakage")


def _shard(start: int, crops: int) -> bytes:
    """Returns the rows of some photos as the first pass writes them; no two have anything in common."""
    draw = random.Random(start)  # noqa: S311  # no secret
    rows = ShardRows(photo_tally=Tally(seen=_SHARD, out=_SHARD), box_tally=Tally(seen=_SHARD * crops, out=_SHARD * crops))
    rows.photos = [_photo(draw, f"2026-11/store-{number % 300:03}/shelf-{number:08}", crops) for number in range(start, start + _SHARD)]
    return msgspec.msgpack.encode(rows)


def _photo(draw: random.Random, photo_id: str, crops: int) -> PhotoRow:
    return PhotoRow(
        photo_id=photo_id,
        source_file=f"{photo_id}.xml",
        split=None,
        store=photo_id.split("/")[1],
        taken_at="2026-11-30T10:00:00",
        group="",
        hash=draw.getrandbits(64),
        colors=draw.randbytes(64),
        digest=draw.randbytes(WORD),
        numbers=tuple(range(1, crops + 1)),
        skus=tuple(f"product-{draw.randrange(_SKUS):05}-500ml" for _ in range(crops)),
        crop_digests=draw.randbytes(WORD * crops),
        crop_hashes=draw.randbytes(WORD * crops),
    )


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
