"""What the size likelihood does with simulated measurements and with the drawn sample's: the tables of docs/decisions/0009.

python -m benchmarks.sizes [FOLDER]      FOLDER: where the sample is, or is drawn; without it simulations only
"""

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import tensorflow as tf
from defusedxml import ElementTree
from numpy.typing import NDArray

from tfx_retail import answers, catalog, decisions, labels, sample, size_model
from tfx_retail.answers import Hierarchy
from tfx_retail.decisions import Thresholds
from tfx_retail.product import Product
from tfx_retail.size_model import SizeModel
from tfx_retail.sizing import Evidence

Floats = NDArray[np.float64]
TRUE = SizeModel(scale_deviation=0.03, height_jitter=0.01, width_jitter=0.01, turned_share=0.02, outlier_share=0.03)
CROPS = 20_000
SURE = 0.98  # confidence from which an answer is accepted here
NEVER = 1e-9


class Answered(NamedTuple):
    """What is said of N crops."""

    right: NDArray[np.bool_]
    confidence: Floats
    reason: NDArray[np.object_]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        return np.asarray(self.reason == b"ok")


def main() -> None:
    told_apart()
    new_sizes()
    ablation()
    fits()
    cost()
    if len(sys.argv) > 1:
        of_sample(Path(sys.argv[1]))


def told_apart() -> None:
    """Prints how often two sizes of one look are told apart, by their ratio, with 3 % of noise in all."""
    rows = []
    models = {"shared": (0.028, 0.0107), "independent": (NEVER, 0.03)}  # 0.03 on each side either way
    for ratio in (1.05, 1.12, 1.2, 1.25, 1.3):
        cells = []
        for scale, jitter in models.values():
            noise = SizeModel(scale_deviation=scale, height_jitter=jitter, width_jitter=jitter)
            for sides in (1, 2):
                found = ask(_pair(ratio), *_measured(200.0, 100.0, noise, clean=True, sides=sides), noise, "small")
                cells.append(f"{found.right.mean():.4f} / {found.confidence.mean():.4f} / {found.accepted.mean():.3f}")
        rows.append([f"{ratio}", *cells])
    head = ["ratio", *(f"{name}, {sides}" for name in models for sides in ("height alone", "both sides"))]
    show(f"right / mean confidence / accepted at {SURE}", head, rows)


def new_sizes() -> None:
    """Prints how often a size that the catalogue lacks is said to be unknown, and how often a right one is."""
    rows = []
    alone = _lists(("small", (200.0, 100.0)))
    for ratio in (1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3):
        cells = []
        for model in (TRUE, SizeModel()):
            for sides in (1, 2):
                found = ask(alone, *_measured(200.0 * ratio, 100.0 * ratio, TRUE, clean=True, sides=sides), model, "small")
                cells.append(f"{np.mean(found.reason == b'size_unknown'):.4f}")
        rows.append([f"{ratio}", *cells])
    head = ["ratio to the one known size", "fitted, height alone", "fitted, both", "defaults, height alone", "defaults, both"]
    show("size_unknown", head, rows)


def ablation() -> None:
    """Prints what each part of the model is worth on crops of a pair of ratio 1.2, some turned, some outliers, and on a third size."""
    alone = (TRUE.height_variance**0.5, TRUE.width_variance**0.5)
    models = {
        "all of it": TRUE,
        "sides independent": _with(TRUE, scale_deviation=NEVER, height_jitter=alone[0], width_jitter=alone[1]),
        "no outliers": _with(TRUE, outlier_share=NEVER),
        "none turned": _with(TRUE, turned_share=NEVER),
        "no refusal": _with(TRUE, refused_share=1e-300),
        "no outliers, no refusal": _with(TRUE, outlier_share=NEVER, refused_share=1e-300),
        "defaults": SizeModel(),
        "8 % each, as before": SizeModel(
            scale_deviation=NEVER, height_jitter=0.08, width_jitter=0.08, turned_share=NEVER, outlier_share=NEVER, refused_share=1e-300
        ),
    }
    own = _measured(200.0, 100.0, TRUE)
    clean = _measured(200.0, 100.0, TRUE, clean=True)
    third = _measured(200.0 * 0.85, 100.0 * 0.85, TRUE, clean=True)
    rows = []
    for name, model in models.items():
        found, other = ask(_pair(1.2), *own, model, "small"), ask(_pair(1.2), *third, model, "neither")
        wrong = found.accepted & ~found.right
        confident = np.abs(found.confidence.mean() - found.right.mean())
        refused = np.mean(ask(_pair(1.2), *clean, model, "small").reason == b"size_unknown")
        cells = (found.right.mean(), confident, found.accepted.mean(), wrong.mean(), refused, other.accepted.mean())
        rows.append([name, *(f"{cell:.4f}" for cell in cells)])
    show(
        "a pair of ratio 1.2, both sides, 2 % turned, 3 % outliers",
        ["", "right", "mean confidence is off by", "accepted", "wrong and accepted", "good but size_unknown", "a third size accepted"],
        rows,
    )


def fits() -> None:
    """Prints what is fitted from few and many photos of ten crops: mean over 40 draws, and root mean square error."""
    rows = []
    for photos in (1, 5, 20, 100, 500):
        found = np.array([_fitted(photos, seed) for seed in range(40 if photos < 500 else 10)])
        off = np.sqrt(np.mean((found - [0.02, 0.03, 0.01, 0.02, 0.03]) ** 2, axis=0))
        rows.append([f"{photos}", *(f"{mean:.4f} ± {error:.4f}" for mean, error in zip(found.mean(axis=0), off, strict=True))])
    names = ("height bias (0.02)", "scale deviation (0.03)", "height jitter (0.01)", "turned share (0.02)", "outlier share (0.03)")
    show("fitted from n photos of ten crops, mean ± error", ["photos", *names], rows)


def _fitted(photos: int, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    true = _with(TRUE, height_bias=0.02)
    height, width = rng.uniform(120.0, 250.0, photos * 10), rng.uniform(50.0, 110.0, photos * 10)
    photo = np.repeat(np.arange(photos), 10)
    measured = measure(height, width, true, rng, photo=photo)
    found = size_model.fit(*measured, height, width, photo=[str(number) for number in photo])
    return [found.height_bias, found.scale_deviation, found.height_jitter, found.turned_share, found.outlier_share]


def cost() -> None:
    """Prints what a batch of 64 costs with many SKUs, in ms of CPU."""
    rng = np.random.default_rng(1)
    for skus in (1_000, 30_000):
        logits = tf.constant(rng.normal(size=(64, skus)).astype(np.float32))
        sides = tf.constant(rng.uniform(50, 300, 64).astype(np.float32))
        unsized, sized = (_ms(function, logits, sides) for function in _graphs(_of_many(skus, rng)))
        print(f"\n{skus:,} SKUs, 64 crops: scores and answers {unsized:.0f} ms of CPU, with sizes {sized:.0f} ms")


def _graphs(lists: Hierarchy) -> tuple[object, object]:
    """Returns the answers from logits [B, S] and sides [B], without and with the sizes."""
    nothing = Evidence(tf.zeros(()), tf.ones((), tf.bool), tf.ones((), tf.bool))

    def answer(scores: answers.Scores, measured: Evidence, sides: tf.Tensor) -> object:
        ok = tf.ones_like(sides, tf.bool)
        return decisions.decided(scores, ok, measured, lists, Thresholds(0.5, 0.5))

    def unsized(logits: tf.Tensor, sides: tf.Tensor) -> object:
        before = answers.joint(tf.nn.softmax(logits), lists)
        return answer(before, Evidence(*(tf.broadcast_to(part, tf.shape(logits)) for part in nothing)), sides)

    def sized(logits: tf.Tensor, sides: tf.Tensor) -> object:
        measured = answers.evidence(sides, sides, lists, TRUE)
        before = answers.joint(tf.nn.softmax(logits), lists)
        return answer(answers.sized(before, measured, lists), measured, sides)

    return tf.function(unsized), tf.function(sized)


def _ms(function: object, *inputs: object) -> float:
    assert callable(function)
    times = []
    for _ in range(10):  # the first traces
        begun = time.process_time()
        function(*inputs)
        times.append(time.process_time() - begun)
    return 1000 * min(times)


def of_sample(folder: Path) -> None:
    """Prints what is fitted to half of the sample's scenes, and what is said of the other half's crops."""
    if not (folder / "catalog.csv").exists():
        sample.make(folder, photos=160, skus=14, seed=1)
    products = catalog.read(folder / "catalog.csv")
    rows = [row for row in _rows(folder) if row[0] in products.by_sku]
    order = [labels.Label(index, sku) for index, sku in enumerate(products.by_sku)]
    lists = answers.hierarchy(order, products, np.ones(len(order), bool))
    own = np.array([lists.skus.index(row[0]) for row in rows])
    seen = np.array([row[3:] for row in rows])
    is_train = np.array([int(row[1].split("_")[1]) % 2 == 0 for row in rows])
    catalog_mm = np.stack([lists.height_mm, lists.width_mm], axis=1)[own]
    photo = [row[2] for row, kept in zip(rows, is_train, strict=True) if kept]
    model = size_model.fit(*seen[is_train].T, *catalog_mm[is_train].T, photo=photo)
    print(f"\nThe sample: {model}")
    several = np.bincount(lists.look_of_sku)[lists.look_of_sku[own]] > 1
    for name, kept in (("pairs", ~is_train & several), ("others", ~is_train & ~several)):
        height, width = seen[kept].T
        nothing = np.full(len(height), np.nan)
        for sides, given in (("both", (height, width)), ("height", (height, nothing)), ("width", (nothing, width))):
            parts = [
                ask(lists, given[0][own[kept] == sku], given[1][own[kept] == sku], model, lists.skus[sku]) for sku in np.unique(own[kept])
            ]
            right, reason = (np.concatenate([getattr(part, field) for part in parts]) for field in ("right", "reason"))
            accepted, unknown = reason == b"ok", reason == b"size_unknown"
            print(
                f"{name}, {sides}: {len(right)} crops, right {right.mean():.4f}, accepted {accepted.mean():.4f}, wrong and accepted "
                f"{np.mean(accepted & ~right):.4f}, size_unknown {unknown.mean():.4f}"
            )


def _rows(folder: Path) -> Iterator[tuple[str, str, str, float, float]]:
    """Yields SKU, scene, photo, measured height and width of the boxes that are whole, in photos whose scale is known."""
    with (folder / "photos.csv").open(encoding="utf-8", newline="") as file:
        facts = {Path(row["photo"]).stem: row for row in csv.DictReader(file)}
    for path in sorted(folder.rglob("*.xml")):
        row = facts[path.stem]
        for thing in ElementTree.parse(path).iter("object"):
            if row["mm_per_px"] and thing.findtext("truncated") == "0":
                left, top, right, bottom = (int(str(thing.findtext(f"bndbox/{key}"))) for key in ("xmin", "ymin", "xmax", "ymax"))
                scale = float(row["mm_per_px"])
                yield str(thing.findtext("name")), row["group"], path.stem, (bottom - top) * scale, (right - left) * scale


def measure(
    height: Floats, width: Floats, true: SizeModel, rng: np.random.Generator, *, photo: NDArray[np.int64] | None = None
) -> tuple[Floats, Floats]:
    """Returns measured heights and widths, as `true` makes them; outliers within a factor of four."""
    count = len(height)
    scale = rng.normal(0.0, true.scale_deviation, count)[np.arange(count) if photo is None else photo]
    turned, outlier = rng.random(count) < true.turned_share, rng.random(count) < true.outlier_share
    errors = [
        np.where(outlier, rng.uniform(-np.log(4), np.log(4), count), bias + scale + rng.normal(0.0, jitter, count))
        for bias, jitter in ((true.height_bias, true.height_jitter), (true.width_bias, true.width_jitter))
    ]
    return np.where(turned, width, height) * np.exp(errors[0]), np.where(turned, height, width) * np.exp(errors[1])


def _measured(height: float, width: float, true: SizeModel, *, clean: bool = False, sides: int = 2) -> tuple[Floats, Floats]:
    noise = _with(true, turned_share=NEVER, outlier_share=NEVER) if clean else true
    heights, widths = measure(np.full(CROPS, height), np.full(CROPS, width), noise, np.random.default_rng(1))
    return heights, widths if sides == 2 else np.full(CROPS, np.nan)


def ask(lists: Hierarchy, height_mm: Floats, width_mm: Floats, model: SizeModel, sku: str) -> Answered:
    """Returns the answers to crops whose picture tells the look of `sku`, of the first SKU where there is none of the name."""
    look = lists.look_of_sku[lists.skus.index(sku) if sku in lists.skus else 0]
    chance = np.random.default_rng(2).normal(0.0, 1e-3, (len(height_mm), len(lists.skus)))  # or the first of equals would always win
    logits = (np.where(lists.look_of_sku == look, 0.0, -50.0) + chance).astype(np.float32)
    ok = tf.ones(len(height_mm), tf.bool)
    measured = answers.evidence(np.float32(height_mm), np.float32(width_mm), lists, model)
    found = decisions.decided(
        answers.sized(answers.joint(tf.nn.softmax(logits), lists), measured, lists), ok, measured, lists, Thresholds(SURE, SURE)
    )
    return Answered(found["sku"].numpy() == sku.encode(), found["confidence"].numpy().astype(np.float64), found["reason"].numpy())


def _pair(ratio: float) -> Hierarchy:
    return _lists(("small", (200.0, 100.0)), ("large", (200.0 * ratio, 100.0 * ratio)))


def _lists(*skus: tuple[str, tuple[float, float]]) -> Hierarchy:
    products = [
        Product(sku=sku, name=sku, look="look", family="family", category="category", height_mm=height, width_mm=width)
        for sku, (height, width) in skus
    ]
    order = [labels.Label(index, product.sku) for index, product in enumerate(products)]
    return answers.hierarchy(order, catalog.of(tuple(products)), np.ones(len(products), bool))


def _of_many(skus: int, rng: np.random.Generator) -> Hierarchy:
    """Returns looks of two SKUs, families of ten."""
    index = np.arange(skus)
    names = tuple(str(number) for number in index)
    looks, families = skus // 2, skus // 10
    sides = rng.uniform(50, 300, (2, skus)).astype(np.float32)
    family_of_look = np.arange(looks) // 5
    return Hierarchy(
        names,
        names[:looks],
        names[:families],
        ("all",),
        index // 2,
        family_of_look,
        np.zeros(families, np.int64),
        np.ones(skus, bool),
        *sides,
    )


def _with(model: SizeModel, **changes: float) -> SizeModel:
    return msgspec.structs.replace(model, **changes)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table in Markdown."""
    print(f"\n**{title}**\n")
    for line in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
