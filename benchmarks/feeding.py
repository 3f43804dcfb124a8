"""How fast the Trainer's input is, without a model: against TensorFlow's own decoding of the same files, on the same cores.

python -m benchmarks.feeding CONFIG --run FOLDER    (FOLDER: the pipeline's, after `tfx-retail run CONFIG --to Transform`)
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import recipes
from benchmarks.bench import machine
from tfx_retail import config_file, features, records, training_data
from tfx_retail.config import Config

ROUNDS = 3  # the best of so many counts: other work on the machine can only slow it down


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args()
    config = config_file.load(options.config)
    given = recipes.made_by(config, options.run)
    files = sorted(str(path) for path in (given.examples / "Split-train").iterdir())
    side = training_data.source_side(config)
    with tempfile.TemporaryDirectory() as scratch:

        def batches() -> training_data.TrainingBatches:
            return training_data.training_batches(files, given.graph, config, given.counted, Path(tempfile.mkdtemp(dir=scratch)))

        kept = batches()
        rows = {
            "TensorFlow: read, parse, decode, resize": _plain(files, side, config),
            "this project: the same, with Transform's graph, labels and a check of each image": _decoded(files, given, config),
            "augmented too, first epoch": lambda: batches().epoch(0),
            "later epochs, from what was decoded": lambda: kept.epoch(1),
        }
        found = {name: _speed(make) for name, make in rows.items()}
    plain = found["TensorFlow: read, parse, decode, resize"]
    print(f"\n{machine()}; images decoded to {side} px\n\n| | images/s | images per CPU second | of TensorFlow's |")
    print("| --- | ---: | ---: | ---: |")
    for name, (wall, cpu) in found.items():
        print(f"| {name} | {wall:,.0f} | {cpu:,.0f} | {wall / plain[0]:.2f}, {cpu / plain[1]:.2f} of CPU |")


def _plain(files: list[str], side: int, config: Config) -> Any:
    """Returns what makes a data set as a user of tf.data would write it, of the same work."""
    spec = {features.IMAGE.name: tf.io.FixedLenFeature([], tf.string), features.SKU.name: tf.io.FixedLenFeature([], tf.string)}

    def decode(serialized: Any) -> tuple[Any, Any]:
        row = tf.io.parse_single_example(serialized, spec)
        pixels = tf.io.decode_jpeg(row[features.IMAGE.name], channels=3, dct_method="INTEGER_ACCURATE")
        resized = tf.image.resize_with_pad(pixels, side, side, antialias=True)
        return tf.cast(tf.round(resized), tf.uint8), row[features.SKU.name]

    def make() -> Any:
        serialized = tf.data.Dataset.from_tensor_slices(files).interleave(records.of_file, cycle_length=4, block_length=16)
        return serialized.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(config.train.batch_size).prefetch(2)

    return make


def _decoded(files: list[str], given: recipes.Given, config: Config) -> Any:
    def make() -> Any:
        rows = training_data.decodable(training_data.taught(files, given.graph, given.counted), training_data.source_side(config))
        return rows.batch(config.train.batch_size).prefetch(2)

    return make


def _speed(make: Any) -> tuple[float, float]:
    """Returns images per second and per second of processor time, of the best round; the first batch is not counted."""
    found = []
    for _ in range(ROUNDS):
        batches = iter(make())
        next(batches)
        begun, used = time.perf_counter(), time.process_time()
        count = sum(int(batch[0].shape[0]) for batch in batches)
        found.append((count / (time.perf_counter() - begun), count / (time.process_time() - used)))
    return max(wall for wall, _ in found), max(cpu for _, cpu in found)


if __name__ == "__main__":
    main()
