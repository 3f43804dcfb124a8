"""Files of examples as TensorFlow reads them, packed or not."""

from typing import Any

import tensorflow as tf


def of_file(name: Any) -> Any:
    """Returns a data set of a file's records, serialized; a file whose name ends in `.gz` is unpacked.

    Args:
      name: text, or a tensor of it where a graph is made.
    """
    packed = tf.strings.regex_full_match(name, r".*\.gz")
    return tf.data.TFRecordDataset(name, compression_type=tf.where(packed, "GZIP", ""))
