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

from analystd.data.csv_blocks import BLOCK_BYTES, STRIPE_BLOCKS, UNKNOWN, BlockCounter, block_begin
from analystd.data.csv_dialect import Dialect, strip_line_end
from analystd.data.csv_scan import ARMED, CONTEXT_BYTES, INSIDE, Bytes, context_before, line_ends, state_after_byte
from analystd.data.random_file import RandomFile

_MOST_BLOCKS_AT_ONCE = 128
_THREADS = min(4, len(os.sched_getaffinity(0)))

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
        ends = line_ends(_window(file, number, self._dialect), self._states[number], self._dialect)
        return block_begin(number, self._dialect) + int(ends.records[record - 1 - self._before[number]]) + 1

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._before.itemsize * len(self._before) + len(self._states)

    def _extend(self, file: RandomFile, record: int | None) -> None:
        """Read on until `record` is known to begin somewhere, to the end for None."""
        at_once = _MOST_BLOCKS_AT_ONCE if record is None else 1
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
        if count == UNKNOWN:
            ends = line_ends(_window(file, number, self._dialect), state, self._dialect)
            count, state = len(ends.records), ends.state
        elif state == INSIDE:
            count = 0
        else:
            state = state_after_byte(last, self._dialect)
        self._before.append(self._before[-1] + count)
        self._states.append(state)

    def _plain_counts(self, file: RandomFile, begin: int, end: int) -> list[tuple[int, int]]:
        """What `BlockCounter` says of each block from `begin` to `end`; several threads take a stripe of them after the other."""
        stripes = range(begin, end, STRIPE_BLOCKS)
        taken = iter(stripes)
        counts: dict[int, list[tuple[int, int]]] = {}

        def work() -> None:
            counter = BlockCounter(file, self._dialect)
            # Taking the next one is a single step of the interpreter: no two threads get the same.
            for first in taken:
                counts[first] = counter.count(first, min(STRIPE_BLOCKS, end - first))

        if len(stripes) == 1:
            work()
        else:
            for task in [_pool.submit(work) for _ in range(_THREADS)]:
                task.result()
        return [count for first in stripes for count in counts[first]]

    def _ends_without_newline(self, file: RandomFile) -> bool:
        """Whether the file's last record is one that no newline ends."""
        if self._states[-1] == INSIDE:
            return True
        length = min(CONTEXT_BYTES, self._size - self._dialect.start)
        last = context_before(file.read(self._size - length, length), self._dialect)
        return not last.endswith(self._dialect.newline) and bool(
            strip_line_end(last[-1:], self._dialect) or not last.startswith(self._dialect.newline)
        )

    def _blocks(self) -> int:
        return -(-(self._size - self._dialect.start) // BLOCK_BYTES)


def _window(file: RandomFile, number: int, dialect: Dialect) -> Bytes:
    """A block after its context, in memory of its own."""
    begin = block_begin(number, dialect)
    known = min(CONTEXT_BYTES, begin - dialect.start)
    data = file.read(begin - known, known + BLOCK_BYTES)
    return np.frombuffer(context_before(data[:known], dialect) + data[known:], np.uint8)
