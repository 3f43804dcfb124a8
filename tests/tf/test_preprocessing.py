"""Pixels and labels, as training and serving both get them."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from PIL import Image

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import features, preprocessing, training_data

GREY = 128 / 255


def encoded(pixels: npt.NDArray[np.uint8], form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return preprocessing.PNG_MAGIC + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


RED = np.full((4, 4, 3), (255, 0, 0), np.uint8)
BAD = {
    "empty": b"",
    "text": b"not an image",
    "gif": encoded(RED, "GIF"),
    "bmp": encoded(RED, "BMP"),
    "webp": encoded(RED, "WEBP"),
    "cut off": encoded(np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8), "JPEG")[:1200],
    "magic only": preprocessing.PNG_MAGIC,
    "no pixels": png_header(0, 4),
    "bomb": png_header(30_000, 30_000),
}


def decoded(image: bytes) -> tuple[Any, Any]:
    pixels, ok = preprocessing.decode(tf.constant([image]), 8)
    return pixels[0], ok[0]


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_sound_jpeg_or_png_is_grey_and_not_ok(name: str) -> None:
    pixels, ok = decoded(BAD[name])
    assert not bool(ok)
    assert np.unique(pixels.numpy()).tolist() == [np.float32(GREY)]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_sound_image_keeps_its_colour(form: str) -> None:
    pixels, ok = decoded(encoded(RED, form))
    assert bool(ok)
    np.testing.assert_allclose(pixels[4, 4], [1.0, 0.0, 0.0], atol=2 / 255)


def test_a_wide_image_is_centred_between_grey_bars() -> None:
    pixels, _ = decoded(encoded(np.full((2, 4, 3), 255, np.uint8)))
    expected = [np.float32(GREY)] * 2 + [1.0] * 4 + [np.float32(GREY)] * 2
    assert pixels[:, 3, 0].numpy().tolist() == expected


def test_a_line_of_one_pixel_still_shows() -> None:
    pixels, ok = decoded(encoded(np.zeros((1, 100, 3), np.uint8)))
    assert bool(ok)
    assert (pixels.numpy() == 0).all(axis=2).sum() == 8


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_other_kinds_of_pixels_become_rgb(mode: str) -> None:
    file = io.BytesIO()
    grey = Image.new("L", (8, 8), 200)
    image = Image.fromarray(np.full((8, 8), 200 * 257, np.uint16)) if mode == "I;16" else grey.convert(mode)
    image.save(file, "JPEG" if mode == "CMYK" else "PNG")
    pixels, ok = decoded(file.getvalue())
    assert bool(ok)
    np.testing.assert_allclose(pixels, 200 / 255, atol=2 / 255)


def test_one_bad_image_leaves_the_others_of_its_batch() -> None:
    pixels, ok = preprocessing.decode(tf.constant([BAD["text"], encoded(RED), BAD["bomb"]]), 4)
    assert ok.numpy().tolist() == [False, True, False]
    assert pixels[1, 0, 0].numpy().tolist() == [1.0, 0.0, 0.0]


def test_a_batch_of_none_has_the_right_shape() -> None:
    pixels, ok = preprocessing.decode(tf.constant([], tf.string), 4)
    assert pixels.shape == (0, 4, 4, 3)
    assert ok.shape == (0,)


def test_sizes_that_cannot_be_measured_are_unknown() -> None:
    found = preprocessing.known_mm(tf.constant([12.5, 0.0, -1.0, float("nan"), float("inf")])).numpy()
    assert found[0] == 12.5
    assert np.isnan(found[1:]).all()


def test_transform_looks_labels_up_and_passes_images_through(packs: RetailSet) -> None:
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    raw = {
        "image_bytes": tf.constant([b"a", b"b", b"c"]),
        "sku": tf.constant(["still", "nobody's", "cola"]),
        "measured_height_mm": tf.sparse.from_dense([[290.0], [0.0], [-3.0]]),
    }
    found = graph.transform_features_layer()(raw)
    assert found["label"].numpy().tolist() == [4, -1, 0]
    assert found["image_bytes"].numpy().tolist() == [b"a", b"b", b"c"]
    assert found["measured_height_mm"].numpy()[0] == 290.0
    assert np.isnan(found["measured_height_mm"].numpy()[1:]).all()
    assert np.isnan(found["measured_width_mm"].numpy()).all()  # no example of the set has one


def test_transform_counts_the_examples_of_each_sku(packs: RetailSet) -> None:
    graph = tft.TFTransformOutput(str(packs.folder / "transform"))
    assert training_data.examples(graph, ["cola", "gone", "lime", "water", "still", "milk"]).tolist() == [12, 0, 12, 12, 12, 0]


def test_transform_takes_skus_that_are_not_ascii(tmp_path: Path) -> None:
    retail_set.write_rows(tmp_path / "labels.csv", [("index", "sku", "status"), ("0", "可乐 330", "active"), ("1", "b,c", "active")])
    examples = [retail_set.example(b"x", "可乐 330"), retail_set.example(b"x", "b,c"), retail_set.example(b"x", "b,c")]
    retail_set.transform(examples, tmp_path, (features.IMAGE, features.SKU))
    graph = tft.TFTransformOutput(str(tmp_path / "transform"))
    assert training_data.examples(graph, ["可乐 330", "b,c"]).tolist() == [1, 2]


def test_the_graph_needs_no_look_at_the_data(packs: RetailSet) -> None:
    specs = {name: tf.TensorSpec([None], tf.string) for name in ("sku", "image_bytes")}
    custom = {"labels": str(packs.labels)}
    assert tft.get_analyze_input_columns(lambda inputs: preprocessing.preprocessing_fn(inputs, custom), specs) == []
