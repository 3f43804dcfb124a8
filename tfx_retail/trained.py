"""What the Trainer hands on beside its network, `trained.json`: what the network was taught, and all that serving needs to know of it.

A pushed version keeps it, so that its weights can serve a new catalogue without training.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from tfx_retail.size_model import SizeModel

_FILE = "trained.json"


class Taught(Struct, frozen=True, kw_only=True):
    """One SKU of the label order that the network was trained in."""

    sku: str
    look: str
    family: str
    examples: int  # in the train split
    weight: float = 1.0  # of each of them in the loss


class Trained(Struct, frozen=True, kw_only=True):
    """A network and what it was taught. The columns of its logits are `looks`."""

    image_size: int
    crop_context: float
    parameters: int
    embedder_id: str
    products: tuple[Taught, ...]  # in label order
    size_model: SizeModel = SizeModel()

    @property
    def looks(self) -> tuple[str, ...]:
        """The looks in the order of the logits, as `answers.hierarchy` numbers them."""
        return tuple(dict.fromkeys(product.look for product in self.products))

    @property
    def by_sku(self) -> dict[str, Taught]:
        return {product.sku: product for product in self.products}


def read(folder: Path) -> Trained:
    """Returns `trained.json` of a folder."""
    return msgspec.json.decode((folder / _FILE).read_bytes(), type=Trained)


def is_in(folder: Path) -> bool:
    """Tells whether a folder has a `trained.json`."""
    return (folder / _FILE).is_file()


def write(folder: Path, trained: Trained) -> None:
    """Writes `trained.json`."""
    (folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(trained), indent=1) + b"\n")
