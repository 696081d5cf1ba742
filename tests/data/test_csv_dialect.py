from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.data.csv_dialect import Dialect, sniff_dialect, split_cells, split_records
from analystd.errors import WorkspaceError

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))


def sniffed(text: str) -> Dialect:
    return sniff_dialect(text.encode(), whole=True)


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


def test_a_name_that_tells_the_delimiter_is_believed() -> None:
    assert sniff_dialect(b"a,b\n1,2\n", whole=True, delimiter=b"\t").delimiter == b"\t"


def test_marks_and_line_ends_are_found() -> None:
    assert sniffed("\ufeffa,b\r\n1,2\r\n") == Dialect(start=3)
    assert sniffed("a,b\r1,2\r") == Dialect(newline=b"\r")


def test_utf_16_is_refused_with_what_to_do() -> None:
    with pytest.raises(WorkspaceError, match="UTF-16") as caught:
        sniff_dialect("a,b\n1,2\n".encode("utf-16"), whole=True)
    assert caught.value.hint == "Save it again as UTF-8"


def test_a_sample_that_ends_in_a_row_is_judged_by_its_whole_rows() -> None:
    assert sniff_dialect(b"a|b,c|d\n1|2,3|4\n5|", whole=False).delimiter == b"|"


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
        (' "a","b"', [' "a"', "b"]),
    ],
)
def test_a_record_falls_into_the_cells_that_pythons_csv_reads(record: str, cells: list[str]) -> None:
    assert [cell.decode() for cell in split_cells(record.encode(), Dialect())] == cells
    assert (list(csv.reader([record])) or [[""]])[0] in (cells, [])


@given(rows=ROWS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), delimiter=st.sampled_from(",;\t|"))
@settings(deadline=None)
def test_what_pythons_csv_writes_is_read_back_cell_by_cell(rows: list[list[str]], quoting: int, delimiter: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows(rows)  # type: ignore[arg-type]
    dialect = Dialect(delimiter.encode())
    records, rest = split_records(stream.getvalue().encode(), dialect)
    assert rest == b""
    assert [[cell.decode() for cell in split_cells(record, dialect)] for record in records] == rows
