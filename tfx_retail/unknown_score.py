"""How much speaks for a product that the model was not taught, as a graph: three kinds of score, of which the Sibling node chooses one.

How the node that finishes a model uses it:

1. The kind stands in `sibling.json` (`kind`); without a Sibling it is `confidence`, which needs nothing else.
2. For `distance` it takes `class_means(embed, crops)` of the **final** network over crops of the train role: means of one network say
   nothing of another's embeddings. `confidence` and `energy` have no means.
3. It puts `UnknownScore(kind, means)` into what is exported, and the graph calls `score(kind, best, logits, embedding, means)` with the
   score of the best calibrated SKU. Where an image cannot be decoded the graph answers 1, whatever this says: there is no product to know.
4. Thresholds do not carry over from the sibling to the final model (an energy depends on how many products there are), shares do: the
   final model's threshold keeps the same share of its own known crops, `unknowns.KEPT`, as the sibling's keeps of the sibling's.

Source: Hendrycks and Gimpel (arXiv:1610.02136) for confidence; Liu et al., Energy-based out-of-distribution detection (arXiv:2010.03759);
nearest class mean by cosine: Mensink et al. 2013, doi:10.1109/TPAMI.2013.83, on unit vectors.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail.unknowns import Kind

Floats = NDArray[np.float32]
Crop = tuple[bytes, int]  # encoded image, number of its look

CROPS_OF_A_LOOK = 50  # a mean of more would be the same to two digits, and photos of one look can be very many
_AT_ONCE = 64


class UnknownScore(NamedTuple):
    """Which score a model gives, and what it needs for that."""

    kind: Kind = "confidence"
    means: Floats | None = None  # [M, d], for `distance`: unit vectors of the looks that have crops


def score(kind: Kind, best: Any, logits: Any, embedding: Any, means: Any = None) -> Any:
    """Returns [B] float32; the higher, the more speaks for an unknown product.

    Args:
      best: [B] float32, the best SKU's calibrated score; `confidence` is 1 - this, in [0, 1].
      logits: [B, L] float32 of all looks, as the network gives them; `energy` is -log(sum(exp(logits))), on no fixed scale.
      embedding: [B, d] float32, of any length.
      means: [M, d] unit vectors; `distance` is 1 - the highest cosine to one of them, in [0, 2].

    Raises:
      ValueError: `distance` without means.
    """
    if kind == "confidence":
        return 1.0 - best
    if kind == "energy":
        return -tf.reduce_logsumexp(logits, axis=1)
    if means is None or not len(means):
        raise ValueError(
            "unknown score: distance needs the looks' mean embeddings, and there are none; give class_means(...) of train crops"
        )
    return 1.0 - tf.reduce_max(tf.linalg.matmul(tf.math.l2_normalize(embedding, axis=1), means, transpose_b=True), axis=1)


def class_means(embed: Callable[[Any], Any], crops: Iterable[Crop], *, at_most: int = CROPS_OF_A_LOOK) -> Floats:
    """Returns [M, d] float32, the mean unit embedding of each look that has a crop, brought to unit length again, by number of look.

    Args:
      embed: from [B] encoded images to [B, d]; rows of zeros, of images that cannot be decoded, do not count.
      crops: in an order that is alike for all looks, as examples are; the first `at_most` of each look are taken.
    """
    sums: dict[int, Any] = {}
    for images, looks in _batched(_first_of_each(crops, at_most)):
        vectors = np.asarray(embed(tf.constant(images, tf.string)), np.float64)
        lengths = np.linalg.norm(vectors, axis=1)
        for look, vector, length in zip(looks, vectors, lengths, strict=True):
            if length > 0:
                sums[look] = sums.get(look, 0.0) + vector / length
    means = [sums[look] / max(np.linalg.norm(sums[look]), 1e-12) for look in sorted(sums)]
    return np.array(means, np.float32) if means else np.zeros((0, 0), np.float32)


def _first_of_each(crops: Iterable[Crop], at_most: int) -> Iterator[Crop]:
    taken: dict[int, int] = {}
    for image, look in crops:
        if taken.get(look, 0) < at_most:
            taken[look] = taken.get(look, 0) + 1
            yield image, look


def _batched(crops: Iterable[Crop]) -> Iterator[tuple[list[bytes], list[int]]]:
    images: list[bytes] = []
    looks: list[int] = []
    for image, look in crops:
        images.append(image)
        looks.append(look)
        if len(images) == _AT_ONCE:
            yield images, looks
            images, looks = [], []
    if images:
        yield images, looks
