from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_retail import catalog
from tfx_retail.catalog import Catalog, CatalogError, Product
from tfx_retail.catalog_cells import check_digit

HEADER = "sku,name,category,family"
GROCERY_STORE = Path(__file__).resolve().parents[2] / "../shared/data/grocery_store/dataset/classes.csv"
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def read(tmp_path: Path, text: str, encoding: str = "utf-8") -> Catalog:
    path = tmp_path / "catalog.csv"
    path.write_bytes(text.encode(encoding))
    return catalog.read(path, "csv")


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(CatalogError) as error:
        read(tmp_path, text)
    prefix = f"{tmp_path / 'catalog.csv'}: "
    assert all(fault.startswith(prefix) for fault in error.value.faults)
    return [fault.removeprefix(prefix) for fault in error.value.faults]


def with_column(column: str, *values: str) -> str:
    rows = [f"s{number},n{number},C,F,{value}" for number, value in enumerate(values)]
    return "\n".join([f"{HEADER},{column}", *rows]) + "\n"


def test_every_column_is_read_with_its_type(tmp_path: Path) -> None:
    columns = (
        "brand,look,width_mm,height_mm,depth_mm,net_content,unit,units_per_pack,gtin,own,status,valid_from,valid_to,reference_images,note"
    )
    row = "Norda,cola,66,122.5,,330,ml,6,96385074|036000291452,yes,active,2024-01-01,2024-12-31,a.jpg|b.jpg,9 months"
    (product,) = read(tmp_path, f"{HEADER},{columns}\ncola-330,Cola,Drinks,Colas,{row}\n").products
    assert product == Product(
        sku="cola-330",
        name="Cola",
        category="Drinks",
        family="Colas",
        brand="Norda",
        look="cola",
        width_mm=66.0,
        height_mm=122.5,
        net_content=330.0,
        unit="ml",
        units_per_pack=6,
        gtin=("96385074", "036000291452"),
        own=True,
        status="active",
        valid_from="2024-01-01",
        valid_to="2024-12-31",
        reference_images=("a.jpg", "b.jpg"),
        extras={"note": "9 months"},
    )


def test_groups_are_in_the_order_in_which_they_are_first_named(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEADER},look\nb,B,Snacks,Chips,\na,A,Drinks,Tea,t\nc,C,Drinks,Tea,t\n")
    assert (found.categories, found.families, found.looks) == (("Snacks", "Drinks"), ("Chips", "Tea"), ("b", "t"))
    assert [product.sku for product in found.products] == list(found.by_sku) == ["b", "a", "c"]


def test_without_a_look_each_sku_is_its_own(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEADER}\na,A,C,F\n").products[0].look == "a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
def test_chinese_names_are_read_from_any_of_their_encodings(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, f"{HEADER}\n茉莉绿茶,青叶 茉莉绿茶,饮料,绿茶\n", encoding)
    assert (found.products[0].sku, found.families) == ("茉莉绿茶", ("绿茶",))


def test_a_german_spreadsheet_is_read(tmp_path: Path) -> None:
    text = "sku;name;category;family;width_mm;net_content;unit\r\nm1;Müsli;Frühstück;Müsli;190,5;0,375;kg\r\n"
    (product,) = read(tmp_path, text, "cp1252").products
    assert (product.name, product.category, product.width_mm, product.net_content) == ("Müsli", "Frühstück", 190.5, 0.375)


def test_centimetres_named_as_such_become_millimetres(tmp_path: Path) -> None:
    assert read(tmp_path, with_column("width_cm", "12.3", "7")).products[0].width_mm == 123.0


@pytest.mark.parametrize(
    ("digits", "last"),
    [("9638507", "4"), ("03600029145", "2"), ("200000000000", "8"), ("1061414100041", "5")],
    ids=["gtin-8", "gtin-12", "gtin-13", "gtin-14"],
)
def test_check_digits_are_those_of_gs1(digits: str, last: str) -> None:
    assert check_digit(digits) == last


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("gtin", "8E+12", "is '8E+12': a spreadsheet has cut off the GTIN's digits; format the column as text, enter them anew"),
        ("gtin", "2.00E+12", "a spreadsheet has cut off"),
        ("gtin", "2000000000008.0", "a spreadsheet took the GTIN for a number"),
        ("gtin", "2000000000007", "is '2000000000007', whose check digit would be 8"),
        ("gtin", "36000291452", "its leading zeros are lost, write 036000291452"),
        ("gtin", "12345", "of 5 digits, a GTIN has 8, 12, 13 or 14; correct the number"),
        ("gtin", "ABC", "expected a GTIN of digits only"),
        ("width_mm", "wide", "expected a number such as 12.5"),
        ("width_mm", "120 mm", "expected a number such as 12.5"),
        ("width_mm", "-5", "expected a number such as 12.5"),
        ("width_mm", "nan", "expected a number such as 12.5"),
        ("width_mm", "1e3", "expected a number such as 12.5"),
        ("width_mm", '"12,5"', "in a file separated by commas; write 12.5"),
        ("width_mm", "0", "is 0, expected a number above 0"),
        ("width_mm", "6.6", "the longest side is 6.6 mm, less than any pack; centimetres belong in width_cm"),
        ("width_mm", "66000", "more than any shelf (3000); write millimetres"),
        ("net_content", "330", "column unit: is empty beside net_content 330"),
        ("units_per_pack", "1.5", "expected a whole number from 1 on"),
        ("own", "maybe", "expected yes or no"),
        ("valid_from", "03/04/2024", "expected a date as 2024-05-17"),
        ("valid_from", "2024-02-30", "expected a date as 2024-05-17"),
        ("brand", "#REF!", "a spreadsheet's error"),
        ("brand", "2000000000008", "a GTIN; are columns swapped"),
        ("width", "66", "lengths are in width_mm or width_cm"),
        ("height_in", "5", "lengths are in height_mm or height_cm"),
    ],
)
def test_a_cell_that_cannot_be_trusted_is_refused(tmp_path: Path, column: str, value: str, fault: str) -> None:
    (found,) = faults(tmp_path, with_column(column, value))
    assert fault in found
    assert found.startswith(("row 2, column ", "row 1, column "))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sku,name,family\na,A,F\n", "row 1: there is no column category, only sku, name, family"),
        (f"{HEADER}\n", "has no product"),
        (f"{HEADER}\na,,C,F\n", "row 2, column name: is empty"),
        (f"{HEADER}\na,A,C,F\nb,A,C,F\na,A,C,F\n", "rows 2, 4, column sku: 'a' is there 2 times"),
        (f"{HEADER}\nCola,A,C,F\ncola ,B,C,F\n", "column sku: 'Cola' (row 2), 'cola' (row 3) differ only in case or spaces"),
        (f"{HEADER}\na,A,C,Green Tea\nb,B,C,Greentea\n", "column family: 'Green Tea' (row 2), 'Greentea' (row 3) differ only"),
        (f"{HEADER}\nGap,A,C,F\n", "row 2, column sku: 'Gap' is a reserved label"),
        (f"{HEADER}\na,A,C,F\nb,B,D,F\nc,B,D,E\n", "column family: 'F' is in category 'C' (row 2), 'D' (row 3); a family lies in one"),
        (
            f"{HEADER}\na,A,C,F\nb,B,D,F\n",
            "column family: 'F' is in category 'C' (row 2), 'D' (row 3); are the columns family and category swapped",
        ),
        (f"{HEADER},look\na,A,C,F,x\nb,B,C,G,x\nc,C,C,G,y\n", "column look: 'x' is in family 'F' (row 2), 'G' (row 3); a look lies in one"),
        (f"{HEADER}\nJuice,j1,C,F\nJuice,j2,C,F\n", "are the columns sku and name swapped?"),
        (f"{HEADER}\na,2000000000008,C,F\n", "row 2, column name: is '2000000000008', a GTIN; are columns swapped"),
        (f"{HEADER}\na,A,12.5,F\n", "row 2, column category: is the number 12.5, expected a name"),
        (f"{HEADER},gtin\n96385074,A,C,F,2000000000008\n", "row 2, column sku: is '96385074', a GTIN other than the row's 2000000000008"),
        (f"{HEADER},gtin\na,A,C,F,036000291452\nb,B,C,F,0036000291452\n", "rows 2, 3, column gtin: 36000291452 belongs to 'a', 'b'"),
        (
            f"{HEADER},valid_from,valid_to\na,A,C,F,2024-02-01,2024-01-01\n",
            "row 2, column valid_to: 2024-01-01 is before valid_from 2024-02-01",
        ),
        (f"{HEADER},width_mm,width_cm\na,A,C,F,50,5\n", "row 1: has both width_cm and width_mm"),
        (f"{HEADER},width_mm,height_mm\na,A,C,F,12,19\nb,B,C,F,8,30\n", "half of the packs are under 24.5 mm on their longest side"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    found = faults(tmp_path, text)
    assert len(found) == 1
    assert fault in found[0]


def test_one_row_in_centimetres_is_found_by_its_family(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, with_column("height_mm", "190", "200", "20", "210"))
    assert fault == "row 4: the longest side is 20 mm, in its family 'F' 195 is usual; write millimetres"


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (("66,5", "70.5"), "rows 2 and 3: decimals have a comma in one and a point in the other"),
        (("1.234", "90"), "is '1.234', which may be 1234 or 1.2340"),
        (("1.234,5", "90"), "expected a number such as 12.5"),
    ],
)
def test_decimals_in_doubt_are_refused(tmp_path: Path, values: tuple[str, str], fault: str) -> None:
    rows = [f"s{number};n{number};C;F;{value}" for number, value in enumerate(values)]
    (found,) = faults(tmp_path, "\n".join(["sku;name;category;family;width_mm", *rows]))
    assert fault in found


def test_all_faults_are_told_not_the_first(tmp_path: Path) -> None:
    found = faults(tmp_path, f"{HEADER},gtin,width_mm\n,A,C,F,8E+12,x\nb,B,C,F,,\nb,B,C,F,,\n")
    assert [fault.split(": ")[0] for fault in found] == [
        "row 2, column sku",
        "row 2, column width_mm",
        "row 2, column gtin",
        "rows 3, 4, column sku",
    ]


def test_a_gtin_may_be_the_sku(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEADER}\n2000000000008,A,C,F\n").products[0].sku == "2000000000008"


def test_a_file_that_is_not_there_is_a_catalogue_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file"):
        catalog.read(tmp_path / "none.csv", "csv")


def test_the_canonical_file_gives_the_same_catalogue_and_digest(tmp_path: Path) -> None:
    messy = read(tmp_path, "SKU;Name;Category;Family;height_cm;GTIN;note\r\n茶;Thé;C;F;12,5;96385074 036000291452;a;\r\n")
    catalog.write(messy, tmp_path / "canonical.csv")
    assert (tmp_path / "canonical.csv").read_text() == (
        "sku,name,category,family,look,height_mm,gtin,note\n茶,Thé,C,F,茶,125,96385074|036000291452,a\n"
    )
    again = catalog.read(tmp_path / "canonical.csv", "csv")
    assert again == messy
    assert catalog.digest(again) == catalog.digest(messy)


def test_the_digest_sees_a_change(tmp_path: Path) -> None:
    assert catalog.digest(read(tmp_path, with_column("width_mm", "66"))) != catalog.digest(read(tmp_path, with_column("width_mm", "67")))


TEXT = st.text(alphabet="abcXYZ 绿茶é,;\"'|&", min_size=1, max_size=8).map(str.strip).filter(bool)


@settings(max_examples=25)
@given(
    name=TEXT,
    brand=st.just("") | TEXT,
    width_mm=st.none() | st.integers(400, 20_000).map(lambda tenths: tenths / 10),
    own=st.sampled_from([None, True, False]),
    note=TEXT,
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, name: str, brand: str, width_mm: float | None, own: bool | None, note: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    product = Product(
        sku="s", name=name, category="C", family="F", look="s", brand=brand, width_mm=width_mm, own=own, extras={"note": note}
    )
    catalog.write(catalog.of((product,)), path)
    assert catalog.read(path, "csv").products == (product,)


@pytest.mark.skipif(not GROCERY_STORE.is_file(), reason="the grocery_store data set is not beside the repository")
def test_classes_csv_of_grocery_store_is_a_catalogue() -> None:
    found = catalog.read(GROCERY_STORE, "grocery_store")
    assert (len(found.products), len(found.families), found.categories) == (81, 43, ("Fruit", "Packages", "Vegetables"))
    first = found.products[0]
    assert (first.sku, first.name, first.family, first.extras["class_id"]) == ("Golden-Delicious", "Golden Delicious", "Apple", "0")


CLASSES = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),Product Description Path (str)"
)


def test_a_classes_csv_whose_paths_have_no_category_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(f"{CLASSES}\nPear,0,Pear,0,/pear.jpg,/pear.txt\n")
    with pytest.raises(
        CatalogError, match=r"row 2, column Iconic Image Path \(str\): is '/pear.jpg', expected /iconic-images-and-descriptions/<cat"
    ):
        catalog.read(tmp_path / "classes.csv", "grocery_store")


def test_another_csv_is_no_classes_csv(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(f"{HEADER}\na,A,C,F\n")
    with pytest.raises(CatalogError, match=r"there is no column Class Name \(str\)"):
        catalog.read(tmp_path / "classes.csv", "grocery_store")


@pytest.mark.parametrize(("name", "products"), [("fashion_mnist", 10), ("produce_table", 2), ("cracker_shelf", 10)])
def test_the_catalogues_in_configs_can_be_used(name: str, products: int) -> None:
    assert len(catalog.read(CONFIGS / f"{name}.catalog.csv", "csv").products) == products
