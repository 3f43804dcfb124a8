"""ExampleGen as TFX runs it: photos in, tf.Examples of four roles out, every refusal explained."""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from tfx_retail import catalog, wire
from tfx_retail.components.artifacts import IngestReport
from tfx_retail.components.example_gen import Executor, ShelfExampleGen, _gathered
from tfx_retail.components.schema import DraftSchemaExecutor
from tfx_retail.components.statistics import ImageStatisticsExecutor
from tfx_retail.config import DataConfig, Manifest, SplitConfig
from tfx_retail.features import ALL, ROLES
from tfx_retail.ingest.examples import encode, with_group
from tfx_retail.ingest.facts import Facts
from tfx_retail.ingest.processes import Decoders
from tfx_retail.ingest.reading import Sources
from tfx_retail.ingest.record import Box, DataError, Photo, Record
from tfx_retail.ingest.shards import Shard, read_shard, write_shard
from tfx_retail.product import Product

CATALOG = "sku,name,category,family,brand\ncola,Cola,drinks,soda,Acme\n可乐,可乐,drinks,soda,\nmilk,Milk,dairy,milks,\n"
PRODUCE = Path(__file__).resolve().parents[2] / "../shared/data/shelf_voc/produce_table"


class Shop:
    """A folder of photos of two boxes each, every two photos one scene, and what ExampleGen makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.data.mkdir()
        (folder / "catalog.csv").write_text(CATALOG, encoding="utf-8")
        self.lines: list[str] = []
        for number in range(24):
            self.photo(number, "可乐" if number % 4 < 2 else "cola")

    def photo(self, number: int, second: str) -> None:
        name = f"货架_{number:02d}.jpg"
        pixels = np.random.default_rng(number).integers(0, 255, (6, 9, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((72, 48), Image.Resampling.NEAREST).save(buffer, "JPEG", quality=95)
        (self.data / name).write_bytes(buffer.getvalue())
        scale = "0.5" if number % 2 else ""
        for label, edges in (("cola", "0,0,30,48"), (second, "30,0,72,48")):
            self.lines.append(f"{name},{label},{edges},scene {number // 2},{scale}")

    def run(self, out: str = "out", *, split: SplitConfig | None = None, shards: int = 0, **settings: Any) -> "Made":
        header = "path,label,left,top,right,bottom,group,mm_per_px"
        (self.data / "boxes.csv").write_text("\n".join([header, *self.lines]) + "\n", encoding="utf-8")
        data = DataConfig(**{"path": str(self.data), "format": "manifest", "manifests": (Manifest(path="boxes.csv"),), **settings})
        return generate(self.folder / out, data, split or SplitConfig(), self.folder / "catalog.csv", self.failures, shards=shards)

    @property
    def failures(self) -> Path:
        return self.folder / "failures"


class Made:
    """The two artifacts of one execution."""

    def __init__(self, folder: Path) -> None:
        self.examples, self.report = standard_artifacts.Examples(), IngestReport()
        self.examples.uri, self.report.uri = str(folder / "examples"), str(folder / "report")

    def files(self, role: str) -> list[Path]:
        return sorted(Path(self.examples.uri, f"Split-{role}").iterdir())

    def serialized(self, role: str) -> list[bytes]:
        return [bytes(item) for item in tf.data.TFRecordDataset([str(path) for path in self.files(role)]).as_numpy_iterator()]

    def parsed(self, role: str) -> list[Any]:
        return [tf.train.Example.FromString(item) for item in self.serialized(role)]

    def texts(self, role: str, name: str) -> list[str]:
        return [example.features.feature[name].bytes_list.value[0].decode() for example in self.parsed(role)]

    def counts(self) -> dict[str, Any]:
        return dict(json.loads(Path(self.report.uri, "ingest.json").read_text(encoding="utf-8")))


def generate(
    folder: Path, data: DataConfig, split: SplitConfig, catalog: Path, failures: Path, *, shards: int = 0, label_map: str = ""
) -> Made:
    made = Made(folder)
    properties = {
        "data": msgspec.json.encode(data).decode(),
        "split": msgspec.json.encode(split).decode(),
        "catalog": str(catalog),
        "label_map": label_map,
        "data_digest": "",
        "code_digest": "",
        "shards": shards,
        "failure_dir": str(failures),
    }
    Executor().Do({}, {"examples": [made.examples], "report": [made.report]}, properties)
    return made


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_every_box_becomes_one_example_and_scenes_stay_together(shop: Shop) -> None:
    made = shop.run()
    crops = {role: made.texts(role, "crop_id") for role in ROLES}
    assert sorted(crop for role in ROLES for crop in crops[role]) == sorted(
        f"货架_{number:02d}.jpg#{box}" for number in range(24) for box in (1, 2)
    )
    scenes = {role: set(made.texts(role, "group")) for role in ROLES}
    assert sorted(scene for role in ROLES for scene in scenes[role]) == sorted(f"scene {number}" for number in range(12))
    assert {role: len(crops[role]) for role in ROLES} == made.counts()["roles"]


def test_an_example_has_the_features_of_the_contract_and_none_for_what_is_not_known(shop: Shop) -> None:
    made = shop.run()
    (example,) = [
        item
        for role in ROLES
        for item in made.parsed(role)
        if item.features.feature["crop_id"].bytes_list.value == ["货架_01.jpg#2".encode()]
    ]
    found = {name: next(iter(getattr(value, value.WhichOneof("kind")).value)) for name, value in example.features.feature.items()}
    assert set(found) == {feature.name for feature in ALL} - {"brand", "store", "taken_at", "face", "annotator"}
    assert (found["sku"].decode(), found["family"], found["category"], found["look"].decode()) == ("可乐", b"soda", b"drinks", "可乐")
    assert (found["width_px"], found["height_px"], found["source"], found["group"]) == (42, 48, b"shelf", b"scene 0")
    assert (found["measured_width_mm"], found["measured_height_mm"]) == (21.0, 24.0)
    assert found["box_area_share"] == pytest.approx(42 / 72)
    assert len(found["perceptual_hash"]) == 16
    assert Image.open(io.BytesIO(found["image_bytes"])).size == (42, 48)
    assert found["size_bytes"] == len(found["image_bytes"])


def test_joined_bytes_are_read_alike_by_tensorflow_and_by_the_decoder_of_tfx(shop: Shop) -> None:
    serialized = shop.run().serialized("train")
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in ("group", "sku", "image_bytes")}
    tensors = tf.io.parse_example(serialized, spec)
    columns = ExamplesToRecordBatchDecoder().DecodeBatch(serialized)
    for name in spec:
        assert [[value] for value in tensors[name].numpy()] == columns.column(columns.schema.get_field_index(name)).to_pylist()


def test_the_same_data_gives_the_same_bytes(shop: Shop) -> None:
    first, second = shop.run("one"), shop.run("two")
    for role in ROLES:
        assert [path.name for path in first.files(role)] == ["data_tfrecord-00000-of-00001"]
        assert [path.read_bytes() for path in first.files(role)] == [path.read_bytes() for path in second.files(role)]


def test_shards_change_the_files_and_not_the_examples(shop: Shop) -> None:
    whole, parts = shop.run("one", shards=1), shop.run("five", shards=5)
    for role in ROLES:
        assert len(parts.files(role)) == 5
        assert sorted(whole.serialized(role)) == sorted(parts.serialized(role))


def test_tfx_reads_the_artifact_for_statistics_and_schema(shop: Shop, tmp_path: Path) -> None:
    made = shop.run(shards=5)  # some shards have no photo of a role: their files are empty
    statistics, schema = standard_artifacts.ExampleStatistics(), standard_artifacts.Schema()
    statistics.uri, schema.uri = str(tmp_path / "statistics"), str(tmp_path / "schema")
    ImageStatisticsExecutor().Do({"examples": [made.examples]}, {"statistics": [statistics]}, {})
    assert artifact_utils.decode_split_names(statistics.split_names) == list(ROLES)
    assert artifact_utils.decode_split_names(made.examples.split_names) == list(ROLES)
    DraftSchemaExecutor().Do({"statistics": [statistics]}, {"schema": [schema]}, {"infer_feature_shape": 1, "exclude_splits": "[]"})
    text = (tmp_path / "schema" / "schema.pbtxt").read_text(encoding="utf-8")
    assert 'name: "image_bytes"' in text
    assert 'name: "measured_height_mm"' in text
    assert made.examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"


def test_counts_add_up_and_what_is_set_aside_is_listed(shop: Shop) -> None:
    shop.lines += ["货架_00.jpg,gap,0,0,20,20,scene 0,", "货架_00.jpg,nobody,0,0,20,20,scene 0,", "货架_00.jpg,cola,0,0,73,48,scene 0,"]
    made = shop.run(max_rejected=1)
    counts = made.counts()
    assert counts["photos"] == {"in": 24, "out": 24, "rejected": 0, "set_aside": 0}
    assert counts["boxes"] == {"in": 51, "out": 49, "rejected": 1, "set_aside": 1}
    assert (counts["records"], counts["rejected"], counts["set_aside"], counts["clipped"]) == (49, 1, 1, 1)
    assert counts["skus"]["cola"].keys() == set(ROLES)
    assert counts["warnings"] == ["1 of 3 SKUs of the catalogue are on no photo: milk"]
    assert Path(made.report.uri, "set_aside.csv").read_text(encoding="utf-8") == "path,label,target\nboxes.csv: line 50,gap,gap\n"
    assert sorted(path.name for path in Path(made.report.uri).iterdir()) == ["ingest.json", "leakage.csv", "rejected.csv", "set_aside.csv"]


def test_too_many_rejections_stop_the_run_and_their_list_outlives_it(shop: Shop) -> None:
    shop.lines += ["货架_00.jpg,nobody,0,0,20,20,scene 0,", "gone.jpg,cola,0,0,20,20,scene 0,"]
    with pytest.raises(DataError, match=r"2 photos or boxes cannot be used, data.max_rejected allows 0"):
        shop.run()
    kept = (shop.failures / "rejected.csv").read_text(encoding="utf-8").splitlines()
    assert len(kept) == 3
    assert kept[1].startswith("boxes.csv: line 50,label 'nobody' is in neither")
    shop.lines = shop.lines[:-2]
    shop.run("again")
    assert not (shop.failures / "rejected.csv").exists()


def test_one_image_under_two_products_is_rejected_with_both_names(shop: Shop) -> None:
    (shop.data / "twin.jpg").write_bytes((shop.data / "货架_00.jpg").read_bytes())
    shop.lines.append("twin.jpg,milk,0,0,30,48,scene 0,")
    with pytest.raises(DataError, match=r"the same image is 'cola' .* and 'milk'"):
        shop.run()


def test_the_same_photo_in_two_given_splits_stops_the_run(shop: Shop) -> None:
    for number, role in enumerate(ROLES):
        name = "货架_00.jpg" if role in ("train", "eval") else f"货架_{number:02d}.jpg"
        (shop.data / f"{role}.csv").write_text(f"path,label\n{name},cola\n货架_{10 + number}.jpg,可乐\n", encoding="utf-8")
    manifests = tuple(Manifest(path=f"{role}.csv", split=role) for role in ROLES)  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match=r"photos leak across splits\n  1 photos are in two splits, say 货架_00.jpg \(eval\) and 货架_00.jpg \(train\)"
    ):
        shop.run(manifests=manifests, split=SplitConfig(by="given"), on_leakage="warn")
    assert "same photo,货架_00.jpg,train,货架_00.jpg,eval,0" in (shop.failures / "leakage.csv").read_text(encoding="utf-8")


def test_rows_that_cannot_be_seen_are_an_error_and_not_an_empty_set(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"1 of 1 shards are not in .*elsewhere; put `root` and `data.path` on a file system that all of them see"
    ):
        _gathered([Shard(0, str(tmp_path / "elsewhere"))], [])


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    known = Sources(DataConfig(path="data", format="manifest"), catalog.of(()), str, Facts({}))
    with pytest.raises(DataError, match=r"shard-00003.items: not there for a worker of beam.args; put `root` and `data.path` on a file"):
        read_shard(Shard(3, str(tmp_path)), Decoders(known), known)


def test_a_shard_that_was_written_and_not_told_is_not_written_again(tmp_path: Path) -> None:
    folders = {role: str(tmp_path / role) for role in ROLES}
    for folder in folders.values():
        Path(folder).mkdir()
        (Path(folder) / "data_tfrecord-00001-of-00002").write_bytes(b"whole")
    write_shard(Shard(1, str(tmp_path / "gone")), 2, folders, 1)
    with pytest.raises(FileNotFoundError):
        write_shard(Shard(0, str(tmp_path / "gone")), 2, folders, 1)


@pytest.mark.parametrize(("group", "brand", "height"), [("货架", "", None), ("g", "Acme", 12.3)])
def test_a_packed_example_has_the_bytes_of_tensorflows_own(group: str, brand: str, height: float | None) -> None:
    size = 200_000  # its length takes several bytes, as that of its lists and maps
    photo = Photo(photo_id="货架.jpg", image=b"", annotations=(), source_file="a.xml")
    record = make_record(photo, image=bytes(size), measured_height_mm=height, truncated=True, perceptual_hash=2**63)
    product = Product(sku="可乐", name="可乐", category="drinks", family="soda", look="可乐", brand=brand)
    packed = with_group(encode(record, product), group)
    example = tf.train.Example.FromString(packed)
    feature = example.features.feature
    assert feature["image_bytes"].bytes_list.value == [bytes(size)]
    assert feature["size_bytes"].int64_list.value == [size]
    assert feature["truncated"].int64_list.value == [1]
    assert feature["occluded"].int64_list.value == [0]
    assert feature["group"].bytes_list.value == [group.encode()]
    assert feature["perceptual_hash"].bytes_list.value == [b"8000000000000000"]
    assert ("brand" in feature, "measured_height_mm" in feature) == (bool(brand), height is not None)
    assert _entries(encode(record, product)) == _entries(_without(example, "group").SerializeToString())


def _entries(example: bytes) -> list[bytes]:
    """Returns the features, bytes of each, in one order: that of a map has no meaning, and each version of protobuf has its own."""
    (features,) = wire.spans(example, 1)
    return sorted(example[begin:end] for begin, end in wire.spans(example, 1, features))


def make_record(photo: Photo, **facts: Any) -> Record:
    named = {"photo_id": photo.photo_id, "number": 1, "source_file": photo.source_file, "source": "shelf"}
    texts = dict.fromkeys(("store", "taken_at", "group", "face", "annotator", "label", "photo_digest", "crop_digest"), "")
    numbers = dict.fromkeys(("brightness", "contrast", "sharpness"), 0.1)
    flags = dict.fromkeys(("truncated", "occluded", "difficult", "clipped"), False)
    unknown = dict.fromkeys(("measured_height_mm", "measured_width_mm", "split"), None)
    shape = {"box": Box(0, 0, 30, 300), "photo_size": (60, 300), "photo_hash": 0, "photo_colors": b""}
    return Record(**{**named, **texts, **numbers, **flags, **unknown, **shape, **facts})


def _without(example: Any, name: str) -> Any:
    kept = tf.train.Example()
    kept.CopyFrom(example)
    del kept.features.feature[name]
    return kept


def test_the_component_declares_what_the_cache_compares() -> None:
    component = ShelfExampleGen(
        data="{}", split="{}", catalog="c", label_map="", data_digest="d", code_digest="k", shards=0, failure_dir="f"
    ).with_id("ExampleGen")
    assert component.exec_properties["data_digest"] == "d"
    assert set(component.outputs) == {"examples", "report"}


@pytest.mark.skipif(not PRODUCE.is_dir(), reason="the produce_table data is not beside the repository")
def test_real_boxes_by_labelimg_go_through(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text(
        "sku,name,category,family\napple_kashmir,Apple,fruit,apple\nbanana_red,Banana,fruit,banana\n", encoding="utf-8"
    )
    lists: Any = {"train": "ImageSets/Main/train.txt", "eval": "ImageSets/Main/test.txt"}
    data = DataConfig(path=str(PRODUCE.resolve()), format="voc", lists=lists)
    split = SplitConfig(by="given", carve={"validation": 0.15, "calibration": 0.15})
    made = generate(tmp_path / "out", data, split, tmp_path / "catalog.csv", tmp_path / "failures")
    counts = made.counts()
    assert counts["photos"]["in"] == 137
    assert counts["boxes"] == {"in": 243, "out": 243, "rejected": 0, "set_aside": 0}
    assert counts["role_photos"]["eval"] == 15
    assert any("near-duplicates of a photo in another split" in warning for warning in counts["warnings"])
