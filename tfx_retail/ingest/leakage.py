"""The same photo, or nearly the same, in two splits: a model is then judged on what it has learnt by heart."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from tfx_retail.config import DataConfig, Role
from tfx_retail.features import ROLES
from tfx_retail.ingest.hamming import Hashes, as_hashes, distances, near_pairs
from tfx_retail.ingest.record import crop_id
from tfx_retail.ingest.rows import PhotoRow, words

_NONE = np.iinfo(np.int64).max
_INDEX_BITS = 40  # of a number that sorts by distance first and by photo second
Kind = Literal["same photo", "same pixels", "same crop", "near-duplicate"]
Key = str | int


class Leak(NamedTuple):
    """Two photos, or crops, of two splits that are one."""

    kind: Kind
    first: str
    first_role: str
    second: str
    second_role: str
    bits: int  # in which their 64-bit difference hashes differ


class Leakage(Struct, frozen=True):
    """What was found."""

    leaks: list[Leak]
    alike_crops: int  # crops of other roles whose hash a crop of train has: right for packs of one SKU, so told only
    fatal: list[str]
    warnings: list[str]


def find_leakage(photos: Sequence[PhotoRow], roles: Sequence[Role], settings: DataConfig) -> Leakage:
    """Returns photos and crops that lie in two splits.

    The same photo, the same pixels under two names, and the same pixels of a crop are fatal. So are near-duplicate photos (within
    `near_duplicate_bits` of the 64-bit difference hash) where `on_leakage` says so: a hash can take two photos for one. Of these each
    photo is listed with its nearest one of an earlier role, in the order train, validation, calibration, eval.
    """
    leaks = [
        *_same("same photo", ((photo.photo_id, photo.photo_id, role) for photo, role in zip(photos, roles, strict=True))),
        *_same("same pixels", _photos_seen_again(photos, roles)),
        *_same("same crop", _partial_crops(photos, roles)),
    ]
    known = {name for leak in leaks for name in (leak.first, leak.second)}
    near = [leak for leak in _near(photos, roles, settings.near_duplicate_bits) if leak.second not in known]
    fatal, warnings = list(_messages(leaks)), list(_messages(near))
    if settings.on_leakage == "fail":
        fatal, warnings = fatal + warnings, []
    return Leakage([*leaks, *near], _alike_crops(photos, roles), fatal, warnings)


def find_contradictions(photos: Sequence[PhotoRow]) -> dict[str, str]:
    """Returns crops whose pixels bear two SKUs, by crop id, with the reason: no model can be right on both."""
    seen: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for digest, photo, crop in _crops_seen_again(photos):
        seen[digest][photos[photo].skus[crop]].append(_id(photos[photo], crop))
    reasons: dict[str, str] = {}
    for by_sku in (skus for skus in seen.values() if len(skus) > 1):
        found = " and ".join(f"{sku!r} ({crop_ids[0]})" for sku, crop_ids in sorted(by_sku.items()))
        for named in by_sku.values():
            reasons |= dict.fromkeys(named, f"the same image is {found}; correct one of them")
    return reasons


def write_leaks(path: Path, leaks: Iterable[Leak]) -> None:
    """Writes `leakage.csv`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Leak._fields)
        writer.writerows(leaks)


def _photos_seen_again(photos: Sequence[PhotoRow], roles: Sequence[Role]) -> Iterator[tuple[int, str, Role]]:
    digests = words(photo.digest for photo in photos)
    for place in _repeated(digests):
        yield int(digests[place]), photos[place].photo_id, roles[place]


def _partial_crops(photos: Sequence[PhotoRow], roles: Sequence[Role]) -> Iterator[tuple[int, str, Role]]:
    for digest, photo, crop in _crops_seen_again(photos):
        if digest != words([photos[photo].digest])[0]:  # a crop of the whole photo is told as a photo
            yield digest, _id(photos[photo], crop), roles[photo]


def _crops_seen_again(photos: Sequence[PhotoRow]) -> Iterator[tuple[int, int, int]]:
    """Yields (digest, place of the photo, place of the crop in it) of each crop whose pixels another one has.

    Nearly all crops are the only ones of their kind: they are told apart in one array, and never become objects.
    """
    digests = words(photo.crop_digests for photo in photos)
    ends = np.cumsum([len(photo.numbers) for photo in photos])
    for place in _repeated(digests):
        photo = int(np.searchsorted(ends, place, side="right"))
        yield int(digests[place]), photo, place - int(ends[photo]) + len(photos[photo].numbers)


def _repeated(values: Hashes) -> list[int]:
    """Returns the places of the values that occur more than once."""
    ordered = np.sort(values)
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return [int(place) for place in np.flatnonzero(np.isin(values, several))]


def _id(photo: PhotoRow, crop: int) -> str:
    return crop_id(photo.photo_id, photo.numbers[crop])


def _same(kind: Kind, named: Iterable[tuple[Key, str, Role]]) -> Iterator[Leak]:
    """Yields for each (key, name, role) the first of another role with the same key."""
    firsts: dict[Key, tuple[str, Role]] = {}
    told: set[tuple[Key, Role]] = set()
    for key, name, role in named:
        first, first_role = firsts.setdefault(key, (name, role))
        if first_role == role or (key, role) in told:
            continue
        told.add((key, role))
        # two lists that name one photo are one leak, not another one by its pixels
        if kind == "same photo" or first != name:
            (early_role, early), (late_role, late) = sorted(((first_role, first), (role, name)), key=lambda pair: ROLES.index(pair[0]))
            yield Leak(kind, early, early_role, late, late_role, 0)


def _near(photos: Sequence[PhotoRow], roles: Sequence[Role], bits: int) -> Iterator[Leak]:
    """Yields each photo with its nearest one of an earlier role, if that is within so many bits."""
    # one photo stands for all that have its hash and role: photos of one colour would else make millions of pairs
    keys = np.array([as_hashes(photo.hash for photo in photos), as_hashes(ROLES.index(role) for role in roles)])
    (hashes, order), standing, inverse = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    best = np.full(len(hashes), _NONE)
    for one, other in near_pairs(hashes, bits):
        crossing = order[one] != order[other]
        swapped = order[one[crossing]] > order[other[crossing]]
        early = np.where(swapped, other[crossing], one[crossing])
        late = np.where(swapped, one[crossing], other[crossing])
        apart = distances(hashes[early], hashes[late]).astype(np.int64)
        np.minimum.at(best, late, (apart << _INDEX_BITS) | standing[early])  # the nearest, of equally near ones the first
    for index, found in enumerate(best[inverse.reshape(-1)].tolist()):
        if found != _NONE:
            bits_apart, nearest = divmod(found, 1 << _INDEX_BITS)
            yield Leak("near-duplicate", photos[nearest].photo_id, roles[nearest], photos[index].photo_id, roles[index], bits_apart)


def _alike_crops(photos: Sequence[PhotoRow], roles: Sequence[Role]) -> int:
    learnt = words(photo.crop_hashes for photo, role in zip(photos, roles, strict=True) if role == "train")
    others = words(photo.crop_hashes for photo, role in zip(photos, roles, strict=True) if role != "train")
    return int(np.isin(others, learnt).sum())


def _messages(leaks: Sequence[Leak]) -> Iterator[str]:
    for kind, what in _WORDS.items():
        found = [leak for leak in leaks if leak.kind == kind]
        if found:
            one = found[0]
            yield f"{len(found)} {what}, say {one.second} ({one.second_role}) and {one.first} ({one.first_role})"


_WORDS: dict[Kind, str] = {
    "same photo": "photos are in two splits",
    "same pixels": "photos have the pixels of a photo in another split",
    "same crop": "crops have the pixels of a crop in another split",
    "near-duplicate": "photos are near-duplicates of a photo in another split",
}
