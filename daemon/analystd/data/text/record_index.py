"""An index of the number of records before each block of a text, to count rows, seek to a row, and cut the text into chunks.

A block's count depends on the state before it (inside quotes or not), which is known only after all blocks before it.
So several threads count each block for every possible state, and the states are resolved in order afterwards.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from analystd.data.positioned_file import PositionedFile
from analystd.data.text import scanner
from analystd.data.text.content import Content
from analystd.data.text.dialect import Dialect
from analystd.wire.errors import WorkspaceError

BLOCK_BYTES = 1024 * 1024
PLAIN, ARMED, INSIDE = 0, 1, 2
"""The states before a byte, in which a quote is text, opens a cell (or doubles the one before), or closes the cell."""

_STRIPE_BLOCKS = 12
_MOST_BLOCKS_AT_ONCE = 240
_SEARCHED_BYTES = 64 * 1024
# More threads would compete for memory bandwidth, and the pages that each maps count as this process's memory.
_THREADS = min(4, len(os.sched_getaffinity(0)))

_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="scan")

PerState = tuple[int, int, int]
Counted = tuple[PerState, PerState]


class RecordIndex:
    """An index that is built as far as needed. It takes 9 bytes per block and holds no descriptor, so that it can be cached."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._before = array("q", [0])
        self._states = bytearray([ARMED])
        self._total: int | None = None
        self._lock = threading.Lock()

    @property
    def total(self) -> int | None:
        """The number of records in the text, with the header; None until the end was reached."""
        return self._total

    @property
    def unclosed(self) -> bool:
        """Whether the text is known to end inside quotes."""
        return self._total is not None and self._states[-1] == INSIDE

    def count(self, content: Content) -> int:
        """Return the number of records in the text, with the header, reading what was not read before. Raises as `Content.read`."""
        while self._total is None:
            self._extend(content, _MOST_BLOCKS_AT_ONCE)
        return self._total

    def seek(self, content: Content, record: int) -> int | None:
        """Return the offset of record number `record` (from 0), or of blank lines before it; None if it does not exist. Raises as `Content.read`."""
        if record == 0:
            return self._dialect.start
        at_once = 1
        while self._total is None and self._before[-1] < record:
            self._extend(content, at_once)
            at_once = min(2 * at_once, _MOST_BLOCKS_AT_ONCE)
        if self._total is not None and record >= self._total:
            return None
        number = bisect_right(self._before, record - 1) - 1
        return self._end_in_block(content, number, record - 1 - self._before[number]) + 1

    def first_begin(self, content: Content, block: int) -> tuple[int, int] | None:
        """Return the offset and the number of the first record that begins after the start of a block; None if none does.

        For the first block, it is the text's first record. Raises as `Content.read`.
        """
        if block == 0:
            return self._dialect.start, 0
        while self._total is None and len(self._before) <= block:
            # A request for a few rows should not wait for many blocks.
            self._extend(content, min(max(_STRIPE_BLOCKS, len(self._states)), _MOST_BLOCKS_AT_ONCE))
        if block >= len(self._before):
            return None
        record = self._before[block] + 1
        begin = self.seek(content, record)
        return None if begin is None else (begin, record)

    def grown(self, size: int) -> RecordIndex:
        """Return an index for the text after bytes were appended to its first `size` bytes; it keeps the whole blocks among those."""
        longer = RecordIndex(self._dialect)
        with self._lock:
            whole = min(len(self._states) - 1, (size - self._dialect.start) // BLOCK_BYTES)
            longer._before = self._before[: whole + 1]
            longer._states = self._states[: whole + 1]
        return longer

    @property
    def nbytes(self) -> int:
        """The index's size in memory, in bytes."""
        return self._before.itemsize * len(self._before) + len(self._states)

    def _block_begin(self, number: int) -> int:
        return self._dialect.start + number * BLOCK_BYTES

    def _end_in_block(self, content: Content, number: int, which: int) -> int:
        """Return the position of record end number `which` (from 0) in a block."""
        begin, state = self._block_begin(number), self._states[number]
        after_newline = self._after_newline(content, begin)
        for length in (_SEARCHED_BYTES, BLOCK_BYTES):
            text = content.read(begin, length)
            found = scanner.find(text, state, after_newline, self._dialect.delimiter, self._dialect.quote, which)
            if found >= 0:
                return begin + found
        # The record was counted, so it exists unless the file is being rewritten.
        raise WorkspaceError(f"{content.name} was changed while it was read", "Try again when it is complete")

    def _after_newline(self, content: Content, offset: int) -> bool:
        return offset == self._dialect.start or content.read(offset - 1, 1) in (b"\n", b"\r")

    def _extend(self, content: Content, blocks: int) -> None:
        """Extend the index. Other threads may do so too, so each holds the lock for one step only."""
        with self._lock:
            if self._total is not None:
                return
            content.raise_if_cancelled()
            first = len(self._states) - 1
            for counts, states in self._counted(content, first, blocks):
                state = self._states[-1]
                self._before.append(self._before[-1] + counts[state])
                self._states.append(states[state])
            self._end(content, self._block_begin(first + blocks))
            content.listener.report(content.done(self._block_begin(len(self._states) - 1)))

    def _end(self, content: Content, read_to: int) -> None:
        """Record the total if the text ends before `read_to`."""
        size = content.size
        if size is None or size > read_to:
            return
        last = b"\n" if size <= self._dialect.start else content.read(size - 1, 1)
        open_end = self._states[-1] == INSIDE or last not in (b"\n", b"\r")
        self._total = self._before[-1] + open_end

    def _counted(self, content: Content, first: int, blocks: int) -> Iterator[Counted]:
        """Return the counts and states of at most `blocks` blocks from number `first`."""
        if isinstance(content, PositionedFile):
            return self._counted_in_parallel(content, first, blocks)
        return self._counted_one_by_one(content, first, blocks)

    def _counted_in_parallel(self, file: PositionedFile, first: int, blocks: int) -> Iterator[Counted]:
        end = min(file.size, self._block_begin(first + blocks))
        stripe = _STRIPE_BLOCKS * BLOCK_BYTES

        def work(begin: int) -> list[Counted]:
            try:
                return scanner.count_blocks(
                    file.descriptor,
                    begin,
                    min(begin + stripe, end),
                    BLOCK_BYTES,
                    self._after_newline(file, begin),
                    self._dialect.delimiter,
                    self._dialect.quote,
                )
            except EOFError:
                raise file.shortened() from None

        begins = range(self._block_begin(first), end, stripe)
        for stripe_counts in _pool.map(work, begins) if len(begins) > 1 else map(work, begins):
            yield from stripe_counts

    def _counted_one_by_one(self, content: Content, first: int, blocks: int) -> Iterator[Counted]:
        """Do the same for content that can only be read in sequence, so that the state before each block is known."""
        state = self._states[-1]
        begin = self._block_begin(first)
        after_newline = self._after_newline(content, begin)
        for offset in islice(range(begin, begin + blocks * BLOCK_BYTES, BLOCK_BYTES), blocks):
            text = content.read(offset, BLOCK_BYTES)
            if not text:
                return
            counted, state = scanner.count(text, state, after_newline, self._dialect.delimiter, self._dialect.quote)
            after_newline = text.endswith((b"\n", b"\r"))
            yield (counted, counted, counted), (state, state, state)


def too_long(name: str, limit: int) -> WorkspaceError:
    """Return the error for a record of more than `limit` bytes."""
    return WorkspaceError(
        f"A row of {name} is longer than {limit // 1024**2} MiB, the limit for a row",
        "A quoted cell may lack its closing quote",
    )
