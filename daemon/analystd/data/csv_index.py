"""How many records of a delimited text file end before each of its blocks: to count rows and to seek to one.

Where a block has no quote and no blank line, its newlines are counted, by several threads; the other blocks take the way of `csv_scan`.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from analystd.data.csv_dialect import QUOTE, Dialect, strip_line_end
from analystd.data.csv_scan import ARMED, CONTEXT_BYTES, INSIDE, Bytes, context_before, line_ends, state_after_byte
from analystd.data.random_file import RandomFile

BLOCK_BYTES = 1024 * 1024

_MOST_BLOCKS_AT_ONCE = 64
_THREADS = min(4, len(os.sched_getaffinity(0)))
_UNKNOWN = -1

_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="scan")


class RecordIndex:
    """How many records end before each block, filled as far as was asked: counts, and seeks by reading one block again.

    It holds 9 bytes for each block and no descriptor, so that it can be kept for the next time that the same file is opened.
    """

    def __init__(self, dialect: Dialect, size: int) -> None:
        self._dialect = dialect
        self._size = size
        self._before = array("q", [0])
        self._states = bytearray([ARMED])
        self._total: int | None = None
        self._lock = threading.Lock()

    @property
    def total(self) -> int | None:
        """All records of the file, the header among them; None until it was read to its end."""
        return self._total

    def count(self, file: RandomFile) -> int:
        """All records of the file, the header among them; reads what was not read before. Raises as `RandomFile.read`."""
        self._extend(file, None)
        assert self._total is not None
        return self._total

    def seek(self, file: RandomFile, record: int) -> int | None:
        """Where record number `record` (from 0) begins, or blank lines before it; None if there is none. Raises as `RandomFile.read`."""
        if record == 0:
            return self._dialect.start
        self._extend(file, record)
        if self._total is not None and record >= self._total:
            return None
        number = bisect_right(self._before, record - 1) - 1
        ends = line_ends(_window(file, self._begin(number), self._dialect), self._states[number], self._dialect)
        return self._begin(number) + int(ends.records[record - 1 - self._before[number]]) + 1

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._before.itemsize * len(self._before) + len(self._states)

    def _extend(self, file: RandomFile, record: int | None) -> None:
        """Read on until `record` is known to begin somewhere, to the end for None."""
        at_once = 1
        while self._total is None and (record is None or self._before[-1] < record):
            # Others may read the same file meanwhile, so each holds the lock for one step only.
            with self._lock:
                self._extend_by(file, at_once)
            at_once = min(2 * at_once, _MOST_BLOCKS_AT_ONCE)

    def _extend_by(self, file: RandomFile, blocks: int) -> None:
        begin = len(self._states) - 1
        end = min(begin + blocks, self._blocks())
        for number, (count, last) in enumerate(self._plain_counts(file, begin, end), begin):
            self._append(file, number, count, last)
        if end == self._blocks() and self._total is None:
            self._total = self._before[-1] + self._ends_without_newline(file)

    def _append(self, file: RandomFile, number: int, count: int, last: int) -> None:
        state = self._states[number]
        if count == _UNKNOWN:
            ends = line_ends(_window(file, self._begin(number), self._dialect), state, self._dialect)
            count, state = len(ends.records), ends.state
        elif state == INSIDE:
            count = 0
        else:
            state = state_after_byte(last, self._dialect)
        self._before.append(self._before[-1] + count)
        self._states.append(state)

    def _plain_counts(self, file: RandomFile, begin: int, end: int) -> list[tuple[int, int]]:
        """What `_plain_count` says of each block from `begin` to `end`."""
        numbers = iter(range(begin, end))
        counts: dict[int, tuple[int, int]] = {}

        def work() -> None:
            counter = _Counter(file, self._dialect)
            # Taking the next number is one step of the interpreter: no two threads get the same.
            for number in numbers:
                counts[number] = counter.count(self._begin(number))

        if end - begin < _THREADS:
            work()
        else:
            for task in [_pool.submit(work) for _ in range(_THREADS)]:
                task.result()
        return [counts[number] for number in range(begin, end)]

    def _ends_without_newline(self, file: RandomFile) -> bool:
        """Whether the file's last record is one that no newline ends."""
        if self._states[-1] == INSIDE:
            return True
        length = min(CONTEXT_BYTES, self._size - self._dialect.start)
        last = context_before(file.read(self._size - length, length), self._dialect)
        return not last.endswith(self._dialect.newline) and bool(
            strip_line_end(last[-1:], self._dialect) or not last.startswith(self._dialect.newline)
        )

    def _begin(self, number: int) -> int:
        return self._dialect.start + number * BLOCK_BYTES

    def _blocks(self) -> int:
        return -(-(self._size - self._dialect.start) // BLOCK_BYTES)


class _Counter:
    """Counts the records of blocks in which no quote is met; each thread has its own, with its own memory."""

    def __init__(self, file: RandomFile, dialect: Dialect) -> None:
        self._file = file
        self._dialect = dialect
        self._buffer = bytearray(CONTEXT_BYTES + BLOCK_BYTES)
        self._bytes = np.frombuffer(self._buffer, np.uint8)
        self._marks = np.empty(CONTEXT_BYTES + BLOCK_BYTES, np.bool_)

    def count(self, begin: int) -> tuple[int, int]:
        """The record ends in the block from `begin`, and its last byte; `_UNKNOWN` where the quoting rule or a blank line is to be minded."""
        length = _read_window(self._file, begin, self._buffer, self._dialect)
        last = self._buffer[length - 1]
        if self._buffer.find(QUOTE, CONTEXT_BYTES, length) >= 0:
            return _UNKNOWN, last
        marks = np.equal(self._bytes[:length], self._dialect.newline[0], out=self._marks[:length])
        if self._may_have_blank_lines(marks):
            return _UNKNOWN, last
        return int(np.count_nonzero(marks[CONTEXT_BYTES:])), last

    def _may_have_blank_lines(self, marks: NDArray[np.bool_]) -> bool:
        if np.logical_and(marks[1:], marks[:-1]).any():
            return True
        returns = self._dialect.newline != b"\r" and self._buffer.find(b"\r", 0, len(marks)) >= 0
        return returns and bool(np.logical_and(marks[2:], marks[:-2]).any())


def _window(file: RandomFile, begin: int, dialect: Dialect) -> Bytes:
    """The block from `begin` after its context, in memory of its own."""
    buffer = bytearray(CONTEXT_BYTES + BLOCK_BYTES)
    return np.frombuffer(buffer, np.uint8)[: _read_window(file, begin, buffer, dialect)]


def _read_window(file: RandomFile, begin: int, buffer: bytearray, dialect: Dialect) -> int:
    """How many bytes of `buffer` were filled: with the block from `begin`, after its context."""
    known = min(CONTEXT_BYTES, begin - dialect.start)
    first = CONTEXT_BYTES - known
    buffer[:first] = dialect.newline * first
    length = min(CONTEXT_BYTES + BLOCK_BYTES, CONTEXT_BYTES + file.size - begin)
    with memoryview(buffer) as view:
        file.read_into(view[first:length], begin - known)
    return length
