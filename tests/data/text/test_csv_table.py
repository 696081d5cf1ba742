from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.data.positioned_file import PositionedFile
from analystd.data.table import Rows
from analystd.data.text import records as text_records
from analystd.data.text.csv_table import CsvTable, learn_csv
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.arguments import Condition, SortKey
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError
from analystd.wire.results import ViewResult

OpenFile = Callable[[bytes], PositionedFile]


def table_of(file: PositionedFile) -> CsvTable:
    return CsvTable(file, learn_csv(file))


def all_rows(table: CsvTable) -> Rows:
    return table.rows(0, 10_000, range(len(table.columns)))


def test_cells_are_the_files_own_text(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b"id,value,when\n007,NA,1E5\n9007199254740993,1.10, x \n"))
    assert all_rows(table) == Rows([["007", "NA", "1E5"], ["9007199254740993", "1.10", " x "]])


def test_types_are_guessed_beside_the_cells(open_bytes: OpenFile) -> None:
    content = b"id,n,price,day,at,flag,none,text\n007,1,1.5,2024-01-01,2024-01-01T09:30:00Z,true,,x\n008,,NA,,,,NA,1"
    types = [column["type"] for column in table_of(open_bytes(content)).columns]
    assert types == ["text", "integer", "number", "date", "timestamp", "boolean", "empty", "text"]


def test_an_empty_file_is_a_table_without_columns(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b""))
    assert (table.columns, table.warnings, table.count_rows()) == ([], ["The file is empty"], 0)
    assert view(table, ViewRequest("shape"))["text"] == "Shape: 0 rows × 0 columns\nColumns:"
    assert view(table, ViewRequest("head"))["rows"] == []
    assert view(table, ViewRequest("tail"))["rows"] == []


@pytest.mark.parametrize("content", [b"a,b", b"a,b\n", b"a,b\r\n\r\n"])
def test_a_header_alone_has_no_rows(open_bytes: OpenFile, content: bytes) -> None:
    table = table_of(open_bytes(content))
    assert [column["name"] for column in table.columns] == ["a", "b"]
    assert (table.count_rows(), all_rows(table), table.tail(5, [0, 1])) == (0, Rows([]), Rows([]))


def test_rows_of_another_length_are_kept_and_reported(open_bytes: OpenFile) -> None:
    rows = all_rows(table_of(open_bytes(b"a,b\n1,2\n3\n4,5,6\n")))
    assert rows.cells == [["1", "2"], ["3", None], ["4", "5", "6"]]
    assert rows.warnings == ("Rows 1, 2 are not as long as the header: 1 cells, not 2",)


def test_names_that_are_not_unique_are_reported(open_bytes: OpenFile) -> None:
    head = view(table_of(open_bytes(b"a,b,a\n1,2,3\n")), ViewRequest("head", columns=("a_2", "a")))
    assert head["columns"] == [
        {"name": "a", "type": "integer", "address": "a_2"},
        {"name": "a", "type": "integer"},
    ]
    assert head["rows"] == [["3", "1"]]
    assert head["warnings"] == ["Several columns have the same name: 'a' (2); request the others as 'a_2'"]


def test_each_of_several_columns_of_one_name_can_be_requested_everywhere(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b"a,b,a,,\n1,x,30,p,s\n2,y,20,q,r\n3,z,10,,q\n"))

    def asked(operation: str = "head", **more: Any) -> ViewResult:
        return view(table, ViewRequest(operation, **more))

    assert asked()["text"].splitlines()[0].split() == ["a", "b", "a_2", "column_4", "column_5"]
    assert asked("columns")["text"].splitlines()[3:] == ["  3. a_2", "  4. column_4", "  5. column_5"]
    assert "a_2, column_4" in asked("shape")["text"]
    by_second = asked(filter=(Condition("a_2", "<", 25),), sort=(SortKey("a_2"),), columns=("a", "a_2"))
    assert by_second["rows"] == [["3", "10"], ["2", "20"]]
    assert asked(filter=(Condition("a", "<", 2),), columns=("a_2",))["rows"] == [["30"]]
    assert asked(filter=(Condition("column_4", "missing"),), columns=("column_5",))["rows"] == [["q"]]
    assert asked(columns=("",))["rows"] == [["p"], ["q"], [""]]
    profiles = asked("profile", columns=("a_2", "column_5"))["profiles"]
    assert profiles is not None
    assert [(each["column"], each["max"]) for each in profiles] == [("a_2", "30"), ("column_5", None)]
    described = asked("describe", columns=("a", "a_2"))["rows"]
    assert described is not None
    assert [row[0] for row in described] == ["a", "a_2"]
    with pytest.raises(InvalidArgumentsError, match="There is no column 'a_3'") as caught:
        asked(columns=("a_3",))
    assert caught.value.hint == "The columns are: a, b, a_2, column_4, column_5"


def test_a_header_of_numbers_is_doubted(open_bytes: OpenFile) -> None:
    assert table_of(open_bytes(b"1,2.5\n3,4\n")).warnings == [
        "The first row looks like data, but it is used as the header"
    ]


def test_invalid_utf_8_is_shown_with_a_mark_and_reported(open_bytes: OpenFile) -> None:
    rows = all_rows(table_of(open_bytes(b"city,n\nZ\xfcrich,1\nBern,2\n")))
    assert rows.cells == [["Z\ufffdrich", "1"], ["Bern", "2"]]
    assert rows.warnings == ("Row 0 is not valid UTF-8; invalid bytes are shown as \ufffd",)


def test_a_window_counts_rows_from_0_and_ends_with_the_file(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b"n\n" + b"".join(b"%d\n" % number for number in range(1000))))
    assert view(table, ViewRequest("columns"))["num_rows"] is None
    assert table.rows(998, 5, [0]).cells == [["998"], ["999"]]
    assert table.rows(1000, 5, [0]).cells == []
    assert table.known_rows == 1000
    assert (
        view(table, ViewRequest("rows", offset=998))["text"]
        == "Rows 998 to 999 of 1000, counted from 0:\n  n\n998\n999"
    )
    assert view(table, ViewRequest("rows", offset=5000))["text"].startswith("No rows from 5000 of 1000, counted from 0")


def test_a_tail_without_quotes_is_read_from_the_end_without_counting(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b"n\n" + b"".join(b"%d\r\n" % number for number in range(100_000))))
    assert table.tail(2, [0]).cells == [["99998"], ["99999"]]
    assert table.known_rows is None
    assert table.tail(30_000, [0]).cells[0] == ["70000"]


def test_a_tail_with_quotes_is_found_from_the_front(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b'n,s\n1,"a\nb"\n2,"c\n2,d\n"\n'))
    assert table.tail(1, [0, 1]).cells == [["2", "c\n2,d\n"]]
    assert table.known_rows == 2


def test_a_tail_steps_back_until_it_has_enough(open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_records, "_FIRST_TAIL_BYTES", 5)
    table = table_of(open_bytes(b"n\n1\n\n22\n333\n4444\n"))
    assert table.tail(3, [0]).cells == [["22"], ["333"], ["4444"]]
    assert table.known_rows is None
    monkeypatch.setattr(text_records, "_MOST_TAIL_BYTES", 5)
    assert table.tail(3, [0]).cells == [["22"], ["333"], ["4444"]]
    assert table.known_rows == 4


def test_a_header_longer_than_the_sample_is_read_whole(open_bytes: OpenFile) -> None:
    names = [f"column_number_{number}" for number in range(10_000)]
    table = table_of(open_bytes((",".join(names) + "\n" + ",".join("1" for _ in names) + "\n").encode()))
    assert [column["name"] for column in table.columns] == names
    assert table.count_rows() == 1


def test_a_reply_is_bounded_and_says_so(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b"text\n" + (b"x" * 3_000_000 + b"\n") * 10))
    rows = all_rows(table)
    assert len(rows.cells) == 5
    assert rows.warnings == ("Only 5 of 10 rows are returned: a reply holds at most 16 MiB",)


def test_arguments_out_of_their_range_are_refused(open_bytes: OpenFile) -> None:
    table = table_of(open_bytes(b"a,b\n1,2\n"))
    with pytest.raises(InvalidArgumentsError, match="n_rows is 10001; it must be from 1 to 10000"):
        view(table, ViewRequest("head", n_rows=10_001))
    with pytest.raises(InvalidArgumentsError, match="Unknown operation 'sum'"):
        view(table, ViewRequest("sum"))
    with pytest.raises(InvalidArgumentsError, match="There is no column 'c'") as caught:
        view(table, ViewRequest("head", columns=("a", "c")))
    assert caught.value.hint == "The columns are: a, b"


def test_a_file_that_becomes_shorter_is_reported(open_bytes: OpenFile, tmp_path: object) -> None:
    file = open_bytes(b"a\n" + b"1\n" * 1000)
    table = table_of(file)
    longer = PositionedFile("x.csv", file.descriptor, (*file.key[:2], file.size + 10, *file.key[3:]))
    with pytest.raises(WorkspaceError, match=r"x\.csv became shorter while it was read"):
        CsvTable(longer, learn_csv(longer)).count_rows()
    assert table.count_rows() == 1000


WRITTEN_CELLS = st.text(st.sampled_from("ab\"',;\n\r\té€🦆 1"), max_size=6)


@given(
    rows=st.lists(st.tuples(WRITTEN_CELLS, WRITTEN_CELLS, st.integers(0, 9).map(str)), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    mark=st.booleans(),
)
@settings(deadline=None)
def test_tables_written_by_pythons_csv_are_read_back_by_every_view(
    rows: Sequence[tuple[str, ...]], delimiter: str, mark: bool, open_bytes: OpenFile
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [("first", "second", "third"), *rows]
    )
    table = table_of(open_bytes(("\ufeff" * mark + stream.getvalue()).encode()))
    expected = [list(row) for row in rows]
    assert [column["name"] for column in table.columns] == ["first", "second", "third"]
    assert view(table, ViewRequest("head", n_rows=100))["rows"] == expected
    assert view(table, ViewRequest("tail", n_rows=3))["rows"] == expected[-3:]
    assert view(table, ViewRequest("rows", offset=2, n_rows=2))["rows"] == expected[2:4]
    assert view(table, ViewRequest("shape"))["num_rows"] == len(expected)
