"""The role of every photo: whole units are dealt to train, validation, calibration and eval, the same way for the same seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from msgspec import Struct

from tfx_retail import platforms
from tfx_retail.config import Role, SplitConfig
from tfx_retail.features import ROLES
from tfx_retail.ingest.record import DataError
from tfx_retail.ingest.rows import PhotoRow

TRAIN: Role = "train"
_NAMED = 5  # of a long list, so many are named in a message


class Splits(Struct, frozen=True):
    """What was decided, photo by photo, and what a person should know of it."""

    roles: list[Role]
    warnings: list[str]


class _Unit(Struct, frozen=True):
    """Photos that stay together."""

    name: str
    photos: tuple[int, ...]
    skus: tuple[str, ...]  # each once; a set would be five times as large, and there may be a million units


def assign_roles(photos: Sequence[PhotoRow], groups: Sequence[str], settings: SplitConfig) -> Splits:
    """Returns a role for each photo; train for the catalogue's own.

    Args:
      photos: all with at least one crop.
      groups: the scene of each, from `find_scenes`.

    Raises:
      DataError: what the split goes by is not known of a photo, or there are too few units for the roles.
    """
    own = [index for index, photo in enumerate(photos) if not photo.of_catalog]
    of_shelves, scenes = [photos[index] for index in own], [groups[index] for index in own]
    roles = [TRAIN] * len(photos)
    dealt = (_given if settings.by == "given" else _dealt)(of_shelves, scenes, settings)
    for index, role in zip(own, dealt, strict=True):
        roles[index] = role
    return Splits(roles, [*_missing_from_train(photos, roles), *_giant(scenes)])


def seeded(seed: int, text: str) -> bytes:
    """Returns what sorts texts in an order that looks random and depends on the seed alone."""
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()


def _dealt(photos: Sequence[PhotoRow], groups: Sequence[str], settings: SplitConfig) -> list[Role]:
    if settings.by == "store":
        _require(photos, "store", settings.by)
        units = _units(photos, [photo.store for photo in photos], range(len(photos)))
    else:
        units = _units(photos, groups, range(len(photos)))
    shares = dict(sorted(settings.shares.items(), key=lambda item: ROLES.index(item[0])))
    if settings.by == "time":
        _require(photos, "taken_at", settings.by)
        dealt = _deal_in_time(photos, units, shares, settings.by)
    else:
        dealt = _deal(units, shares, settings.seed, settings.by)
    return _spread(dealt, len(photos))


def _given(photos: Sequence[PhotoRow], groups: Sequence[str], settings: SplitConfig) -> list[Role]:
    """Takes the lists' roles; those that the lists lack are carved from train."""
    lacking = [photo.photo_id for photo in photos if photo.split is None]
    if lacking:
        raise DataError(
            f"split.by given: {len(lacking)} of {len(photos)} photos have no role, {_some(lacking)} among them; "
            "name them in the lists, or choose another split.by"
        )
    roles = [photo.split or TRAIN for photo in photos]
    carved = {role: share for role, share in settings.carve.items() if share > 0}
    for role in carved:
        if role in roles:
            raise DataError(f"split.carve takes {role} from train, but the lists give {roles.count(role)} photos that role; do one of both")
    if carved:
        inside = [index for index, role in enumerate(roles) if role == TRAIN]
        dealt = _deal(_units(photos, groups, inside), {TRAIN: 1.0 - sum(carved.values()), **carved}, settings.seed, "given")
        for role, units in dealt.items():
            for unit in units:
                for index in unit.photos:
                    roles[index] = role
    absent = [role for role in ROLES if role not in roles]
    if absent:
        raise DataError(f"split.by given: no photo is {' or '.join(absent)}; list some, or add the role to split.carve")
    return roles


def _units(photos: Sequence[PhotoRow], keys: Sequence[str], indices: Sequence[int]) -> list[_Unit]:
    members: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        members[keys[index]].append(index)
    return [
        _Unit(name, tuple(inside), tuple({sku: None for index in inside for sku in photos[index].skus}))
        for name, inside in sorted(members.items())
    ]


def _deal(units: list[_Unit], shares: Mapping[Role, float], seed: int, by: str) -> dict[Role, list[_Unit]]:
    """Deals units one after another to the role that is furthest behind its share of photos.

    Units of one SKU follow each other, so each SKU is spread over the roles as the shares say; the first unit of a SKU goes to train,
    and no SKU is left without one there. Within a SKU, and among SKUs, the order is that of a seeded hash. A unit's own size counts
    only where a role has no room left for half of it: else large scenes would all go to train, and the others judge on small ones.
    What has room in no other role is train's from the start.
    """
    _require_units(units, shares, by)
    room = {role: share * sum(len(unit.photos) for unit in units) for role, share in shares.items()}
    giants = [unit for unit in units if all(len(unit.photos) / 2 > room[role] for role in room if role != TRAIN)]
    room[TRAIN] -= sum(len(unit.photos) for unit in giants)
    dealt: dict[Role, list[_Unit]] = {role: [] for role in shares} | {TRAIN: giants}
    counts = dict.fromkeys(shares, 0)
    learnt = {sku for unit in giants for sku in unit.skus}
    large, total = {unit.name for unit in giants}, sum(room.values())
    for unit in _ordered([unit for unit in units if unit.name not in large], seed):
        done = sum(counts.values()) / total
        behind = {role: room[role] * done - counts[role] for role in room if room[role] - counts[role] >= len(unit.photos) / 2}
        role = max(behind, key=behind.__getitem__) if behind and learnt.issuperset(unit.skus) else TRAIN
        if role == TRAIN:
            learnt.update(unit.skus)
        dealt[role].append(unit)
        counts[role] += len(unit.photos)
    _fill_empty(dealt)
    return dealt


def _ordered(units: list[_Unit], seed: int) -> list[_Unit]:
    """Returns the units SKU by SKU, the largest of each first: train gets it, and no SKU is left with a single photo to learn from.

    A unit that shows several SKUs belongs to the rarest of them, which can least do without.
    """
    frequency = Counter(sku for unit in units for sku in unit.skus)
    rarest = {unit.name: min(unit.skus, key=lambda sku: (frequency[sku], sku)) for unit in units}
    largest: dict[str, _Unit] = {}
    for unit in units:
        before = largest.setdefault(rarest[unit.name], unit)
        if len(unit.photos) > len(before.photos):
            largest[rarest[unit.name]] = unit

    order = {sku: seeded(seed, f"sku {sku}") for sku in largest}

    def key(unit: _Unit) -> tuple[bytes, bool, bytes]:
        sku = rarest[unit.name]
        return order[sku], unit is not largest[sku], seeded(seed, unit.name)

    return sorted(units, key=key)


def _fill_empty(dealt: dict[Role, list[_Unit]]) -> None:
    """Gives each role without a unit one of train's that takes no SKU's last one there, or else one of the role that has most."""
    for units in dealt.values():
        if not units:
            kept = Counter(sku for unit in dealt[TRAIN] for sku in unit.skus)
            spare = [unit for unit in dealt[TRAIN] if all(kept[sku] > 1 for sku in unit.skus)]
            donor = dealt[TRAIN] if spare else max(dealt.values(), key=len)
            chosen = min(spare or donor, key=lambda unit: (len(unit.photos), unit.name))
            donor.remove(chosen)
            units.append(chosen)


def _deal_in_time(photos: Sequence[PhotoRow], units: list[_Unit], shares: Mapping[Role, float], by: str) -> dict[Role, list[_Unit]]:
    """Deals the oldest units to train and the newest to eval. A unit is as old as its first photo."""
    _require_units(units, shares, by)
    moments = {unit.name: min(_moment(photos[index]) for index in unit.photos) for unit in units}
    ordered = sorted(units, key=lambda unit: (moments[unit.name], unit.name))
    total = sum(len(unit.photos) for unit in units)
    dealt: dict[Role, list[_Unit]] = {role: [] for role in shares}
    waiting = list(shares)
    count, bound = 0, shares[waiting[0]] * total
    for number, unit in enumerate(ordered):
        left, roles_left = len(ordered) - number, len(waiting) - 1
        middle = count + len(unit.photos) / 2  # a unit across the bound goes where more of it lies
        if roles_left and dealt[waiting[0]] and (middle > bound or left <= roles_left):
            waiting.pop(0)
            bound += shares[waiting[0]] * total
        dealt[waiting[0]].append(unit)
        count += len(unit.photos)
    return dealt


def _moment(photo: PhotoRow) -> datetime:
    text = photo.taken_at
    try:
        moment = platforms.moment(text)
    except ValueError:
        raise DataError(f"{photo.source_file}: taken_at of {photo.photo_id} is {text!r}, expected ISO 8601, say 2024-05-17") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)  # a clock without zone is compared as it stands


def _require(photos: Sequence[PhotoRow], name: str, by: str) -> None:
    lacking = [photo.photo_id for photo in photos if not getattr(photo, name)]
    if lacking:
        raise DataError(
            f"split.by {by}: {len(lacking)} of {len(photos)} photos have no {name}, {_some(lacking)} among them; "
            "give it in the manifest or in data.photo_facts, or choose another split.by"
        )


def _require_units(units: list[_Unit], shares: Mapping[Role, float], by: str) -> None:
    if len(units) >= len(shares):
        return
    photos = sum(len(unit.photos) for unit in units)
    what = "stores" if by == "store" else "scenes"
    cure = "lower split.scene_bits or split.scene_color, " if by not in ("store", "photo") else ""
    found = f"{photos} photos" if by == "photo" else f"{photos} photos make {len(units)} {what} ({_some([unit.name for unit in units])})"
    raise DataError(f"split.by {by}: {found}, but {len(shares)} roles need one each; add photos, {cure}or choose another split.by")


def _spread(dealt: Mapping[Role, list[_Unit]], count: int) -> list[Role]:
    roles: list[Role] = [TRAIN] * count
    for role, units in dealt.items():
        for unit in units:
            for index in unit.photos:
                roles[index] = role
    return roles


def _missing_from_train(photos: Sequence[PhotoRow], roles: Sequence[Role]) -> list[str]:
    inside = {sku for photo, role in zip(photos, roles, strict=True) if role == TRAIN for sku in photo.skus}
    outside = sorted({sku for photo in photos for sku in photo.skus} - inside)
    return [f"{len(outside)} SKUs are not in train, so no model can know them: {_some(outside)}"] if outside else []


def _giant(groups: Sequence[str]) -> list[str]:
    name, size = Counter(groups).most_common(1)[0] if groups else ("", 0)
    if size * 4 < len(groups) or size < 20:  # small sets have large scenes by nature
        return []
    cure = "if they are not one place, lower split.scene_bits or split.scene_color"
    return [f"one scene ({name}) holds {size} of {len(groups)} photos; {cure}"]


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_NAMED])
    return listed if len(names) <= _NAMED else f"{listed}, and {len(names) - _NAMED} more"
