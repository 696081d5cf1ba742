from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analystd.data import csv_blocks, csv_index, csv_scan
from analystd.data.csv_dialect import Dialect, split_cells, split_records
from analystd.data.csv_index import RecordIndex
from analystd.data.csv_scan import ARMED, INSIDE, PLAIN, context_before, iterate_records, line_ends
from analystd.data.random_file import RandomFile
from analystd.errors import WorkspaceError

OpenFile = Callable[[bytes], RandomFile]

ANY_TEXT = st.lists(st.sampled_from(["a", '"', ",", "\n", "\r\n", "5"]), max_size=400).map("".join)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blocks of one word, so that borders fall everywhere."""
    for module in (csv_blocks, csv_index):
        monkeypatch.setattr(module, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_blocks, "STRIPE_BLOCKS", 2)
    monkeypatch.setattr(csv_index, "STRIPE_BLOCKS", 2)
    monkeypatch.setattr(csv_scan, "_FIRST_CHUNK_BYTES", 5)
    monkeypatch.setattr(csv_scan, "_CHUNK_BYTES", 11)
    yield


def records_by_csv(text: str) -> list[list[str]]:
    """What Python's own reader makes of the text; blank lines are no records."""
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def test_a_newline_inside_quotes_ends_nothing(open_bytes: OpenFile) -> None:
    file = open_bytes(b'id,note\n1,"two\nlines"\n2,one\n')
    assert list(iterate_records(file, 0, Dialect())) == [b"id,note", b'1,"two\nlines"', b"2,one"]


def test_a_quote_inside_an_unquoted_cell_is_text(open_bytes: OpenFile) -> None:
    file = open_bytes(b'part,size\nA,5" pipe\nB,6" pipe\n')
    assert list(iterate_records(file, 0, Dialect())) == [b"part,size", b'A,5" pipe', b'B,6" pipe']
    assert RecordIndex(Dialect(), file.size).count(file) == 3


def test_blank_lines_are_no_records(open_bytes: OpenFile) -> None:
    file = open_bytes(b"\n\r\na\n\n1\n\r\n2\n\n")
    assert list(iterate_records(file, 0, Dialect())) == [b"a", b"1", b"2"]
    assert RecordIndex(Dialect(), file.size).count(file) == 3


@pytest.mark.parametrize(
    ("content", "count"),
    [(b"", 0), (b"\n", 0), (b"\r", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"a\r\nb\r", 2), (b'a\n"', 2)],
)
def test_the_last_record_counts_with_and_without_a_newline(open_bytes: OpenFile, content: bytes, count: int) -> None:
    file = open_bytes(content)
    assert RecordIndex(Dialect(), file.size).count(file) == count
    assert len(list(iterate_records(file, 0, Dialect()))) == count


def test_lone_carriage_returns_end_records_where_the_dialect_says_so(open_bytes: OpenFile) -> None:
    dialect = Dialect(newline=b"\r")
    file = open_bytes(b'a,b\r1,"x\ry"\r\r2,z')
    assert list(iterate_records(file, 0, dialect)) == [b"a,b", b'1,"x\ry"', b"2,z"]
    assert RecordIndex(dialect, file.size).count(file) == 3


def test_a_quote_that_is_never_closed_is_reported_and_not_read_into_memory(
    open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_scan, "MAX_RECORD_BYTES", 100_000)
    file = open_bytes(b'a,b\n1,"' + b"x,y\n" * 100_000)
    with pytest.raises(WorkspaceError, match="longer than"):
        list(iterate_records(file, 0, Dialect()))


@pytest.mark.parametrize(
    ("block", "before", "after"),
    [
        (b"ab", PLAIN, PLAIN),
        (b"a,", PLAIN, ARMED),
        (b'"a', ARMED, INSIDE),
        (b'"a', PLAIN, PLAIN),
        (b'a"', INSIDE, ARMED),
    ],
)
def test_a_block_tells_the_state_that_the_next_begins_in(block: bytes, before: int, after: int) -> None:
    window = np.frombuffer(context_before(b"xx", Dialect()) + block, np.uint8)
    assert line_ends(window, before, Dialect()).state == after


@pytest.mark.usefixtures("small_blocks")
@given(text=ANY_TEXT)
@example(text='a,"b\n""c"\n5" ,"x"y"z\n""\n')
@settings(max_examples=400, deadline=None)
def test_records_are_those_of_pythons_csv_however_blocks_fall(text: str, open_bytes: OpenFile) -> None:
    file = open_bytes(text.encode())
    expected = records_by_csv(text)
    records = list(iterate_records(file, 0, Dialect()))
    assert [[cell.decode() for cell in split_cells(record, Dialect())] for record in records] == expected
    index = RecordIndex(Dialect(), file.size)
    assert index.count(file) == len(expected)
    for number in range(len(expected)):
        offset = index.seek(file, number)
        assert offset is not None
        assert list(itertools.islice(iterate_records(file, offset, Dialect()), 1)) == [records[number]]
    assert len(expected) == 0 or index.seek(file, len(expected)) is None


@pytest.mark.usefixtures("small_blocks")
@given(text=ANY_TEXT)
@settings(max_examples=200, deadline=None)
def test_samples_are_split_as_whole_files_are(text: str, open_bytes: OpenFile) -> None:
    records, rest = split_records(text.encode(), Dialect())
    last = [rest.removesuffix(b"\r")] if rest.removesuffix(b"\r") else []
    assert records + last == list(iterate_records(open_bytes(text.encode()), 0, Dialect()))


def test_an_index_reads_only_as_far_as_it_is_asked(open_bytes: OpenFile) -> None:
    file = open_bytes(b"0123456\n" * (csv_blocks.BLOCK_BYTES // 2))
    index = RecordIndex(Dialect(), file.size)
    assert index.seek(file, 3) == 24
    assert index.total is None
    assert index.count(file) == csv_blocks.BLOCK_BYTES // 2
    assert index.nbytes < 100


def test_seeking_skips_blocks_that_lie_inside_one_cell(open_bytes: OpenFile) -> None:
    long_cell = b"line\n" * (csv_blocks.BLOCK_BYTES // 2)
    file = open_bytes(b'a\n"' + long_cell + b'"\nlast\n')
    index = RecordIndex(Dialect(), file.size)
    assert index.count(file) == 3
    assert index.seek(file, 2) == file.size - len(b"last\n")


def test_a_byte_order_mark_is_no_part_of_the_first_record(open_bytes: OpenFile, tmp_path: Path) -> None:
    dialect = Dialect(start=3)
    file = open_bytes(b"\xef\xbb\xbf\na\n1\n")
    assert list(iterate_records(file, dialect.start, dialect)) == [b"a", b"1"]
    assert RecordIndex(dialect, file.size).count(file) == 2
