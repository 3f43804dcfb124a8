import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_retail.table import Row, TableError, decode, folded, read

WANTED = ("sku", "name")


def table_of(tmp_path: Path, data: bytes) -> tuple[Row, ...]:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    return read(path, WANTED).rows


def fault_of(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(TableError) as error:
        table_of(tmp_path, data)
    return str(error.value)


PLAIN = (Row(2, {"sku": "a", "name": "b"}), Row(3, {"sku": "c", "name": "d"}))


@pytest.mark.parametrize(
    "data",
    [
        b"sku,name\na,b\nc,d\n",
        b"sku,name\r\na,b\r\nc,d\r\n",
        b"sku,name\ra,b\rc,d",
        codecs.BOM_UTF8 + b"sku,name\na,b\nc,d\n",
        "sku,name\na,b\nc,d\n".encode("utf-16"),
        b"sku;name\na;b\nc;d\n",
        b"sku\tname\na\tb\nc\td\n",
        b"sku|name\na|b\nc|d\n",
        b'"sku","name"\n"a"," b "\nc,d\n\n\n',
        b"SKU,Name\na,b\nc,d\n",
        b"sku,name,,\na,b,,\nc,d,,\n",
    ],
    ids=["plain", "crlf", "cr", "bom", "utf-16", "semicolon", "tab", "bar", "quotes", "upper-case", "empty-columns"],
)
def test_the_ways_in_which_spreadsheets_write_are_read_alike(tmp_path: Path, data: bytes) -> None:
    assert table_of(tmp_path, data) == PLAIN


def test_a_row_keeps_the_number_of_its_line(tmp_path: Path) -> None:
    rows = table_of(tmp_path, b"sep=;\r\nsku;name\r\n\r\na;b\r\n")
    assert rows == (Row(4, {"sku": "a", "name": "b"}),)


def test_letters_are_composed(tmp_path: Path) -> None:
    assert table_of(tmp_path, "sku,name\ncafe\u0301,x\n".encode())[0].cells["sku"] == "café"


@pytest.mark.parametrize("text", ["Crème brûlée", "Müsli, 5 € für Größe ½", "jalapeño – piña", "Smörgås® à la carte"])
def test_western_european_text_in_cp1252_is_read(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize("text", ["可口可乐,饮料", "茉莉绿茶（原味）500ml", "牛奶、咖啡 和 Tea", "蜂蜜柚子茶"])
def test_chinese_text_in_gbk_is_read(text: str) -> None:
    assert decode(text.encode("gbk")) == text


@pytest.mark.parametrize(
    "data",
    [
        "Привет, мир".encode("cp1251"),
        "チョコレート".encode("shift_jis"),
        "Caf\u00e9".encode("mac_roman"),
        bytes(range(128, 256)),
        "CRÉÉ".encode("cp1252"),  # as GBK, a common character after two letters
        "原".encode("gbk"),  # as UTF-8, a Cyrillic letter
    ],
    ids=["cp1251", "shift_jis", "mac_roman", "noise", "cp1252-or-gbk", "utf-8-or-gbk"],
)
def test_an_encoding_in_doubt_is_refused_with_the_cure(data: bytes) -> None:
    with pytest.raises(ValueError, match="save it as UTF-8"):
        decode(data)


def decoded_or_refused(text: str, encoding: str) -> str:
    """Returns what the decoder makes of a text, the text itself where it refuses."""
    try:
        return decode(text.encode(encoding))
    except ValueError:
        return text


@given(st.text(alphabet="abcdefghij klmnop ,;éèêàùçôîäöüßñ", min_size=1))
def test_latin_text_is_never_read_as_chinese(text: str) -> None:
    assert decoded_or_refused(text, "cp1252") == text


@given(st.text(alphabet="茉莉绿茶可乐饮料蜂蜜原味青柠薄荷海盐樱桃牛奶咖啡大小中瓶abc 123", min_size=1))
def test_chinese_text_is_never_read_as_latin(text: str) -> None:
    assert decoded_or_refused(f"茉莉{text}", "gbk") == f"茉莉{text}"


@given(st.text(alphabet="abc éèüßñóśłżčřůğşαλφаврт茶乐日本", min_size=1))
def test_utf_8_is_read_or_refused(text: str) -> None:
    assert decoded_or_refused(text, "utf-8") == text


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"sku,name\na\n", "row 2: has 1 cells, the header 2"),
        (b"sku,name\na,b,c\n", "row 2: has 3 cells, the header 2"),
        (b'sku,name\n"a,b\n', "row 2: unexpected end of data; look for a quote that is not closed"),
        (b"sku,name\na,b\0\n", "row 2: holds a NUL byte"),
        (b"sku,name\na,b\x07c\n", "row 2, column name: 'b\\x07c' holds the control character U+0007"),
        ("sku,name\na,b\u200bc\n".encode(), "holds the control character U+200B"),
        (b'sku,name\na,"b\nc"\n', "holds the control character U+000A"),
        ("sku,name\na,b\ufffd\n".encode(), "has lost a character"),
        ("sku,name\na,cafÃ©\n".encode(), "was encoded twice, it should be 'café'"),
        (b"sku,name,Note,note\na,b,c,d\n", "columns 'Note' and 'note' have one name"),
        (b"sku,,name\na,b,c\n", "row 1, column 2: has no name"),
        (b"PK\x03\x04....", "is a workbook, not a CSV file"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path: Path, data: bytes, fault: str) -> None:
    assert fault in fault_of(tmp_path, data)


def test_all_faults_of_a_file_are_told(tmp_path: Path) -> None:
    lines = fault_of(tmp_path, b"sku,name\na\nb,c,d\ne,f\x01\n").splitlines()
    assert [line.split(": ")[1] for line in lines] == ["row 2", "row 3", "row 4, column name"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no\.csv: no such file"):
        read(tmp_path / "no.csv", WANTED)


def test_what_people_overlook_folds_away() -> None:
    assert folded("Cola  Zero") == folded("cola zero\u00a0") == folded("ＣＯＬＡzero") == "colazero"
