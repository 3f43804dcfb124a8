"""Losses on embeddings beside the classifier's: crops of one look near each other, those of different looks apart.

Both work on unit vectors, which is what `embed` returns, without a projection between: what is trained is what is served. Which crops are
of one look is said by the overlap of their targets, so that mixed images take part as far as they show the same: one that is seven tenths
A is drawn towards A's with seven tenths of the strength of its own. Each replica contrasts the crops of its own share of the batch.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_SAME, _DIFFERENT = 0.5, 0.05  # overlaps from which on, and up to which, a pair is one of a look, or of two, for triplets

Loss = Callable[[Any, Any, float], Any]


def overlaps(targets: Any, smoothing: float) -> Any:
    """Returns [B, B] float32: how much each two crops show the same look, 1 for two that show one look only; 0 of a crop with itself.

    Args:
      targets: [B, L] float32 probabilities, of which `smoothing` is spread over all looks: every pair would share that.
    """
    shown = tf.maximum(targets - smoothing / tf.cast(tf.shape(targets)[1], tf.float32), 0.0) / (1.0 - smoothing)
    return tf.linalg.set_diag(tf.linalg.matmul(shown, shown, transpose_b=True), tf.zeros(tf.shape(shown)[0]))


def supcon(embedding: Any, overlap: Any, temperature: float) -> Any:
    """Returns [B] losses: how surely a crop picks those of its look among all others of the batch; 0 for a crop that is alone.

    Source: Khosla et al., Supervised contrastive learning (arXiv:2004.11362), equation 2, positives weighed by their overlap.

    Args:
      embedding: [B, d] float32, of any length.
    """
    alike = _cosines(embedding) / temperature
    others = tf.linalg.set_diag(alike, tf.fill(tf.shape(alike)[:1], alike.dtype.min))
    log_share = alike - tf.reduce_logsumexp(others, axis=1, keepdims=True)
    total = tf.reduce_sum(overlap, axis=1)
    return tf.math.divide_no_nan(-tf.reduce_sum(overlap * log_share, axis=1), total)


def triplet(embedding: Any, overlap: Any, temperature: float) -> Any:
    """Returns [B] losses: by how much the least like crop of the same look is less like than the most like one of another look.

    0 for a crop that has none of either. The margin is soft, on the scale of the temperature.

    Source: Hermans, Beyer and Leibe, In defense of the triplet loss (arXiv:1703.07737), batch hard with soft margin.
    """
    alike = _cosines(embedding)
    itself = tf.eye(tf.shape(alike)[0], dtype=tf.bool)
    same, different = overlap >= _SAME, (overlap <= _DIFFERENT) & ~itself
    worst = tf.reduce_min(tf.where(same, alike, 2.0), axis=1)
    nearest = tf.reduce_max(tf.where(different, alike, -2.0), axis=1)
    both = tf.reduce_any(same, axis=1) & tf.reduce_any(different, axis=1)
    return tf.where(both, tf.math.softplus((nearest - worst) / temperature), 0.0)


LOSSES: dict[str, Loss] = {"supcon": supcon, "triplet": triplet}


def _cosines(embedding: Any) -> Any:
    vectors = tf.math.l2_normalize(tf.cast(embedding, tf.float32), axis=1)
    return tf.linalg.matmul(vectors, vectors, transpose_b=True)
