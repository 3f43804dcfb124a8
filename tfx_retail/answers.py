"""From the network's logits to joint scores of SKUs, looks and families, as a graph; `decisions` makes answers of them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_retail import sizing
from tfx_retail.catalog import Catalog
from tfx_retail.labels import Label
from tfx_retail.size_model import SizeModel
from tfx_retail.sizing import Evidence, Packs

TOP = 5

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
    def may_win(self) -> npt.NDArray[np.bool_]:
        """[L], looks of which a SKU may win."""
        return _any_in_look(self.active, self)

    @property
    def top(self) -> int:
        """The length k of `top_skus`: of the SKUs that may win, five or all."""
        return min(TOP, int(self.active.sum()))


class Corrections(NamedTuple):
    """What stands between the network's logits and probabilities that can be believed."""

    family_temperature: float
    look_temperature: float  # within a family
    undone: npt.NDArray[np.float32]  # [L], what makes up for class balancing: log of a look's share of the examples over that in the loss
    share: npt.NDArray[np.float32]  # [S], of a SKU among the examples of its look; 0 for SKUs that may not win
    expected: npt.NDArray[np.float32]  # [S], log of how often a SKU is expected over its share of the examples (`serving.prior`)


class Scores(NamedTuple):
    """Joint probabilities of B images."""

    sku: Any  # [B, S] float32, rows add up to 1; 0 for SKUs that may not win
    look: Any  # [B, L] float32
    family: Any  # [B, F] float32
    unknown: Any  # [B] float32: how much speaks for a product that the model does not know


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


def uncorrected(lists: Hierarchy, examples: npt.NDArray[Any]) -> Corrections:
    """Returns corrections that leave the network's probabilities of looks as they are.

    Args:
      examples: [S], how often training showed each SKU.
    """
    counted = np.where(lists.active, np.maximum(examples, 1e-9), 0.0)  # a SKU of a trained look that has no photo of its own yet may win
    total = np.bincount(lists.look_of_sku, weights=counted, minlength=len(lists.looks))[lists.look_of_sku]
    share = np.divide(counted, total, out=np.zeros(len(counted)), where=total > 0)
    return Corrections(1.0, 1.0, np.zeros(len(lists.looks), np.float32), share.astype(np.float32), np.zeros(len(counted), np.float32))


def scores(logits: Any, ok: Any, lists: Hierarchy, corrections: Corrections) -> Scores:
    """Returns joint scores without sizes.

    Args:
      logits: [B, L] float32, of looks; a softmax over all of them would be the network's own P(look).
      ok: [B] bool; a row without an image scores every SKU alike.
    """
    shown = tf.where(lists.may_win, tf.where(ok[:, None], logits, 0.0) + corrections.undone, -math.inf)
    look = _looks(shown, lists, corrections)
    sku = _gather(look, lists.look_of_sku) * (corrections.share * np.exp(corrections.expected - corrections.expected.max()))
    alike = (lists.active / lists.active.sum()).astype(np.float32)
    return joint(tf.where(ok[:, None], sku / tf.reduce_sum(sku, axis=1, keepdims=True), alike), lists)


def _looks(logits: Any, lists: Hierarchy, corrections: Corrections) -> Any:
    """Returns [B, L] joint probabilities: those of families, and of looks within them, each with its own temperature."""
    highest, total = _within_families(logits, lists)
    family = tf.nn.softmax((highest + tf.math.log(total)) / corrections.family_temperature)
    cooled = logits / corrections.look_temperature
    highest, total = _within_families(cooled, lists)
    return tf.exp(cooled - _gather(highest, lists.family_of_look)) * _gather(tf.math.divide_no_nan(family, total), lists.family_of_look)


def _within_families(logits: Any, lists: Hierarchy) -> tuple[Any, Any]:
    """Returns [B, F] the highest logit of each family, and the sum of exp(logit - highest); 0 and 0 where no look may win."""
    by_look = tf.transpose(logits)
    highest = tf.math.unsorted_segment_max(by_look, lists.family_of_look, len(lists.families))
    highest = tf.where(tf.math.is_finite(highest), highest, 0.0)
    shifted = tf.exp(by_look - tf.gather(highest, lists.family_of_look))
    return tf.transpose(highest), tf.transpose(tf.math.unsorted_segment_sum(shifted, lists.family_of_look, len(lists.families)))


def joint(sku: Any, lists: Hierarchy) -> Scores:
    """Returns the scores of looks and families that belong to those of SKUs, [B, S]; unknown is what the best look leaves."""
    look = _by_look(sku, lists, tf.math.unsorted_segment_sum)
    family = tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(look), lists.family_of_look, len(lists.families)))
    return Scores(sku, look, family, 1.0 - tf.reduce_max(look, axis=1))


def evidence(height_mm: Any, width_mm: Any, lists: Hierarchy, model: SizeModel) -> Evidence:
    """Returns what measured sizes say of every SKU.

    Args:
      height_mm: [B] float32, NaN where unknown; the same for the width. A side counts only where the catalogue has it of the whole look.
    """
    return sizing.compare(
        height_mm, width_mm, Packs(_of_whole_looks(lists.height_mm, lists), _of_whole_looks(lists.width_mm, lists)), model
    )


def sized(before: Scores, measured: Evidence, lists: Hierarchy) -> Scores:
    """Returns the scores with each look's share given to its SKUs anew: as before, times the likelihood of the measured sizes.

    Looks keep what they have, and what speaks for an unknown product is as before.
    """
    likelihood = measured.log_likelihood
    best = _gather(_by_look(tf.where(lists.active, likelihood, -math.inf), lists, tf.math.unsorted_segment_max), lists.look_of_sku)
    weighed = before.sku * tf.exp(tf.where(lists.active, likelihood - best, -math.inf))
    total = _gather(_by_look(weighed, lists, tf.math.unsorted_segment_sum), lists.look_of_sku)
    share = tf.math.divide_no_nan(weighed, total)
    compared = (total > 0) & tf.reduce_any(measured.used, axis=1, keepdims=True)  # else the scores stay what they were, to the last bit
    after = joint(tf.where(compared, share * _gather(before.look, lists.look_of_sku), before.sku), lists)
    return after._replace(unknown=before.unknown)


def _of_whole_looks(side_mm: npt.NDArray[np.float32], lists: Hierarchy) -> npt.NDArray[np.float32]:
    """Returns sizes [S] with NaN for a look of which an active SKU lacks the side: it could not be held against the others."""
    lacking = _any_in_look(~(side_mm > 0) & lists.active, lists)[lists.look_of_sku]
    return np.where(lacking, np.float32(np.nan), side_mm)


def _any_in_look(flags: npt.NDArray[np.bool_], lists: Hierarchy) -> npt.NDArray[np.bool_]:
    return np.bincount(lists.look_of_sku, weights=flags, minlength=len(lists.looks)) > 0


def _by_look(values: Any, lists: Hierarchy, combine: Any) -> Any:
    """Returns [B, L] from [B, S]; by segments, as a matrix of SKUs by looks would not fit with ten thousands of them."""
    return tf.transpose(combine(tf.transpose(values), lists.look_of_sku, len(lists.looks)))


def _gather(values: Any, index: Indices) -> Any:
    return tf.gather(values, index, axis=1)


def _numbered(names: Sequence[str]) -> tuple[Indices, tuple[str, ...]]:
    different = tuple(dict.fromkeys(names))
    number = {name: index for index, name in enumerate(different)}
    return np.array([number[name] for name in names], np.int64), different


def _first(upper: Indices, lower: Indices, count: int) -> Indices:
    """Returns for each of `count` lower groups the upper group of its first SKU."""
    return upper[[int(np.argmax(lower == group)) for group in range(count)]]


def _sizes(sizes_mm: Sequence[float | None]) -> npt.NDArray[np.float32]:
    return np.array([math.nan if size is None else size for size in sizes_mm], np.float32)
