"""Some columns of a file of examples, a few rows at a time: images and scores beside them are in memory only for so long."""

from collections.abc import Iterator

import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from tfx_retail import records

ROWS = 64


def read(file: str, schema: schema_pb2.Schema) -> Iterator[pa.RecordBatch]:
    """Yields the schema's features of a TFRecord file, `ROWS` examples at a time; columns are lists, null where an example has none."""
    decoder = ExamplesToRecordBatchDecoder(schema.SerializeToString())
    for serialized in records.of_file(file).batch(ROWS).as_numpy_iterator():
        yield decoder.DecodeBatch(serialized.tolist())


def files(pattern: str) -> list[str]:
    """Returns the files of a pattern in the order of their names."""
    return sorted(tf.io.gfile.glob(pattern))
