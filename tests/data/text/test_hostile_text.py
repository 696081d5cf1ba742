from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.text.slow_reader import ARMED, INSIDE, PLAIN, count_from, records_of
from tests.data.viewer import Viewer, small_borders, table_in

from analystd.data.text import _records
from analystd.wire.errors import WorkspaceError

pytestmark = pytest.mark.slow

MIB = 1024 * 1024

PLAIN_TABLES: dict[str, tuple[bytes, list[str], list[list[str]]]] = {
    "a byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", ["a", "b"], [["1", "2"]]),
    "a byte order mark before a quoted name": (b'\xef\xbb\xbf"a,x",b\n1,2\n', ["a,x", "b"], [["1", "2"]]),
    "CRLF": (b"a,b\r\n1,2\r\n3,4\r\n", ["a", "b"], [["1", "2"], ["3", "4"]]),
    "lone CR": (b"a,b\r1,2\r3,4\r", ["a", "b"], [["1", "2"], ["3", "4"]]),
    "mixed line ends": (b"a,b\r\n1,2\r3,4\n5,6", ["a", "b"], [["1", "2"], ["3", "4"], ["5", "6"]]),
    "no final newline": (b"a,b\n1,2\n3,4", ["a", "b"], [["1", "2"], ["3", "4"]]),
    "a final empty cell and no newline": (b"a,b\n1,", ["a", "b"], [["1", ""]]),
    "a final CR of a cut CRLF": (b"a,b\r\n1,2\r", ["a", "b"], [["1", "2"]]),
    "a header only": (b"a,b\n", ["a", "b"], []),
    "a header without newline": (b"a,b", ["a", "b"], []),
    "one column": (b"alone\n1\n\n2\n", ["alone"], [["1"], ["2"]]),
    "blank lines before, between and after": (
        b"\n\r\n\ra,b\n\n1,2\n\r\n\r\r\n3,4\n\n\n",
        ["a", "b"],
        [["1", "2"], ["3", "4"]],
    ),
    "a line of spaces, which is not blank": (b"a\n1\n \n2\n", ["a"], [["1"], [" "], ["2"]]),
    "a line of two quotes, which is not blank": (b'a\n1\n""\n2\n', ["a"], [["1"], [""], ["2"]]),
    "newlines in quotes": (b'a,b\n"1\n2\r\n3\r4","x"\n5,6\n', ["a", "b"], [["1\n2\r\n3\r4", "x"], ["5", "6"]]),
    "blank lines in quotes": (b'a,b\n"1\n\n\n2",x\n5,6\n', ["a", "b"], [["1\n\n\n2", "x"], ["5", "6"]]),
    "a newline in a name": (b'"a\nx",b\n1,2\n', ["a\nx", "b"], [["1", "2"]]),
    "doubled quotes": (b'a,b\n"say ""hi""",""""\n"""",""\n', ["a", "b"], [['say "hi"', '"'], ['"', ""]]),
    "a quote inside an unquoted cell": (
        b'a,b\n5" pipe,6"\nx"y"z,"w"\n',
        ["a", "b"],
        [['5" pipe', '6"'], ['x"y"z', "w"]],
    ),
    "a quote after a space": (b'a,b\n1, "x\n2, y"\n', ["a", "b"], [["1", ' "x'], ["2", ' y"']]),
    "text after a closing quote": (b'a,b\n"x"y,1\n"x"y"z",2\n', ["a", "b"], [["xy", "1"], ['xy"z"', "2"]]),
    "a newline after text after a closing quote": (b'a,b\n"x"y\n"z",2\n', ["a", "b"], [["xy"], ["z", "2"]]),
    "a quote that is never closed": (b'a,b\n1,"x\n2,y\n', ["a", "b"], [["1", "x\n2,y\n"]]),
    "a lone quote at the end": (b'a,b\n1,2\n"', ["a", "b"], [["1", "2"], [""]]),
    "rows that are too short or too long": (b"a,b\n1\n1,2\n1,2,3\n", ["a", "b"], [["1"], ["1", "2"], ["1", "2", "3"]]),
    "names that are doubled or missing": (b"a,,a,\n1,2,3,4\n", ["a", "", "a", ""], [["1", "2", "3", "4"]]),
    "NULs in cells": (b"name,value\nx\0y,\0\n\0,2\n", ["name", "value"], [["x\0y", "\0"], ["\0", "2"]]),
    "characters of two, three and four bytes": (
        "größe,…\n🦆,é\n".encode(),
        ["größe", "…"],
        [["🦆", "é"]],
    ),
    "line ends of Unicode, which are text": (
        "a,b\n1\u2028,\x85\x0b\x0c\n".encode(),
        ["a", "b"],
        [["1\u2028", "\x85\x0b\x0c"]],
    ),
    "a hash in a later row": (b"a,b\n#1,2\n# no comment,3\n", ["a", "b"], [["#1", "2"], ["# no comment", "3"]]),
}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a test puts its file; big ones do not stay."""
    path = tmp_path / "x.csv"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def viewer() -> Viewer:
    return Viewer()


@pytest.mark.parametrize("what", PLAIN_TABLES)
def test_every_view_reads_as_pythons_csv_does(what: str, path: Path, viewer: Viewer) -> None:
    content, header, rows = PLAIN_TABLES[what]
    path.write_bytes(content)
    by_csv = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
    assert [header, *rows] == by_csv
    made_up = [[*row, *[None] * (len(header) - len(row))] for row in rows]
    viewer.check(path, header, made_up)


@pytest.mark.parametrize(
    "what",
    ["CRLF", "lone CR", "no final newline", "newlines in quotes", "doubled quotes", "text after a closing quote"],
)
def test_pandas_reads_the_same(what: str, path: Path) -> None:
    content, header, rows = PLAIN_TABLES[what]
    path.write_bytes(content)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert [list(frame.columns), *frame.to_numpy().tolist()] == [header, *rows]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\r\n\r\n", b"\n" * 100, b"\r" * 100, b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"]
)
def test_a_file_without_a_record_is_a_table_without_columns(content: bytes, path: Path, viewer: Viewer) -> None:
    path.write_bytes(content)
    viewer.check(path, [], [])
    assert viewer.view(path, "shape")["warnings"] == ["The file is empty"]


def test_rows_of_another_length_are_reported(path: Path, viewer: Viewer) -> None:
    path.write_bytes(b"a,b\n1\n1,2\n1,2,3\n")
    assert any("not as long as the header" in warning for warning in viewer.view(path, "head")["warnings"])


def test_an_unclosed_quote_is_reported_once_the_end_was_reached(path: Path, viewer: Viewer) -> None:
    path.write_bytes(b'a,b\n1,"x\n2,y\n')
    assert any("never closed" in warning for warning in viewer.view(path, "shape")["warnings"])


def test_an_unclosed_quote_in_a_large_file_is_a_clear_error(path: Path, viewer: Viewer) -> None:
    path.write_bytes(b'a,b\n0,0\n1,"')
    os.truncate(path, 80 * MIB)
    assert viewer.rows(path, n_rows=1) == [["0", "0"]]
    asked: dict[str, Any]
    for asked in ({"operation": "head"}, {"operation": "rows", "offset": 1}, {"operation": "tail"}):
        with pytest.raises(WorkspaceError) as caught:
            viewer.view(path, **asked)
        assert "longer than 64 MiB" in caught.value.message
        assert "quote" in (caught.value.hint or "")
    shape = viewer.view(path, "shape")
    assert shape["num_rows"] == 2
    assert any("never closed" in warning for warning in shape["warnings"])


def test_many_blank_lines_are_passed_over(path: Path, viewer: Viewer) -> None:
    path.write_bytes(b"\n" * (70 * MIB) + b"a,b\n" + b"\r" * (70 * MIB) + b"1,2")
    assert viewer.rows(path, n_rows=1) == [["1", "2"]]
    assert viewer.names(path) == ["a", "b"]
    assert viewer.view(path, "shape")["num_rows"] == 1


@pytest.mark.parametrize("end", [b"", b"\n", b"\n2,3\n"], ids=repr)
def test_a_row_of_64_mib_is_shown_and_one_of_a_byte_more_is_refused(end: bytes, path: Path, viewer: Viewer) -> None:
    row = b"1," + b"x" * (64 * MIB - 2)
    path.write_bytes(b"a,b\n" + row + end)
    assert viewer.rows(path, n_rows=1) == [["1", row[2:].decode()]]
    path.write_bytes(b"a,b\n" + row + b"x" + end)
    with pytest.raises(WorkspaceError, match="longer than 64 MiB"):
        viewer.rows(path, n_rows=1)
    assert viewer.view(path, "shape")["num_rows"] == (2 if end.endswith(b"3\n") else 1)


def test_five_thousand_columns_are_all_there(path: Path, viewer: Viewer) -> None:
    names = [f"name_{number}" for number in range(5000)]
    rows = [[f"{row}.{number}" for number in range(5000)] for row in range(3)]
    path.write_text("\n".join(",".join(line) for line in [names, *rows]))
    viewer.check(path, names, rows)
    assert viewer.rows(path, columns=("name_4999", "name_0")) == [[row[4999], row[0]] for row in rows]


def test_a_cell_of_50_mb_is_cut_in_the_text_and_whole_in_the_rows(path: Path, viewer: Viewer) -> None:
    long_cell = "long " * (10 * MIB)
    path.write_text(f"id,note\n1,{long_cell}\n2,short\n")
    head = viewer.view(path, "head")
    assert len(head["text"]) < 10_000
    assert "…" in head["text"]
    assert head["rows"] is not None
    assert head["rows"][0] == ["1", long_cell]
    assert viewer.view(path, "shape")["num_rows"] == 2
    assert viewer.rows(path, offset=1) == [["2", "short"]]
    assert viewer.rows(path, offset=0, n_rows=1) == [["1", long_cell]]
    assert viewer.view(path, "tail", n_rows=1)["rows"] == [["2", "short"]]


def test_a_cell_of_50_mb_in_quotes_is_whole_in_the_rows(path: Path, viewer: Viewer) -> None:
    lines = "line\n" * (10 * MIB)
    path.write_text(f'id,note\n1,"{lines}"\n2,short\n')
    assert viewer.view(path, "shape")["num_rows"] == 2
    assert viewer.rows(path, offset=0, n_rows=1) == [["1", lines]]
    assert viewer.rows(path, offset=1) == [["2", "short"]]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"city,n\nZ\xfcrich,1\nBern,2\n", [["Z\ufffdrich", "1"], ["Bern", "2"]]),
        (b'city,n\n"Z\xfcrich, \xff",1\nBern,\xe2\x82\n', [["Z\ufffdrich, \ufffd", "1"], ["Bern", "\ufffd"]]),
    ],
)
def test_cells_that_are_not_utf_8_have_a_mark_and_others_are_right(
    content: bytes, rows: list[list[str]], path: Path, viewer: Viewer
) -> None:
    path.write_bytes(content)
    viewer.check(path, ["city", "n"], rows)
    assert any("not valid UTF-8" in warning for warning in viewer.view(path, "head")["warnings"])


def test_names_that_are_not_utf_8_are_reported(path: Path, viewer: Viewer) -> None:
    path.write_bytes(b"gr\xf6\xdfe,n\n1,2\n")
    viewer.check(path, ["gr\ufffd\ufffde", "n"], [["1", "2"]])
    assert any("not valid UTF-8" in warning for warning in viewer.view(path, "shape")["warnings"])


BORDERS = {"a chunk": (64, 1), "a piece": (8 * 1024, 3), "a sample": (64 * 1024, 5), "a block": (MIB, 11)}
"""Where they lie, and at how many bytes from each other the places are that are tried."""
CROSSING = b'"x\n""y"",\r\n",2\r\n"a"b,5" z\r\r\n"",""\n1,"\n"\n\xc3\xa9,"\xf0\x9f\xa6\x86"\r3,4\n'


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("filler", [b"%07d,x\n", b'"%05d",x\n', b'%06d",x\n', b"%06d,x\r\n"], ids=repr)
def test_records_across_a_border_are_read_like_any_other(filler: bytes, border: str, path: Path) -> None:
    size, step = BORDERS[border]
    for before in range(1, len(CROSSING) + 1, step):
        lines = max(0, size - before - len(b"name,n\n")) // 10
        header = b"name,n" + b"_" * (size - before - 10 * lines - len(b"name,n\n")) + b"\n"
        written = [filler % number for number in range(lines + 5)]
        path.write_bytes(b"".join([header, *written[:lines], CROSSING, *written[lines:]]))
        crossing = table_in(b"name,n\n" + CROSSING)[1]
        after = table_in(b"name,n\n" + b"".join(written[lines:]))[1]
        viewer = Viewer()
        assert viewer.view(path, "tail", n_rows=len(crossing) + 5)["rows"] == crossing + after
        assert viewer.view(path, "shape")["num_rows"] == lines + len(crossing) + 5
        for at, row in enumerate(crossing + after):
            assert viewer.rows(path, offset=lines + at, n_rows=1) == [row]


ANY_BYTES = st.lists(
    st.sampled_from([b'"', b",", b"\n", b"\r", b"\r\n", b";", b"x", b"#", b"\t", b"\0", "é".encode()]), max_size=200
).map(b"".join)


@given(text=ANY_BYTES)
@settings(max_examples=300, deadline=None)
def test_any_bytes_after_a_header_are_read_as_the_slow_reader_reads_them(
    text: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"name,value\n" + text)
    header, rows = table_in(b"name,value\n" + text)
    Viewer().check(path, header, rows, delimiter=",")


@given(text=ANY_BYTES, compressed=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_in_the_same_way_however_borders_fall(
    text: bytes, compressed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    whole = b"name,value\n" + text
    path.write_bytes(gzip.compress(whole) if compressed else whole)
    with small_borders():
        Viewer().check(path, *table_in(whole), delimiter=",")


@given(text=st.text(st.sampled_from('",\n\r;x\t\0é'), max_size=60))
@settings(max_examples=300, deadline=None)
def test_records_and_cells_are_those_of_the_slow_reader(text: str) -> None:
    for delimiter in (b",", b";", b"\t"):
        whole = text.encode()
        found, consumed = _records.split(whole, delimiter, ord('"'), 1000)
        found += [rest] if (rest := whole[consumed:].lstrip(b"\r\n")) else []
        cells = [_records.cells(record, delimiter, ord('"'), "strict") for record in found]
        assert cells == [[cell.decode() for cell in record] for record in records_of(whole, delimiter)]


@given(text=ANY_BYTES, block=st.integers(1, 70), begin=st.integers(0, 20), padding=st.integers(0, 200))
@settings(max_examples=300, deadline=None)
def test_blocks_are_counted_for_every_state_before_them(
    text: bytes, block: int, begin: int, padding: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = b"x" * padding + text
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    path.write_bytes(text)
    begin = min(begin, len(text))
    after_newline = begin == 0 or text[begin - 1 : begin] in (b"\n", b"\r")
    with path.open("rb") as file:
        counted = _records.count_blocks(file.fileno(), begin, len(text), block, after_newline, b",", ord('"'))
    starts = range(begin, len(text), block)
    assert len(counted) == len(starts)
    for start, (counts, ends) in zip(starts, counted, strict=True):
        after = start == 0 or text[start - 1 : start] in (b"\n", b"\r")
        expected = [count_from(text[start : start + block], state, after) for state in (PLAIN, ARMED, INSIDE)]
        assert list(zip(counts, ends, strict=True)) == expected


@given(text=ANY_BYTES, cut=st.integers(0, 200), number=st.integers(0, 10))
@settings(max_examples=300, deadline=None)
def test_a_record_end_is_found_where_the_slow_count_passes_it(text: bytes, cut: int, number: int) -> None:
    state, after_newline = (
        count_from(text[:cut], ARMED, True)[1],
        not text[:cut] or text[cut - 1 : cut] in (b"\n", b"\r"),
    )
    piece = text[cut:]
    found = _records.find(piece, state, after_newline, b",", ord('"'), number)
    counts = [count_from(piece[:length], state, after_newline)[0] for length in range(len(piece) + 1)]
    expected = next((length - 1 for length, count in enumerate(counts) if count == number + 1), -1)
    assert found == expected


def test_counting_blocks_of_a_file_that_became_shorter_is_an_error(path: Path) -> None:
    path.write_bytes(b"a\n" * 100)
    with path.open("rb") as file, pytest.raises(EOFError):
        _records.count_blocks(file.fileno(), 0, 201, 64, True, b",", ord('"'))


def test_every_row_of_many_blocks_is_found_again(path: Path, viewer: Viewer) -> None:
    wide = "w" * 40_000
    rows = [[str(number), f'{wide}"\n' if number % 3 else wide] for number in range(120)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "wide"], *rows])
    for offset in range(119, -1, -1):
        assert viewer.rows(path, offset=offset, n_rows=1) == [rows[offset]]
    assert viewer.view(path, "shape")["num_rows"] == 120
    assert viewer.view(path, "tail", n_rows=120)["rows"] == rows
