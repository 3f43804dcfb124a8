"""Pack shots: the catalogue's reference images as photos to learn from, and for nothing else.

A pack shot shows a product alone, well lit, upright: it helps where a SKU has few photos or none, and says nothing of how shelves are
read. So it is always of the train role, is a scene of its own, and no bound or test counts it.
"""

from collections.abc import Iterator

from tfx_retail.catalog import Catalog
from tfx_retail.config import DataConfig
from tfx_retail.ingest.paths import locate, read_bytes
from tfx_retail.ingest.record import Annotation, Fault, Item, Photo, Rejection

_PREFIX = "packshot:"  # of photo ids: the same file may be a shelf photo too, which is found as leakage


def find(products: Catalog, settings: DataConfig) -> Iterator[Item | Rejection]:
    """Yields one item for each reference image of the catalogue; nothing where the configuration does not want them.

    An image that several SKUs of a look name is one photo, of the first of them: the eye cannot tell them apart, and a size will.
    """
    seen: set[tuple[str, str]] = set()
    for product in products.products if settings.packshots == "train" else ():
        for image in product.reference_images:
            try:
                path = locate(folder(settings), image)
            except Fault as fault:
                cure = "correct reference_images in the catalogue, or data.packshot_path"
                yield Rejection(f"catalogue: {product.sku}: {image}", f"{fault}, looked for in {folder(settings)}; {cure}")
                continue
            if (product.look, path) not in seen:
                seen.add((product.look, path))
                yield Item(path=path, split="train", packshot_of=product.sku)


def read(item: Item, settings: DataConfig) -> Iterator[Photo | Rejection]:
    """Yields the photo, its SKU as label on the whole of it."""
    try:
        image = read_bytes(folder(settings), item.path)
    except Fault as fault:
        yield Rejection(item.path, str(fault))
        return
    annotation = Annotation(item.packshot_of)
    yield Photo(
        photo_id=f"{_PREFIX}{item.packshot_of}:{item.path}",
        image=image,
        annotations=(annotation,),
        source_file=item.path,
        source="packshot",
        split="train",
        of_catalog=True,
    )


def folder(settings: DataConfig) -> str:
    """Returns the folder that the catalogue's paths are relative to."""
    return settings.packshot_path or settings.path
