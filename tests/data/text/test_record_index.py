from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analystd.data.positioned_file import PositionedFile
from analystd.data.text import _records, record_index
from analystd.data.text import records as text_records
from analystd.data.text.dialect import Dialect
from analystd.data.text.record_index import ARMED, INSIDE, PLAIN, RecordIndex
from analystd.data.text.records import TextRecords
from analystd.wire.errors import WorkspaceError

OpenFile = Callable[[bytes], PositionedFile]

BARE = Dialect(header=False)
PIECES = ["a", '"', ",", "\n", "\r\n", "\r", "5", "é", "x" * 30, "y" * 64]
BLOCKS = st.sampled_from([1, 7, 64, 65])
ANY_TEXT = st.lists(st.sampled_from(PIECES), max_size=200).map("".join)


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Blocks so small that borders fall everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_index, "BLOCK_BYTES", size)
        patch.setattr(record_index, "_SEARCHED_BYTES", 3)
        patch.setattr(text_records, "_FIRST_READ_BYTES", 5)
        patch.setattr(text_records, "_READ_BYTES", 11)
        yield


def records_by_csv(text: str) -> list[list[str]]:
    """Return the text's records by Python's own reader; blank lines are not records."""
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def all_records(text: TextRecords) -> list[list[str]]:
    return [BARE.cells(record) for record in text.records(0, 10**9)]


@given(text=ANY_TEXT, size=BLOCKS)
@example(size=7, text='a\n"b\r"\r\n\r"c""d"\n5"5,"x\n')
@settings(deadline=None, max_examples=150)
def test_records_are_those_of_pythons_csv_wherever_the_borders_fall(text: str, size: int, open_bytes: OpenFile) -> None:
    with blocks_of(size):
        expected = records_by_csv(text)
        file = open_bytes(text.encode())
        index = RecordIndex(BARE)
        records = TextRecords(file, BARE, index)
        assert all_records(records) == expected
        assert records.count() == len(expected)
        assert [BARE.cells(record) for record in records.tail(3)] == expected[-3:]
        for at in range(len(expected) + 2):
            assert [BARE.cells(record) for record in records.records(at, 2)] == expected[at : at + 2]
        chunks = list(records.chunks())
        assert [chunk.first_row for chunk in chunks] == [
            *itertools.accumulate((chunk.num_rows for chunk in chunks[:-1]), initial=0)
        ][: len(chunks)]
        assert [row for chunk in chunks for row in records_by_csv(chunk.data.decode())] == expected
        for chunk in chunks:
            assert next(records.chunks(chunk.number)) == chunk


@given(text=ANY_TEXT, size=BLOCKS)
@settings(deadline=None, max_examples=100)
def test_a_text_that_is_read_in_sequence_has_the_same_index(text: str, size: int, open_bytes: OpenFile) -> None:
    with blocks_of(size):

        class OneWay:
            """Content that hides the file, so that it is counted in sequence."""

            def __init__(self, file: PositionedFile) -> None:
                self._file = file

            def __getattr__(self, name: str) -> object:
                return getattr(self._file, name)

        file = open_bytes(text.encode())
        one, other = RecordIndex(BARE), RecordIndex(BARE)
        assert one.count(file) == other.count(OneWay(file))  # type: ignore[arg-type]
        assert (list(one._before), one._states) == (list(other._before), other._states)


@given(text=ANY_TEXT, size=BLOCKS, cut=st.integers(0, 400))
@settings(deadline=None, max_examples=100)
def test_an_index_of_the_beginning_is_extended_to_the_whole_text(
    text: str, cut: int, size: int, open_bytes: OpenFile
) -> None:
    with blocks_of(size):
        whole = text.encode()
        begun = RecordIndex(BARE)
        beginning = whole[:cut]
        begun.count(open_bytes(beginning))
        file = open_bytes(whole)
        extended, fresh = begun.grown(len(beginning)), RecordIndex(BARE)
        assert extended.count(file) == fresh.count(file)
        assert (list(extended._before), extended._states) == (list(fresh._before), fresh._states)


def test_seeking_reads_no_further_than_the_row(open_bytes: OpenFile) -> None:
    line = b"0123456,0123456\n"
    file = open_bytes(line * (5 * record_index.BLOCK_BYTES // len(line)))
    index = RecordIndex(BARE)
    assert index.seek(file, 100_000) == 100_000 * len(line)
    assert index.total is None
    assert index.nbytes < 100
    assert index.seek(file, 10**9) is None
    assert index.total == 5 * record_index.BLOCK_BYTES // len(line)


def test_an_unclosed_quote_is_reported_and_not_read_into_memory(
    open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_records, "MAX_RECORD_BYTES", 1024 * 1024)
    file = open_bytes(b'a,b\n1,2\n3,"open\n' + b"4,5\n" * 1_000_000)
    records = TextRecords(file, Dialect(), RecordIndex(Dialect()))
    assert records.records(0, 1) == [b"1,2"]
    assert records.count() == 2
    assert records.unclosed
    with pytest.raises(WorkspaceError, match=r"A row of x\.csv is longer than 1 MiB") as caught:
        records.records(1, 1)
    assert caught.value.hint == "A quoted cell may lack its closing quote"
    with pytest.raises(WorkspaceError, match="is longer than"):
        list(records.chunks())


def test_a_cancelled_count_ends(open_bytes: OpenFile) -> None:
    file = open_bytes(b"a\n" * 10)
    file.listener.cancelled.set()
    with pytest.raises(Exception, match="was cancelled"):
        RecordIndex(BARE).count(file)


def test_the_progress_of_a_count_is_reported(open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_index, "_MOST_BLOCKS_AT_ONCE", 1)
    heard: list[float] = []
    file = open_bytes(b"a\n" * (2 * record_index.BLOCK_BYTES))
    object.__setattr__(file.listener, "report", heard.append)
    RecordIndex(BARE).count(file)
    assert heard == [0.25, 0.5, 0.75, 1.0]


@given(text=ANY_TEXT.map(str.encode), block=st.integers(1, 130), state=st.sampled_from([PLAIN, ARMED, INSIDE]))
@settings(deadline=None, max_examples=300)
def test_a_block_is_counted_for_every_state_before_it(
    text: bytes, block: int, state: int, open_bytes: OpenFile
) -> None:
    file = open_bytes(text)
    blocks = _records.count_blocks(file.descriptor, 0, len(text), block, True, b",", ord('"'))
    total, now = 0, state
    for counts, states in blocks:
        total, now = total + counts[now], states[now]
    assert (total, now) == _records.count(text, state, True, b",", ord('"'))


def test_blocks_beyond_the_end_of_a_file_are_an_error(open_bytes: OpenFile) -> None:
    with pytest.raises(EOFError):
        _records.count_blocks(open_bytes(b"abc").descriptor, 0, 10, 4, True, b",", 34)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _records.count_blocks(-1, 0, 10, 4, True, b",", 34)
    with pytest.raises(ValueError, match="wrong way round"):
        _records.count_blocks(0, 10, 0, 4, True, b",", 34)


def test_a_file_truncated_while_it_is_counted_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    size = 8 * 1024 * 1024
    path.write_bytes(b"1,2\n" * (size // 4))
    reported = 0
    with path.open("r+b") as file, ThreadPoolExecutor(1) as pool:
        for _ in range(100):
            cut = pool.submit(os.truncate, path, 4096)
            try:
                ((counts, _), *_) = _records.count_blocks(file.fileno(), 0, size, size, True, b",", 34)
                assert counts[ARMED] == size // 4
            except EOFError:
                reported += 1
            cut.result()
            file.seek(0)
            file.write(b"1,2\n" * (size // 4))
            file.flush()
    assert reported > 0
