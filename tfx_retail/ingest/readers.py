"""The reader of each data format."""

import importlib

from tfx_retail.ingest import coco, idx, image_folder, manifest, voc
from tfx_retail.ingest.record import Reader

READERS: dict[str, Reader] = {"image_folder": image_folder, "voc": voc, "coco": coco, "manifest": manifest, "idx": idx}


def reader(name: str) -> Reader:
    """Returns the reader of a format; the configuration has checked its name.

    Raises:
      KeyError: there is no such format.
    """
    if name == "tfrecord":  # the one reader that needs TensorFlow, whose import takes seconds: `check` must not pay for it
        module: Reader = importlib.import_module("tfx_retail.ingest.tfrecord")
        return module
    return READERS[name]
