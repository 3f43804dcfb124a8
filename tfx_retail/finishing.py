"""A trained network, a catalogue and the calibration role to a finished model on disk, with all that a version holds of itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_retail import (
    answers,
    calibrating,
    catalog,
    doubt,
    golden,
    handover,
    labels,
    onboarding,
    priors,
    serving,
    shown,
    sibling,
    unknown_score,
)
from tfx_retail.answers import Corrections, Hierarchy, Indices
from tfx_retail.catalog import Catalog
from tfx_retail.decisions import Thresholds
from tfx_retail.doubt import Doubt, Settings
from tfx_retail.errors import UserError
from tfx_retail.features import SIGNATURES
from tfx_retail.handover import Network
from tfx_retail.labels import Label
from tfx_retail.serving import Contents
from tfx_retail.trained import Trained
from tfx_retail.trials import Evidence
from tfx_retail.unknown_score import UnknownScore
from tfx_retail.versions import EXTRA

GOLDEN_IMAGES = 16
Floats = NDArray[np.float64]


class Sources(NamedTuple):
    """What a model is finished from."""

    network: Path  # folder of the trained network, or of a served version
    labels: Path
    catalog: Path
    examples: Path  # folder of the examples' splits
    weights: Path | None = None  # CSV for `serving.prior: file`
    sibling: Path | None = None  # folder of what a sibling of the network tells of unknown products


def finish(sources: Sources, settings: Settings, folder: Path, *, untaught: bool = False) -> Doubt:
    """Writes the finished model and returns what it says of its doubt.

    Args:
      untaught: whether SKUs without a photo may be answered where the network was taught their look: their size tells them apart.

    Raises:
      UserError: the catalogue tells apart what the network does not know, or the file of weights does not go with it.
      ValueError: the network's logits are NaN or infinite.
    """
    contents = _contents(sources, settings, untaught=untaught)
    crops = shown.look(contents.network, contents.trained.image_size, sources.examples / "Split-calibration")
    here = {label.sku for label in labels.read(sources.labels) if label.status == "active"}
    crops = crops.rows(np.array([sku in here for sku in crops.sku], bool))
    finished, found = calibrating.calibrated(contents, crops, settings, _of_unknown(sources.sibling))
    served = serving.export(finished, folder)
    doubt.write(folder / EXTRA, found)
    golden.write(folder, served, *shown.images(sources.examples / "Split-validation", GOLDEN_IMAGES))
    return found


def _contents(sources: Sources, settings: Settings, *, untaught: bool) -> Contents:
    network, known = handover.load(sources.network)
    order, products = labels.read(sources.labels), catalog.read(sources.catalog, "csv")
    found = onboarding.match(known, order, products)
    if found.faults:
        raise UserError("\n".join(f"{sources.catalog.name}: {fault}" for fault in found.faults))
    counts = _counts(order, known)
    lists = answers.hierarchy(order, products, (counts > 0) | (untaught & _of_taught_looks(order, products, known, found.column)))
    columns = onboarding.columns(found, lists.looks)
    corrections = _corrections(lists, counts, columns, known, _wanted(sources.weights, settings.prior, order))
    return Contents(
        network=network,
        trained=known,
        lists=lists,
        columns=columns,
        corrections=corrections,
        neutral=answers.uncorrected(lists, _shared(lists, counts)),
        thresholds=dict.fromkeys(SIGNATURES, Thresholds(np.inf, np.inf)),
        labels=sources.labels,
        catalog=sources.catalog,
        unknown=_unknown_score(sources, network, known),
    )


def _unknown_score(sources: Sources, network: Network, known: Trained) -> UnknownScore | None:
    """Returns the kind of score that the sibling has chosen, with what this network needs for it; None without a sibling."""
    if sources.sibling is None:
        return None
    kind = sibling.read(sources.sibling).kind
    if kind != "distance":
        return UnknownScore(kind)
    seen = handover.of_images(network, known.image_size)

    def embed(images: Any) -> Any:
        outputs, ok = seen(images)
        return tf.where(ok[:, None], outputs["embedding"], 0.0)

    place = {look: column for column, look in enumerate(known.looks)}
    of_sku = {product.sku: place[product.look] for product in known.products}
    crops = ((image, of_sku[sku]) for image, sku in shown.labelled(sources.examples / "Split-train") if sku in of_sku)
    return UnknownScore(kind, unknown_score.class_means(embed, crops))


def _of_unknown(folder: Path | None) -> Evidence | None:
    """Returns how sure a sibling is of products that it was not taught; None where that was not measured."""
    found = sibling.accepted(sibling.read_evidence(folder)) if folder else None
    return found if found is not None and len(found.score) else None


def _counts(order: Sequence[Label], known: Trained) -> Floats:
    """Returns [S] how many examples the network was taught of each SKU."""
    taught = known.by_sku
    return np.array([float(taught[label.sku].examples) if label.sku in taught else 0.0 for label in order])


def _of_taught_looks(order: Sequence[Label], products: Catalog, known: Trained, column: dict[str, int]) -> NDArray[np.bool_]:
    """Returns [S] whether the network was taught the look of each SKU."""
    places = {look: place for place, look in enumerate(known.looks)}
    taught = {places[product.look] for product in known.products if product.examples}
    looks = [products.by_sku[label.sku].look if label.sku in products.by_sku else "" for label in order]
    return np.array([column.get(look, -1) in taught for look in looks], bool)


def _corrections(lists: Hierarchy, counts: Floats, columns: Indices, known: Trained, wanted: Floats | None) -> Corrections:
    shared = _shared(lists, counts)
    plain = answers.uncorrected(lists, shared)
    expected = np.zeros(len(counts)) if wanted is None else priors.log_ratios(shared, np.where(lists.active, wanted, 0.0))
    return plain._replace(undone=_undone(known)[columns], expected=expected.astype(np.float32))


def _shared(lists: Hierarchy, counts: Floats) -> Floats:
    """Returns [S] the examples of the SKUs that may win; one without any stands for as many as the others of its look on average."""
    seen = lists.active & (counts > 0)
    looks = len(lists.looks)
    total, members = (np.bincount(lists.look_of_sku, weights=weights, minlength=looks) for weights in (counts * seen, seen))
    mean = np.where(members > 0, total / np.maximum(members, 1), 1.0)
    return np.where(seen, counts, np.where(lists.active, mean[lists.look_of_sku], 0.0))


def _undone(known: Trained) -> NDArray[np.float32]:
    """Returns [C], for each column of the logits, the log of its share of the examples over that of their weights in the loss."""
    place = {look: column for column, look in enumerate(known.looks)}
    of = np.array([place[product.look] for product in known.products])
    examples, weights = (np.array(values, np.float64) for values in zip(*((p.examples, p.weight) for p in known.products), strict=True))
    return priors.undone(of, examples, weights, len(place)).astype(np.float32)


def _wanted(weights: Path | None, prior: str, order: Sequence[Label]) -> Floats | None:
    """Returns [S] how often each SKU is expected, in any unit; None: as in the train split."""
    if prior == "train":
        return None
    here = [label.sku for label in order if label.status == "active"]
    given = priors.read(weights, here) if weights else np.ones(len(here))
    by_sku = dict(zip(here, given.tolist(), strict=True))
    return np.array([by_sku.get(label.sku, 0.0) for label in order])
