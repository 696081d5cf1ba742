from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.data.column_chunks import ColumnChunk
from analystd.data.positioned_file import ProgressListener, ViewCancelledError
from analystd.data.text import _records
from analystd.data.text.cell_types import MISSING
from analystd.data.text.csv_columns import column_chunks
from analystd.data.text.dialect import NO_QUOTE, Dialect, strip_newlines
from analystd.data.text.record_chunks import RecordChunk
from analystd.wire.results import ColumnInfo

pytestmark = pytest.mark.slow

COMMAS = Dialect()


def chunk(data: bytes, number: int = 0, first_row: int = 0, dialect: Dialect = COMMAS) -> RecordChunk:
    records, consumed = dialect.split(data, 1_000_000)
    return RecordChunk(number, first_row, len(records) + bool(strip_newlines(data[consumed:])), data, 1.0)


def part(data: bytes, *types: str, positions: Sequence[int] | None = None, dialect: Dialect = COMMAS) -> ColumnChunk:
    columns = [ColumnInfo(name=str(at), type=kind) for at, kind in enumerate(types)]
    wanted = range(len(types)) if positions is None else positions
    (only,) = column_chunks([chunk(data, dialect=dialect)], wanted, columns, dialect, ProgressListener())
    return only


def values(data: bytes, *types: str, **options: Any) -> list[list[Any]]:
    return [array.to_pylist() for array in part(data, *types, **options).arrays]


def test_columns_have_the_types_that_were_guessed_and_text_is_bytes() -> None:
    found = part(b"1,1.5,a,2024-01-01\n2,2,b,2024-01-02\n", "integer", "number", "text", "date")
    assert [str(array.type) for array in found.arrays] == ["int64", "double", "binary", "binary"]
    assert [array.to_pylist() for array in found.arrays] == [
        [1, 2],
        [1.5, 2.0],
        [b"a", b"b"],
        [b"2024-01-01", b"2024-01-02"],
    ]


def test_columns_come_as_requested_also_twice() -> None:
    assert values(b"1,x\n2,y\n", "integer", "text", positions=[1, 0, 1]) == [[b"x", b"y"], [1, 2], [b"x", b"y"]]


def test_spellings_of_missing_values_are_null_in_every_column() -> None:
    text = b'NA,n/a\n"",   \n None ,nULL\n#N/A,x\n'
    assert values(text, "integer", "text") == [[None] * 4, [None, None, None, b"x"]]


def test_not_a_number_is_null() -> None:
    assert values(b"nan,1\n -nan ,2\n5,3\n", "number", "integer")[0] == [None, None, 5.0]


def test_line_ends_blank_lines_and_quotes_are_as_elsewhere() -> None:
    text = b'1,"a\nb"\r\n\r\n2,"c""d"e\r3,f"g"\n\n4,"h'
    assert values(text, "integer", "text") == [[1, 2, 3, 4], [b"a\nb", b'c"de', b'f"g"', b"h"]]


def test_a_quote_can_be_a_byte_as_any_other() -> None:
    dialect = Dialect(b"\t", NO_QUOTE)
    assert values(b'1\t"a\n2\tb"\n', "integer", "text", dialect=dialect) == [[1, 2], [b'"a', b'b"']]


def test_values_that_do_not_fit_are_null_and_counted() -> None:
    found = part(b"1,1.5,x\nabc,0x10,x\n+3,-.5e1,x\n1_0,2 3,x\n", "integer", "number", "text")
    assert [array.to_pylist() for array in found.arrays[:2]] == [[1, None, 3, None], [1.5, None, -5.0, None]]
    assert found.mismatches == [2, 2, 0]


def test_a_fraction_among_integers_turns_the_chunk_into_doubles() -> None:
    assert values(b"1,\n2.5,\n-inf,\n", "integer", "text")[0] == [1.0, 2.5, float("-inf")]


def test_integers_of_any_size_are_exact() -> None:
    large = 2**63
    assert values(f"{large},\n9007199254740993,\n".encode(), "integer", "text")[0] == [large, 9007199254740993]
    assert values(f"{10**40},\n1,\n".encode(), "integer", "text")[0] == [1e40, 1.0]
    assert isinstance(values(f"{large},\n".encode(), "integer", "text")[0][0], Decimal)


def test_records_of_another_length_lack_cells_or_have_too_many() -> None:
    text = b'1,a\n2\n3,c,d\n"4","e,e",f\n,g\n'
    found = part(text, "integer", "text")
    assert [array.to_pylist() for array in found.arrays] == [
        [1, 2, 3, 4, None],
        [b"a", None, b"c", b"e,e", b"g"],
    ]
    assert found.mismatches == [0, 0]


def test_an_only_cell_may_be_empty() -> None:
    assert values(b'1\n,b\n""\n"",2\n', "integer") == [[1, None, None, None]]
    assert values(b"1\n,b\n", "text", dialect=Dialect(b",", NO_QUOTE)) == [[b"1", None]]


def test_invalid_utf_8_stays_as_it_is() -> None:
    assert values(b'Z\xfcrich,1\n"\xff",2,3\n', "text", "integer")[0] == [b"Z\xfcrich", b"\xff"]


def test_a_column_that_is_empty_so_far_is_text() -> None:
    assert values(b",1\nlate,2\n", "empty", "integer")[0] == [None, b"late"]


def test_no_columns_still_have_rows() -> None:
    found = part(b"1\n2\n", "integer", positions=[])
    assert (found.num_rows, found.arrays, found.mismatches) == (2, [], [])


def test_column_chunks_come_in_the_order_of_the_record_chunks() -> None:
    columns = [ColumnInfo(name="n", type="integer")]
    chunks = [chunk(f"{number}\n{number}\n".encode(), number, 2 * number) for number in range(20)]
    parts = list(column_chunks(chunks, [0], columns, COMMAS, ProgressListener()))
    assert [(each.number, each.first_row, each.num_rows) for each in parts] == [(at, 2 * at, 2) for at in range(20)]
    assert [each.arrays[0].to_pylist() for each in parts] == [[at, at] for at in range(20)]


def test_few_chunks_are_read_ahead_and_none_once_it_is_closed() -> None:
    read = []

    def chunks() -> Iterator[RecordChunk]:
        for number in range(100):
            read.append(number)
            yield chunk(b"1\n", number, number)

    parts = column_chunks(chunks(), [0], [ColumnInfo(name="n", type="integer")], COMMAS, ProgressListener())
    next(parts)
    assert len(read) < 10
    taken = len(read)
    parts.close()  # type: ignore[attr-defined]
    assert (list(parts), len(read)) == ([], taken)


def test_cancelling_comes_through_from_the_record_chunks() -> None:
    def chunks() -> Iterator[RecordChunk]:
        yield chunk(b"1\n")
        raise ViewCancelledError("cancelled")

    with pytest.raises(ViewCancelledError):
        list(column_chunks(chunks(), [0], [ColumnInfo(name="n", type="integer")], COMMAS, ProgressListener()))


def test_progress_is_reported() -> None:
    reported: list[float] = []
    list(
        column_chunks(
            [chunk(b"1\n")],
            [0],
            [ColumnInfo(name="n", type="integer")],
            COMMAS,
            ProgressListener(report=reported.append),
        )
    )
    assert reported == [1.0]


CELLS = st.one_of(
    st.text(alphabet='ab",\n\r é', max_size=5),
    st.sampled_from(["NA", "", "null", "1", "2.5", "-3", "007", "1e3", "x", str(2**60 + 1)]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_text_columns_are_what_python_reads(rows: list[list[str]], newline: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=newline).writerows(rows)
    data = out.getvalue().encode()
    records, _ = _records.split(data, b",", ord('"'), 1000)
    expected = [_records.cells(record, b",", ord('"'), "strict") for record in records]
    first = [row[0] if row else "" for row in expected]
    missing = [cell.lower() in MISSING or (len(cell) <= 8 and not cell.strip(" ")) for cell in first]
    wanted = [None if gone else cell.encode() for cell, gone in zip(first, missing, strict=True)]
    for width in (1, 2, 3):
        assert values(data, *["text"] * width)[0] == wanted
