from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.data.text.dialect import Dialect, Sniffed, sniff_dialect

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))


def sniffed(text: str) -> Dialect:
    return sniff_dialect(text.encode(), whole=True).dialect


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_makes_rows_as_long_as_the_header(delimiter: str) -> None:
    rows = [["time", "note", "price"], ["09:30", "a, b; c", "1,5"], ["09:31", "d | e", "2,5"]]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    assert sniffed(stream.getvalue()) == Dialect(delimiter.encode())


def test_decimal_commas_are_no_delimiters() -> None:
    assert sniffed("a;b\n1,5;2,5\n3,5;4,5\n").delimiter == b";"


def test_one_column_is_a_table_too() -> None:
    assert sniffed("price\n1\n2\n") == Dialect()
    assert sniffed("") == Dialect()


def test_a_given_delimiter_is_used() -> None:
    assert sniff_dialect(b"a,b\n1,2\n", whole=True, delimiter=b"\t").dialect.delimiter == b"\t"


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert sniffed("\ufeffa,b\r\n1,2\r\n") == Dialect(start=3)


def test_a_sample_that_ends_in_a_row_is_judged_by_its_whole_rows() -> None:
    assert sniff_dialect(b"a|b,c|d\n1|2,3|4\n5|", whole=False).dialect.delimiter == b"|"


@pytest.mark.parametrize("line", ["sep=^\r\n", "SEP=^\n", '"sep=^"\r'])
def test_a_separator_line_sets_the_delimiter_and_is_not_a_row(line: str) -> None:
    assert sniffed(f"\ufeff{line}a^b,c\n1^2") == Dialect(b"^", start=3 + len(line))


@pytest.mark.parametrize(
    ("text", "header", "remark"),
    [
        ("sep=;\n# one; more\na;b\n1;2\n", "a;b", "1 comment line before the header left out"),
        ("# from the desk, 2024\n# two\na,b\n1,2\n", "a,b", "2 comment lines before the header left out"),
        ("\n# one; more\r\n\r\na;b\n1;2\n", "a;b", "1 comment line before the header left out"),
        ("#date,close\n2024-01-01,5\n", "#date,close", None),
        ("# date,close\n2024-01-01,5\n", "# date,close", None),
        ("# made,by\n#date,close\n2024-01-01,5\n", "#date,close", "1 comment line before the header left out"),
        ("# made,by hand\ndate,close\n2024-01-01,5\n", "date,close", "1 comment line before the header left out"),
        ("# one\nprice\n1\n", "price", "1 comment line before the header left out"),
        ("#only\n#comments\n", "#only", None),
    ],
)
def test_comments_before_the_header_are_left_out_unless_they_name_the_columns(
    text: str, header: str, remark: str | None
) -> None:
    found = sniff_dialect(text.encode(), whole=True)
    assert text[found.dialect.start :].lstrip("\r\n").startswith(header)
    assert found.remarks == ((remark,) if remark else ())


def test_a_plain_file_has_the_default_dialect_and_no_remarks() -> None:
    assert sniff_dialect(b"a,b\n1,2\n", whole=True) == Sniffed(Dialect())


@pytest.mark.parametrize(
    ("record", "cells"),
    [
        ("a,b", ["a", "b"]),
        ("", [""]),
        (",", ["", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""hi""",', ['say "hi"', ""]),
        ('5" pipe,"x"', ['5" pipe', "x"]),
        ('"x"y"z,w', ['xy"z', "w"]),
        ('"open, to the end', ["open, to the end"]),
        ('""', [""]),
        ('a,""', ["a", ""]),
        ('a,"', ["a", ""]),
        ('""""', ['"']),
        (' "a","b"', [' "a"', "b"]),
    ],
)
def test_a_record_has_the_cells_that_pythons_csv_reads(record: str, cells: list[str]) -> None:
    assert Dialect().cells(record.encode()) == cells
    assert (list(csv.reader([record])) or [[""]])[0] in (cells, [])


def test_without_quotes_a_quote_is_a_character() -> None:
    assert Dialect(quote=-1).cells(b'"a,b"') == ['"a', 'b"']
    assert Dialect(quote=-1).split(b'"a\nb"\n', 5) == ([b'"a', b'b"'], 6)


def test_invalid_utf8_raises_or_is_replaced() -> None:
    with pytest.raises(UnicodeDecodeError):
        Dialect().cells(b"a,\xff")
    assert Dialect().cells(b'a,"\xff"', "replace") == ["a", "�"]


@given(rows=ROWS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), delimiter=st.sampled_from(",;\t|"))
@settings(deadline=None)
def test_what_pythons_csv_writes_is_read_back_cell_by_cell(rows: list[list[str]], quoting: int, delimiter: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows(rows)  # type: ignore[arg-type]
    dialect = Dialect(delimiter.encode())
    text = stream.getvalue().encode()
    records, consumed = dialect.split(text, len(rows) + 1)
    assert text[consumed:].strip() == b""
    assert [dialect.cells(record) for record in records] == rows
