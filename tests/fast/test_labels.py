import pickle
from pathlib import Path

import pytest

from tfx_retail import catalog, labels
from tfx_retail.catalog import Catalog, Product
from tfx_retail.labels import Label, LabelError, Target

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def stock(*skus: str) -> Catalog:
    return catalog.of(tuple(Product(sku=sku, name=sku, category="C", family="F", look=sku) for sku in skus))


def faults_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(LabelError) as error:
        labels.read(path)
    return str(error.value)


def test_a_first_order_is_the_catalogues() -> None:
    assert labels.extend((), stock("b", "a")) == (Label(0, "b"), Label(1, "a"))


def test_new_skus_come_last_and_removed_ones_keep_their_index() -> None:
    previous = (Label(0, "b"), Label(1, "a"))
    assert labels.extend(previous, stock("c", "a", "d")) == (Label(0, "b", "retired"), Label(1, "a"), Label(2, "c"), Label(3, "d"))


def test_a_sku_that_comes_back_has_its_old_index() -> None:
    previous = (Label(0, "b", "retired"), Label(1, "a"))
    assert labels.extend(previous, stock("a", "b")) == (Label(0, "b"), Label(1, "a"))


def test_the_order_of_the_catalogue_does_not_move_known_labels() -> None:
    previous = (Label(0, "a"), Label(1, "b"))
    assert labels.extend(previous, stock("b", "a")) == previous


def test_a_sku_that_is_spelled_otherwise_is_not_taken_for_a_new_one() -> None:
    with pytest.raises(LabelError, match="SKU 'cola ZERO': the served model has it as 'Cola Zero', which differs only in case or spaces"):
        labels.extend((Label(0, "Cola Zero"),), stock("cola ZERO"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    order = (Label(0, "茉莉绿茶"), Label(1, 'a,"b"', "retired"))
    labels.write(order, tmp_path / "labels.csv")
    assert labels.read(tmp_path / "labels.csv") == order
    assert (tmp_path / "labels.csv").read_text() == 'index,sku,status\n0,茉莉绿茶,active\n1,"a,""b""",retired\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("index,sku,status\n", "holds no label"),
        ("index,sku,status\n0,a,active\n2,b,active\n", "row 3, column index: is '2', expected 1"),
        ("index,sku,status\n0,a,active\n0,b,active\n", "row 3, column index: is '0', expected 1"),
        ("index,sku,status\nx,a,active\n", "row 2, column index: is 'x', expected 0"),
        ("index,sku,status\n0,a,active\n1,a,retired\n", "column sku: 'a' is there twice"),
        ("index,sku,status\n0,,active\n", "row 2, column sku: is empty"),
        ("index,sku,status\n0,a,gone\n", "row 2, column status: is 'gone', expected active or retired"),
        ("index,sku\n0,a\n", "row 1: there is no column status"),
        ("", "the file is empty"),
    ],
)
def test_a_damaged_label_order_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in faults_of(tmp_path, text)


def test_a_label_map_gives_sku_face_and_reserved_targets(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("label,sku,face\nCola!,cola,side\nempty,gap,\n")
    assert labels.read_label_map(tmp_path / "map.csv", stock("cola")) == {"Cola!": Target("cola", "side"), "empty": Target("gap")}


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("x,pepsi", "row 2, column sku: 'pepsi' is not in the catalogue; name a SKU, or one of gap, unknown, other_brand, ignore"),
        ("x,COLA", "row 2, column sku: 'COLA' differs from the catalogue's 'cola' only in case or spaces"),
        ("x,", "row 2, column sku: is empty"),
        (",cola", "row 2, column label: is empty"),
        ("x,cola\nx,gap", "row 3, column label: 'x' is there before with another meaning"),
    ],
)
def test_a_label_map_that_cannot_be_trusted_is_refused(tmp_path: Path, rows: str, fault: str) -> None:
    (tmp_path / "map.csv").write_text(f"label,sku\n{rows}\n")
    with pytest.raises(LabelError) as error:
        labels.read_label_map(tmp_path / "map.csv", stock("cola"))
    assert str(error.value).startswith(f"{tmp_path / 'map.csv'}: {fault}")


def test_labels_are_skus_mapped_labels_or_reserved() -> None:
    resolve = labels.resolver(stock("cola", "茶"), {"Cola side": Target("cola", "side")}, "sku")
    assert [resolve(label) for label in ("cola", "茶", "Cola side")] == [Target("cola"), Target("茶"), Target("cola", "side")]
    gap = resolve("gap")
    assert gap == Target("gap")
    assert isinstance(gap, Target) and gap.reserved
    assert not Target("cola").reserved


def test_a_label_in_other_spelling_is_refused_with_a_hint() -> None:
    resolve = labels.resolver(stock("Cola"), {}, "sku")
    assert resolve("cola ") == "label 'cola ' differs from 'Cola' only in case or spaces; correct it or add it to the label map"
    assert resolve("pepsi") == "label 'pepsi' is in neither the label map nor the catalogue's column sku; add it to one of them"


def test_labels_may_name_any_column_of_the_catalogue() -> None:
    first = Product(sku="a", name="A", category="C", family="F", look="a", gtin=("96385074", "036000291452"), extras={"class_id": "7"})
    second = Product(sku="b", name="B", category="C", family="F", look="b", extras={"class_id": "8"})
    products = catalog.of((first, second))
    assert labels.resolver(products, {}, "gtin")("036000291452") == Target("a")
    assert labels.resolver(products, {}, "class_id")("8") == Target("b")


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ("family", "'F' is the family of several SKUs; name a column that tells SKUs apart, or use a label map"),
        ("brand", "the catalogue's column brand is empty"),
        ("colour", "the catalogue has no column 'colour', only sku, name"),
    ],
)
def test_a_column_that_cannot_tell_skus_apart_is_refused(column: str, fault: str) -> None:
    with pytest.raises(LabelError) as error:
        labels.resolver(stock("a", "b"), {}, column)
    assert fault in str(error.value)


def test_the_resolver_travels_to_workers() -> None:
    resolve = labels.resolver(stock("cola"), {}, "sku")
    assert pickle.loads(pickle.dumps(resolve))("cola") == Target("cola")


def test_the_label_map_of_the_cracker_shelf_fits_its_catalogue() -> None:
    found = labels.read_label_map(CONFIGS / "cracker_shelf.label_map.csv", catalog.read(CONFIGS / "cracker_shelf.catalog.csv", "csv"))
    assert len(found) == 13
    assert found["Nabisco Ritz Original Classic Crackers Side"] == Target("ritz-original", "side")
