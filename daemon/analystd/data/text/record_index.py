"""How many records of a text end before each of its blocks: to count rows, to seek to one, and to cut the text into stretches.

A block's count depends on the state before it (inside quotes or not), which is known only when all blocks before it are.
So each block is counted for every state that there may be, by several threads, and the chain is tied afterwards.
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
"""The state before a byte: a quote here would be text, would open a cell (or double the one before), would close it."""

_STRIPE_BLOCKS = 12
_MOST_BLOCKS_AT_ONCE = 240
_SEARCHED_BYTES = 64 * 1024
# More threads would wait for the same memory, and what each has mapped counts as this process's own.
_THREADS = min(4, len(os.sched_getaffinity(0)))

_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="scan")

PerState = tuple[int, int, int]
Counted = tuple[PerState, PerState]


class RecordIndex:
    """Filled as far as was asked. It holds 9 bytes for each block and no descriptor, so that it can be kept for the file's next opening."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._before = array("q", [0])
        self._states = bytearray([ARMED])
        self._total: int | None = None
        self._lock = threading.Lock()

    @property
    def total(self) -> int | None:
        """All records of the text, the header among them; None until it was read to its end."""
        return self._total

    @property
    def unclosed(self) -> bool:
        """Whether the text is known to end inside quotes."""
        return self._total is not None and self._states[-1] == INSIDE

    def count(self, content: Content) -> int:
        """All records of the text, the header among them; reads what was not read before. Raises as `Content.read`."""
        while self._total is None:
            self._extend(content, _MOST_BLOCKS_AT_ONCE)
        return self._total

    def seek(self, content: Content, record: int) -> int | None:
        """Where record number `record` (from 0) begins, or blank lines before it; None if there is none. Raises as `Content.read`."""
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
        """Where the first record that begins after the start of a block begins, and its number; None where none does.

        For the first block that is the text's first record. Raises as `Content.read`.
        """
        if block == 0:
            return self._dialect.start, 0
        while self._total is None and len(self._before) <= block:
            # Who looks for a few rows only should not wait for many blocks.
            self._extend(content, min(max(_STRIPE_BLOCKS, len(self._states)), _MOST_BLOCKS_AT_ONCE))
        if block >= len(self._before):
            return None
        record = self._before[block] + 1
        begin = self.seek(content, record)
        return None if begin is None else (begin, record)

    def grown(self, size: int) -> RecordIndex:
        """An index for the same text after something was appended to its first `size` bytes: it knows of the whole blocks among them."""
        longer = RecordIndex(self._dialect)
        with self._lock:
            whole = min(len(self._states) - 1, (size - self._dialect.start) // BLOCK_BYTES)
            longer._before = self._before[: whole + 1]
            longer._states = self._states[: whole + 1]
        return longer

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._before.itemsize * len(self._before) + len(self._states)

    def _block_begin(self, number: int) -> int:
        return self._dialect.start + number * BLOCK_BYTES

    def _end_in_block(self, content: Content, number: int, which: int) -> int:
        """Where record end number `which` (from 0) in a block is."""
        begin, state = self._block_begin(number), self._states[number]
        after_newline = self._after_newline(content, begin)
        for length in (_SEARCHED_BYTES, BLOCK_BYTES):
            text = content.read(begin, length)
            found = scanner.find(text, state, after_newline, self._dialect.delimiter, self._dialect.quote, which)
            if found >= 0:
                return begin + found
        # It was counted, so it is there, unless the file is being rewritten.
        raise WorkspaceError(f"{content.name} was changed while it was read", "Try again when it is complete")

    def _after_newline(self, content: Content, offset: int) -> bool:
        return offset == self._dialect.start or content.read(offset - 1, 1) in (b"\n", b"\r")

    def _extend(self, content: Content, blocks: int) -> None:
        """Read on. Others may read the same text meanwhile, so each holds the lock for one step only."""
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
            content.caller.report(content.done(self._block_begin(len(self._states) - 1)))

    def _end(self, content: Content, read_to: int) -> None:
        """Note the total if the text ends before `read_to`."""
        size = content.size
        if size is None or size > read_to:
            return
        last = b"\n" if size <= self._dialect.start else content.read(size - 1, 1)
        open_end = self._states[-1] == INSIDE or last not in (b"\n", b"\r")
        self._total = self._before[-1] + open_end

    def _counted(self, content: Content, first: int, blocks: int) -> Iterator[Counted]:
        """Counts and states of at most so many blocks from number `first`."""
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
        """The same for what can be read in one way only: then the state before each block is known."""
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
    """The error for a record of more than `limit` bytes."""
    return WorkspaceError(
        f"A row of {name} is longer than {limit // 1024**2} MiB, the most that can be shown",
        "A quote that opens a cell may have no closing one",
    )
