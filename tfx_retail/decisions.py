"""From scores to what the signatures say: family, look and SKU within each other, and by one rule whether the answer is accepted."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfx_retail.acceptance import Usual
from tfx_retail.answers import Hierarchy, Scores
from tfx_retail.sizing import Evidence

# A measurement has told a SKU from the others of its look if it is so many times as likely of it as of the next one: with less, only
# the shares would decide that the picture gives to SKUs that look alike. Source: "substantial" in Jeffreys, Theory of Probability, app. B.
EVIDENCE = 10**0.5
ALL_KNOWN = Usual(float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))  # no unknown score is odd
SIZE_REASONS = (b"size_needed", b"size_unknown")
LIKELY = 0.5  # where nothing is ever accepted: a look from here on is sure enough to say that its size is missing


class Thresholds(NamedTuple):
    """From which score on an answer is `accepted`; infinity: none is."""

    accept_above: float  # of the joint score, `Decided.score`
    family_accept_above: float  # of the family's confidence; the family of an accepted SKU is accepted whatever this is
    known: Usual = ALL_KNOWN  # unknown scores of known products


class Decided(NamedTuple):
    """What is said of B images."""

    sku: Any  # [B] int64, as the next two
    look: Any
    family: Any
    confidence: Any  # [B] float32 joint probabilities, as the next two
    look_confidence: Any
    family_confidence: Any
    score: Any  # [B] float32 in [0, 1]: confidence x knownness, 0 where the size speaks against it; the graph of `acceptance`
    reason: Any  # [B] string
    family_accepted: Any  # [B] bool

    @property
    def accepted(self) -> Any:
        return self.reason == "ok"


def decide(given: Scores, ok: Any, measured: Evidence, lists: Hierarchy, thresholds: Thresholds) -> Decided:
    """Returns the best family, the best look within it, the best SKU within that, and whether they are accepted.

    Args:
      ok: [B] bool, whether there was an image.
    """
    family = tf.argmax(given.family, axis=1)
    look = tf.argmax(tf.where(lists.family_of_look == family[:, None], given.look, -1.0), axis=1)
    allowed = (lists.look_of_sku == look[:, None]) & lists.active
    sku = tf.argmax(tf.where(allowed, given.sku, -1.0), axis=1)
    confidence, look_confidence, family_confidence = _at(given.sku, sku), _at(given.look, look), _at(given.family, family)
    size = size_problem(sku, allowed, measured)
    known = knownness(given.unknown, thresholds.known)
    score = tf.where(ok & (size == ""), confidence * known, 0.0)
    return Decided(
        sku=sku,
        look=look,
        family=family,
        confidence=confidence,
        look_confidence=look_confidence,
        family_confidence=family_confidence,
        score=score,
        reason=_reason(confidence, look_confidence, known, ok, size, thresholds.accept_above),
        # an accepted SKU's family is accepted with it: else the two would contradict each other
        family_accepted=ok & ((family_confidence >= thresholds.family_accept_above) | (score >= thresholds.accept_above)),
    )


def decided(given: Scores, ok: Any, measured: Evidence, lists: Hierarchy, thresholds: Thresholds) -> dict[str, Any]:
    """Returns the outputs of `serving_default` by name; arguments as those of `decide`."""
    found = decide(given, ok, measured, lists, thresholds)
    category = tf.gather(lists.category_of_family, found.family)
    first = tf.one_hot(found.sku, len(lists.skus), on_value=2.0)  # above every probability, so that the decided SKU leads
    order = tf.math.top_k(tf.where(lists.active, given.sku, -1.0) + first, lists.top).indices
    return {
        "sku": _name(lists.skus, found.sku),
        "confidence": found.confidence,
        "accepted": found.accepted,
        "reason": found.reason,
        "look": _name(lists.looks, found.look),
        "look_confidence": found.look_confidence,
        "family": _name(lists.families, found.family),
        "family_confidence": found.family_confidence,
        "family_accepted": found.family_accepted,
        "category": _name(lists.categories, category),
        "category_confidence": _at(_category_scores(given.family, lists), category),
        "unknown_score": given.unknown,
        "top_skus": tf.gather(tf.constant(lists.skus), order),
        "top_scores": tf.gather(given.sku, order, batch_dims=1),
    }


def knownness(unknown_score: Any, known: Usual) -> Any:
    """Returns [B] float32 in [0, 1]: `acceptance.knownness` as a graph."""
    width = known.odd - known.highest
    share = (known.odd - unknown_score) / width if width > 0 else tf.cast(unknown_score <= known.highest, tf.float32)
    return tf.where(tf.math.is_nan(share), 0.0, tf.clip_by_value(share, 0.0, 1.0))


def size_problem(sku: Any, allowed: Any, measured: Evidence) -> Any:
    """Returns [B] strings, empty where the size is no reason to refuse.

    `size_unknown`: it fits no SKU of the look. `size_needed`: the look has several and none is given, or it favours none: measured is
    the side in which they agree, or they are too much alike.

    Args:
      allowed: [B, S] bool, the active SKUs of the decided look.
    """
    rivals = allowed & ~tf.one_hot(sku, allowed.shape[1], on_value=True, off_value=False)
    lead = _at(measured.log_likelihood, sku) - tf.reduce_max(tf.where(rivals, measured.log_likelihood, -math.inf), axis=1)
    problem = tf.where(lead >= math.log(EVIDENCE), "", "size_needed")
    return tf.where(tf.reduce_any(allowed & measured.fits, axis=1), problem, "size_unknown")


def _reason(confidence: Any, look_confidence: Any, known: Any, ok: Any, size: Any, threshold: float) -> Any:
    """Returns [B] strings; what rules an answer out comes before what weakens it, and a doubtful look before its sizes."""
    enough = threshold if math.isfinite(threshold) else LIKELY
    reason = tf.where(confidence * known >= threshold, "ok", tf.where(confidence >= threshold, "unknown_product", "doubt"))
    doubtful = tf.where(look_confidence >= enough, "unknown_product", "doubt")
    refused = tf.where(look_confidence * known >= enough, size, doubtful)
    return tf.where(ok, tf.where(size == "", reason, refused), "bad_image")


def _category_scores(family: Any, lists: Hierarchy) -> Any:
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(family), lists.category_of_family, len(lists.categories)))


def _at(values: Any, index: Any) -> Any:
    return tf.gather(values, index, batch_dims=1)


def _name(names: Sequence[str], index: Any) -> Any:
    return tf.gather(tf.constant(names), index)
