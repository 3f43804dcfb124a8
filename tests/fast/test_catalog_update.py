"""Whether the served weights can have another catalogue, before anything runs."""

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.fast.shop import CONFIG
from tfx_retail import catalog, catalog_update, config_file, inputs, labels, trained, versions
from tfx_retail.config import Config
from tfx_retail.errors import UserError
from tfx_retail.runs import NodeFacts, RunFacts, write_run
from tfx_retail.trained import Taught, Trained
from tfx_retail.versions import EXTRA, Manifest

HEADER = ("sku", "name", "category", "family", "look", "height_mm")
COLA, WATER, STILL = (
    ("cola", "Cola", "drinks", "soda", "cola", "120"),
    ("water", "Water", "drinks", "waters", "water", "200"),
    ("still", "Still", "drinks", "waters", "water", "300"),
)
BIG = ("big", "Big", "drinks", "waters", "water", "400")
KNOWN = Trained(
    image_size=32,
    crop_context=0.0,
    parameters=1,
    embedder_id="x",
    products=tuple(Taught(sku=row[0], look=row[4], family=row[3], examples=12) for row in (COLA, WATER, STILL)),
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "shop.yaml").write_text(CONFIG)
    catalogue(tmp_path / "catalog.csv", COLA, WATER, STILL)
    return config_file.load(tmp_path / "shop.yaml")


def catalogue(path: Path, *rows: Sequence[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def served(config: Config, known: Trained | None = KNOWN) -> None:
    """Pushes a version of that catalogue, by a run that left its crops."""
    exported = Path(config.root) / "exported" / EXTRA
    exported.mkdir(parents=True)
    products = catalog.read(Path(config.catalog.path))
    catalog.write(products, exported / "catalog.csv")
    labels.write(labels.extend((), products), exported / "labels.csv")
    if known:
        trained.write(exported, known)
    common = {"name": "shop", "run_id": "r1", "time": "", "config_digest": "c", "data_digest": "d", "code_digest": ""}
    manifest = msgspec.convert({**common, "config": {}, "metrics": {}, "verdict": {}, "schema_reviewed": False}, Manifest)
    versions.push(exported.parent, inputs.model_dir(config), manifest)


def ran(config: Config, run_id: str = "r1", *, started: str = "2026-11-21T10:00:00") -> None:
    place = inputs.workspace(config)
    outputs = {"ExampleGen": ("examples", "report"), "DataGate": ("check",), "Trainer": ("model",), "Verdict": ("verdict",)}
    nodes = []
    for node, keys in outputs.items():
        folders = {key: str(place.nodes / node / key / run_id) for key in keys}
        for folder in folders.values():
            Path(folder).mkdir(parents=True)
        nodes.append(NodeFacts(node=node, state="ran", seconds=5.0, outputs=folders))
    write_run(place, RunFacts(run_id=run_id, pipeline="shop", started=started, state="blessed", data_digest="d", nodes=nodes))


def test_a_new_size_of_a_trained_product_is_judged_on_the_crops_of_the_run_that_made_the_version(config: Config, tmp_path: Path) -> None:
    served(config)
    ran(config)
    ran(config, "r2", started="2026-11-21T11:00:00")
    update = catalog_update.prepare(config, catalogue(tmp_path / "new.csv", WATER, BIG, STILL))
    assert update is not None
    assert (update.served.number, update.source.run_id, update.given.data_digest) == (1, "r1", "d")
    assert update.config.catalog.path == str(tmp_path / "new.csv")
    order = [(label.sku, label.status) for label in labels.read(update.given.labels)]
    assert order == [("cola", "retired"), ("water", "active"), ("still", "active"), ("big", "active")]
    reused = [(node.node, node.state, node.why) for node in update.reused]
    assert reused == [(node, "cached", "of run r1") for node in ("ExampleGen", "DataGate", "Trainer")]


def test_where_that_run_is_gone_the_latest_one_judges(config: Config, tmp_path: Path) -> None:
    served(config)
    ran(config, "r2", started="2026-11-21T11:00:00")
    ran(config, "r3", started="2026-11-21T12:00:00")
    update = catalog_update.prepare(config, catalogue(tmp_path / "new.csv", WATER, BIG, STILL))
    assert update is not None
    assert update.source.run_id == "r3"


def test_what_was_not_trained_is_refused_with_its_rows(config: Config, tmp_path: Path) -> None:
    served(config)
    ran(config)
    path = catalogue(tmp_path / "new.csv", COLA, WATER, STILL, ("tea", "Tea", "drinks", "teas", "tea", "90"))
    with pytest.raises(UserError) as caught:
        catalog_update.prepare(config, path)
    assert str(caught.value).splitlines() == [
        f"{path}: SKU tea: look 'tea' was not trained; needs training",
        f"take these out, or train: set catalog.path to {path} and `tfx-retail run`",
    ]
    assert caught.value.exit_code == 2


def test_the_catalogue_that_is_served_leaves_nothing_to_do(config: Config, tmp_path: Path) -> None:
    served(config)
    ran(config)
    assert catalog_update.prepare(config, catalogue(tmp_path / "same.csv", COLA, WATER, STILL)) is None


@pytest.mark.parametrize(
    ("version", "run", "message"),
    [
        (False, True, "no version is served yet"),
        (True, False, "no run's crops are there any more"),
    ],
)
def test_what_is_missing_is_told_with_what_to_do(config: Config, tmp_path: Path, version: bool, run: bool, message: str) -> None:
    if version:
        served(config)
    if run:
        ran(config)
    with pytest.raises(UserError, match=f"{message}.*`tfx-retail run` first"):
        catalog_update.prepare(config, catalogue(tmp_path / "new.csv", WATER, BIG))


def test_a_version_of_earlier_code_cannot_be_updated(config: Config, tmp_path: Path) -> None:
    served(config, None)
    ran(config)
    with pytest.raises(UserError, match="was made before catalogues could be updated; `tfx-retail run` makes a version that can"):
        catalog_update.prepare(config, catalogue(tmp_path / "new.csv", WATER, BIG))
