"""Shows what a measured size is for: a pack that has a twin of another size, asked about without its size and with it.

python -m tools.size_pair CONFIG      after a run that pushed a version; `make demo` calls it
"""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tfx_retail import catalog, config_file, features, inputs, prediction, runs, versions, wire
from tfx_retail.catalog import Catalog
from tfx_retail.config import Config
from tfx_retail.screen import quiet_errors


class Pack(NamedTuple):
    """One crop of the eval role."""

    sku: str
    image: bytes
    height_mm: float
    width_mm: float


def main() -> None:
    config = config_file.load(Path(sys.argv[1]))
    served = versions.latest(inputs.model_dir(config))
    if served is None:
        raise SystemExit(f"{inputs.model_dir(config)}: no version yet; run the pipeline first")
    products = catalog.read(served.path / versions.EXTRA / "catalog.csv")
    pack = twin(packs(config), products)
    if pack is None:
        print("the eval role has no measured crop of a product that comes in two sizes")
        return
    image = inputs.workspace(config).root / "size_pair.png"
    image.write_bytes(pack.image)
    same = [product.sku for product in products.products if product.look == products.by_sku[pack.sku].look]
    print(f"\n{image} shows {pack.sku}; the eye cannot tell it from {', '.join(sku for sku in same if sku != pack.sku)}")
    with quiet_errors():
        for words, sizes in (("without its size", (None, None)), ("with its size", (pack.height_mm, pack.width_mm))):
            measured = f" ({sizes[0]:.0f} x {sizes[1]:.0f} mm)" if sizes[0] and sizes[1] else ""
            print(f"\nasked {words}{measured}:")
            prediction.main(served.path, (image,), None, *sizes, as_json=False)


def packs(config: Config) -> Iterator[Pack]:
    """Yields the crops of the last run's eval role."""
    found = (run.output("ExampleGen", "examples") for run in reversed(runs.list_runs(inputs.workspace(config))))
    folder = next((folder for folder in found if folder), None)
    for file in sorted((folder / "Split-eval").iterdir()) if folder else ():
        for data in wire.records(file):
            feature = tf.train.Example.FromString(data).features.feature
            sizes = (feature[size.name].float_list.value for size in (features.MEASURED_HEIGHT_MM, features.MEASURED_WIDTH_MM))
            sku, image = (feature[text.name].bytes_list.value[0] for text in (features.SKU, features.IMAGE))
            yield Pack(sku.decode(), image, *(size[0] if size else math.nan for size in sizes))


def twin(crops: Iterator[Pack], products: Catalog) -> Pack | None:
    """Returns the first measured crop of a product that shares its look with another."""
    looks = [product.look for product in products.products]
    for crop in crops:
        product = products.by_sku.get(crop.sku)
        if product and looks.count(product.look) > 1 and math.isfinite(crop.height_mm + crop.width_mm):
            return crop
    return None


if __name__ == "__main__":
    main()
