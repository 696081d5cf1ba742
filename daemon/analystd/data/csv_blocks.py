"""The newlines of blocks counted at the speed of memory, for the blocks that hold neither a quote nor a blank line.

Newlines become one bit each, so that what needs their neighbourhood (is a line blank?) looks at an eighth of the bytes.
Every call into numpy gives other threads their turn, which costs more than it gains on short arrays: so the bits of a
stripe of blocks are collected before they are looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analystd.data.csv_dialect import QUOTE, Dialect
from analystd.data.csv_scan import CONTEXT_BYTES, context_before
from analystd.data.random_file import RandomFile

BLOCK_BYTES = 1024 * 1024
STRIPE_BLOCKS = 8

UNKNOWN = -1

Words = NDArray[np.uint64]

_WORD_BITS = 64


def block_begin(number: int, dialect: Dialect) -> int:
    """Where a block begins in the file."""
    return dialect.start + number * BLOCK_BYTES


class BlockCounter:
    """Counts the records that end in blocks; each thread has its own, with its own memory."""

    def __init__(self, file: RandomFile, dialect: Dialect) -> None:
        self._file = file
        self._dialect = dialect
        self._buffer = bytearray(BLOCK_BYTES)
        self._bytes = np.frombuffer(self._buffer, np.uint8)
        self._marks = np.empty(BLOCK_BYTES, np.bool_)
        # The first word is what comes before the stripe.
        self._words = np.zeros(1 + STRIPE_BLOCKS * self._words_per_block, np.uint64)

    def count(self, first: int, blocks: int) -> list[tuple[int, int]]:
        """The record ends in each of the blocks, and its last byte; `UNKNOWN` for one in which there is a quote, or may be a blank line."""
        self._words[0] = self._context_word(block_begin(first, self._dialect))
        plain, last = zip(*(self._read(first + at, at) for at in range(blocks)), strict=True)
        words = self._words[: 1 + blocks * self._words_per_block]
        crowded = _close_marks(words).reshape(blocks, -1).any(axis=1)
        counts = np.bitwise_count(words[1:]).reshape(blocks, -1).sum(axis=1, dtype=np.int64)
        exact = np.array(plain) & ~crowded
        return list(zip(np.where(exact, counts, UNKNOWN).tolist(), last, strict=True))

    def _read(self, number: int, at: int) -> tuple[bool, int]:
        """Make the words of a block, the stripe's `at`-th; whether it is without a quote, and its last byte."""
        begin = block_begin(number, self._dialect)
        length = min(BLOCK_BYTES, self._file.size - begin)
        with memoryview(self._buffer) as view:
            self._file.read_into(view[:length], begin)
        np.equal(self._bytes, self._dialect.newline[0], out=self._marks)
        self._marks[length:] = False
        place = 1 + at * self._words_per_block
        self._words[place : place + self._words_per_block] = np.packbits(self._marks, bitorder="little").view(np.uint64)
        return self._buffer.find(QUOTE, 0, length) < 0, self._buffer[length - 1]

    def _context_word(self, begin: int) -> int:
        """A word whose last bits are those of the bytes before a block."""
        known = min(CONTEXT_BYTES, begin - self._dialect.start)
        context = context_before(self._file.read(begin - known, known), self._dialect)
        bits = sum((byte == self._dialect.newline[0]) << at for at, byte in enumerate(context))
        return bits << (_WORD_BITS - CONTEXT_BYTES)

    @property
    def _words_per_block(self) -> int:
        return -(-BLOCK_BYTES // _WORD_BITS)


def _close_marks(words: Words) -> Words:
    """For each word but the first, the marks that have another one or two places before them: a blank line, or a line of one character."""
    before, here = words[:-1], words[1:]
    close: Words = np.left_shift(here, 1)
    scratch: Words = np.left_shift(here, 2)
    close |= scratch
    for distance in (1, 2):
        close |= np.right_shift(before, _WORD_BITS - distance, out=scratch)
    close &= here
    return close
