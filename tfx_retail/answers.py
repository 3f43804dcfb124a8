"""From the network's logits to the answers of the model contract, as a graph: joint scores, then family, look and SKU within each other."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_retail.catalog import Catalog
from tfx_retail.labels import Label

TOP = 5
# One measured side of a pack scatters so much about the catalogue's, as a share of it: boxes are drawn by hand and packs stand askew.
SIZE_DEVIATION = 0.08

Indices = npt.NDArray[np.int64]


class Hierarchy(NamedTuple):
    """The label lists of a model and how they nest: S SKUs in label order, L looks, F families, C categories."""

    skus: tuple[str, ...]
    looks: tuple[str, ...]
    families: tuple[str, ...]
    categories: tuple[str, ...]
    look_of_sku: Indices
    family_of_look: Indices
    category_of_family: Indices
    active: npt.NDArray[np.bool_]  # [S], SKUs that may win
    height_mm: npt.NDArray[np.float32]  # [S], NaN where the catalogue has none; the same for the width
    width_mm: npt.NDArray[np.float32]

    @property
    def top(self) -> int:
        """The length k of `top_skus`: of the SKUs that may win, five or all."""
        return min(TOP, int(self.active.sum()))


class Thresholds(NamedTuple):
    """From which confidence on an answer is `accepted`, of a SKU and of a family."""

    accept_above: float
    family_accept_above: float


class Scores(NamedTuple):
    """Joint probabilities of B images."""

    sku: Any  # [B, S] float32, rows add up to 1; 0 for SKUs that may not win
    look: Any  # [B, L] float32
    family: Any  # [B, F] float32


def hierarchy(labels: Sequence[Label], products: Catalog, trained: npt.NDArray[np.bool_]) -> Hierarchy:
    """Returns the label lists; a retired SKU that has left the catalogue stands in a look, family and category of its own name.

    Args:
      trained: [S], whether the SKU had training photos; one that had none can be known by chance only, and never wins.
    """
    ordered = sorted(labels, key=lambda label: label.index)
    kept = [products.by_sku.get(label.sku) for label in ordered]
    lines = [
        (product.look, product.family, product.category) if product else (label.sku,) * 3
        for label, product in zip(ordered, kept, strict=True)
    ]
    look_of_sku, looks = _numbered([look for look, _, _ in lines])
    family_of, families = _numbered([family for _, family, _ in lines])
    category_of, categories = _numbered([category for _, _, category in lines])
    active = np.array([label.status == "active" for label in ordered]) & trained
    return Hierarchy(
        skus=tuple(label.sku for label in ordered),
        looks=looks,
        families=families,
        categories=categories,
        look_of_sku=look_of_sku,
        family_of_look=_first(family_of, look_of_sku, len(looks)),
        category_of_family=_first(category_of, family_of, len(families)),
        active=active,
        height_mm=_sizes([product.height_mm if product else None for product in kept]),
        width_mm=_sizes([product.width_mm if product else None for product in kept]),
    )


def scores(logits: Any, ok: Any, lists: Hierarchy) -> Scores:
    """Returns joint scores without sizes.

    Args:
      logits: [B, S] float32.
      ok: [B] bool; a row without an image scores every SKU alike.
    """
    shown = tf.where(ok[:, None], logits, 0.0)
    return _joint(tf.nn.softmax(tf.where(lists.active, shown, -math.inf)), lists)


def sized(before: Scores, height_mm: Any, width_mm: Any, lists: Hierarchy) -> Scores:
    """Returns the scores with each look's share given to its SKUs anew by the measured sizes; looks keep what they have.

    Args:
      height_mm: [B] float32, NaN where unknown; the same for the width. A side counts only where the catalogue has it of the whole look.
    """
    agreement = _agreement(height_mm, lists.height_mm, lists) + _agreement(width_mm, lists.width_mm, lists)
    best = _gather(_by_look(tf.where(lists.active, agreement, -math.inf), lists, tf.math.unsorted_segment_max), lists.look_of_sku)
    weighed = before.sku * tf.exp(agreement - tf.maximum(best, tf.float32.min))
    total = _gather(_by_look(weighed, lists, tf.math.unsorted_segment_sum), lists.look_of_sku)
    share = tf.math.divide_no_nan(weighed, total)
    return _joint(tf.where(total > 0, share * _gather(before.look, lists.look_of_sku), before.sku), lists)


def decided(given: Scores, ok: Any, size_known: Any, lists: Hierarchy, thresholds: Thresholds) -> dict[str, Any]:
    """Returns the outputs of `serving_default` by name: the best family, the best look within it, the best SKU within that."""
    family = tf.argmax(given.family, axis=1)
    look = tf.argmax(tf.where(lists.family_of_look == family[:, None], given.look, -1.0), axis=1)
    allowed = (lists.look_of_sku == look[:, None]) & lists.active
    sku = tf.argmax(tf.where(allowed, given.sku, -1.0), axis=1)
    category = tf.gather(lists.category_of_family, family)
    confidence, look_confidence = _at(given.sku, sku), _at(given.look, look)
    family_confidence = _at(given.family, family)
    ambiguous = tf.gather(_ambiguous(lists), look)
    reason = _reason(confidence, look_confidence, ok, ambiguous, size_known, tf.gather(_measurable(lists), look), thresholds)
    first = tf.one_hot(sku, len(lists.skus), on_value=2.0)  # above every probability, so that the decided SKU leads
    order = tf.math.top_k(tf.where(lists.active, given.sku, -1.0) + first, lists.top).indices
    return {
        "sku": _name(lists.skus, sku),
        "confidence": confidence,
        "accepted": reason == "ok",
        "reason": reason,
        "look": _name(lists.looks, look),
        "look_confidence": look_confidence,
        "family": _name(lists.families, family),
        "family_confidence": family_confidence,
        "family_accepted": ok & (family_confidence >= thresholds.family_accept_above),
        "category": _name(lists.categories, category),
        "category_confidence": _at(_category_scores(given.family, lists), category),
        "unknown_score": unknown(given),
        "top_skus": tf.gather(tf.constant(lists.skus), order),
        "top_scores": tf.gather(given.sku, order, batch_dims=1),
    }


def unknown(given: Scores) -> Any:
    """Returns [B] float32: how much speaks for a product that the model does not know, one minus the best SKU's score."""
    return 1.0 - tf.reduce_max(given.sku, axis=1)


def _reason(
    confidence: Any, look_confidence: Any, ok: Any, ambiguous: Any, size_known: Any, measurable: Any, thresholds: Thresholds
) -> Any:
    """Returns [B] strings; what rules an answer out comes before what weakens it."""
    reason = tf.where(confidence >= thresholds.accept_above, "ok", "doubt")
    unsized = tf.where(size_known, "size_unknown", "size_needed")  # a size that the catalogue cannot be held against does not help
    lacks_size = ambiguous & ~(size_known & measurable) & (look_confidence >= thresholds.accept_above)
    reason = tf.where(lacks_size, unsized, tf.where(ambiguous & ~(size_known & measurable), "doubt", reason))
    return tf.where(ok, reason, "bad_image")


def _joint(sku: Any, lists: Hierarchy) -> Scores:
    look = _by_look(sku, lists, tf.math.unsorted_segment_sum)
    family = tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(look), lists.family_of_look, len(lists.families)))
    return Scores(sku, look, family)


def _category_scores(family: Any, lists: Hierarchy) -> Any:
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(family), lists.category_of_family, len(lists.categories)))


def _agreement(measured: Any, catalog: npt.NDArray[np.float32], lists: Hierarchy) -> Any:
    """Returns [B, S] float32 log likelihoods of one measured side, 0 where it is unknown or the look's SKUs lack it."""
    usable = ~_any_in_look(np.isnan(catalog) & lists.active, lists)[lists.look_of_sku]
    size = np.where(usable & ~np.isnan(catalog), catalog, 1.0).astype(np.float32)
    deviation = SIZE_DEVIATION * size
    log_density = -0.5 * ((measured[:, None] - size) / deviation) ** 2 - np.log(deviation)
    return tf.where(tf.math.is_finite(measured)[:, None] & usable, log_density, 0.0)


def _measurable(lists: Hierarchy) -> npt.NDArray[np.bool_]:
    """Tells of each look whether the catalogue has a height, or a width, of all its active SKUs."""
    lacking = [_any_in_look(np.isnan(side) & lists.active, lists) for side in (lists.height_mm, lists.width_mm)]
    return ~(lacking[0] & lacking[1])


def _ambiguous(lists: Hierarchy) -> npt.NDArray[np.bool_]:
    """Tells of each look whether several active SKUs share it, so that only size tells them apart."""
    return np.bincount(lists.look_of_sku, weights=lists.active, minlength=len(lists.looks)) > 1


def _any_in_look(flags: npt.NDArray[np.bool_], lists: Hierarchy) -> npt.NDArray[np.bool_]:
    return np.bincount(lists.look_of_sku, weights=flags, minlength=len(lists.looks)) > 0


def _by_look(values: Any, lists: Hierarchy, combine: Any) -> Any:
    """Returns [B, L] from [B, S]; by segments, as a matrix of SKUs by looks would not fit with ten thousands of them."""
    return tf.transpose(combine(tf.transpose(values), lists.look_of_sku, len(lists.looks)))


def _gather(values: Any, index: Indices) -> Any:
    return tf.gather(values, index, axis=1)


def _at(values: Any, index: Any) -> Any:
    return tf.gather(values, index, batch_dims=1)


def _name(names: Sequence[str], index: Any) -> Any:
    return tf.gather(tf.constant(names), index)


def _numbered(names: Sequence[str]) -> tuple[Indices, tuple[str, ...]]:
    different = tuple(dict.fromkeys(names))
    number = {name: index for index, name in enumerate(different)}
    return np.array([number[name] for name in names], np.int64), different


def _first(upper: Indices, lower: Indices, count: int) -> Indices:
    """Returns for each of `count` lower groups the upper group of its first SKU."""
    return upper[[int(np.argmax(lower == group)) for group in range(count)]]


def _sizes(sizes_mm: Sequence[float | None]) -> npt.NDArray[np.float32]:
    return np.array([math.nan if size is None else size for size in sizes_mm], np.float32)
