import gzip
import importlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfx_retail.config import DataConfig
from tfx_retail.ingest import idx, images, readers
from tfx_retail.ingest.record import DataError, Item, Photo, Record

FASHION = Path(__file__).resolve().parents[2] / "../shared/data/fashion_mnist"
PIXELS = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


def settings(root: Path, images: str = "images", labels: str = "labels") -> DataConfig:
    return DataConfig(path=str(root), format="idx", idx_files={"train": (images, labels)})


def file(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    return bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", side) for side in array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").write_bytes(file(PIXELS))
    (tmp_path / "labels").write_bytes(gzip.compress(file(np.array([7, 0, 9]))))
    return tmp_path


def items(chosen: DataConfig) -> list[Item]:
    return [item for item in idx.find(chosen.path, chosen) if isinstance(item, Item)]


def read(chosen: DataConfig) -> list[Photo]:
    return [photo for item in items(chosen) for photo in idx.read(chosen.path, item, chosen) if isinstance(photo, Photo)]


def test_images_are_read_exactly_with_their_labels(root: Path) -> None:
    found = read(settings(root))
    assert [(photo.photo_id, photo.annotations[0].label, photo.split) for photo in found] == [
        ("images#0", "7", "train"),
        ("images#1", "0", "train"),
        ("images#2", "9", "train"),
    ]
    last = np.asarray(Image.open(io.BytesIO(found[2].image)))
    assert last.tolist() == np.repeat(PIXELS[2][:, :, None], 3, axis=2).tolist()


def test_items_are_blocks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "BLOCK", 2)
    assert [(item.payload, item.files) for item in items(settings(root))] == [("0:2", ("labels",)), ("2:3", ("labels",))]
    assert len(read(settings(root))) == 3


def test_a_file_written_anew_is_read_anew(root: Path) -> None:
    assert len(read(settings(root))) == 3
    (root / "images").write_bytes(file(PIXELS[:1]))
    (root / "labels").write_bytes(file(np.array([5])))
    assert [photo.annotations[0].label for photo in read(settings(root))] == ["5"]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("images", file(PIXELS)[:-1], "its header says (3, 4, 5), so 76 bytes, found 75: cut off or damaged"),
        ("images", gzip.compress(file(PIXELS), mtime=0)[:-9], "the images cannot be read"),
        ("images", b"PK\3\4", "begins with 50 4b 03 04, expected 00 00 08: an idx file of bytes"),
        ("images", b"", "expected 00 00 08"),
        ("images", file(np.array([1, 2, 3])), "found the shape (3,), expected (n, height, width)"),
        ("images", file(PIXELS[:0]), "0 images, but labels has 3 labels"),
        ("labels", file(PIXELS), "are the two of data.idx_files swapped?"),
        ("labels", file(np.array([7, 0])), "3 images, but labels has 2 labels; they do not belong together"),
    ],
)
def test_damaged_or_mismatched_files_end_the_reading(root: Path, name: str, content: bytes, found: str) -> None:
    (root / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        items(settings(root))
    assert found in str(caught.value)
    assert str(root) in str(caught.value)


def test_a_file_that_is_not_there_ends_the_reading(root: Path) -> None:
    with pytest.raises(DataError, match="the labels cannot be read"):
        items(settings(root, labels="nowhere"))


@pytest.mark.parametrize("name", ["image_folder", "voc", "coco", "manifest", "idx"])
def test_a_reader_is_the_module_of_its_name(name: str) -> None:  # and loads no TensorFlow: conftest.py looks
    assert readers.reader(name) is importlib.import_module(f"tfx_retail.ingest.{name}")


@pytest.mark.skipif(not FASHION.is_dir(), reason="the data set fashion_mnist is not beside the repository")
def test_real_images_become_exact_records() -> None:
    chosen = settings(FASHION, "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    blocks = items(chosen)
    assert [block.payload for block in blocks] == ["0:2000", "2000:4000", "4000:6000", "6000:8000", "8000:10000"]
    photo = next(idx.read(str(FASHION), blocks[0], chosen))
    assert isinstance(photo, Photo)
    (record,) = images.records(photo, chosen)
    assert isinstance(record, Record)
    assert (record.label, record.photo_size, record.image) == ("9", (28, 28), photo.image)
