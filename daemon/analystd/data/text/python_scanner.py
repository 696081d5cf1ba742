"""The scanner of `_records.c` in Python and numpy, for installations without a compiler: the same functions, 4 to 60 times slower.

A piece of text is processed as arrays of booleans, one for each byte. Whether a byte is inside quotes is the parity of the quotes up to it, as
long as every opening quote is where it may open a cell; otherwise the piece is processed quote by quote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing_extensions import Buffer

PLAIN, ARMED, INSIDE = 0, 1, 2

_NEWLINES = b"\r\n"
_PIECE_BYTES = 64 * 1024

Mask = npt.NDArray[np.bool_]
PerState = tuple[int, int, int]


class _Rule(NamedTuple):
    delimiter: int
    quote: int


class _State(NamedTuple):
    number: int
    after_newline: bool
    """Whether the previous byte is a line end, or the text begins here."""


class _Piece:
    """A non-empty piece of a text."""

    def __init__(self, text: bytes, rule: _Rule) -> None:
        self._text = text
        self._rule = rule
        bytes_ = np.frombuffer(text, np.uint8)
        self._newlines: Mask = (bytes_ == 10) | (bytes_ == 13)
        self._quotes: Mask | None = None
        if rule.quote >= 0 and bytes((rule.quote,)) in text:
            self._quotes = bytes_ == rule.quote
            self._delimiters: Mask = bytes_ == rule.delimiter

    def ends(self, state: _State) -> tuple[Mask, _State]:
        """Return the positions at which records end, and the state after the piece, given the state before it."""
        outside, number = self._outside(state.number)
        ends = self._newlines & outside & ~_shifted(self._newlines, state.after_newline)
        return ends, _State(number, bool(self._newlines[-1]))

    def _outside(self, number: int) -> tuple[Mask, int]:
        """Return a mask of the bytes outside quotes, valid at line ends, and the state after the piece."""
        if self._quotes is None:
            inside = number == INSIDE
            return np.full(len(self._text), not inside), INSIDE if inside else self._state_outside()
        # Sums of 8 bits overflow, but keep their parity.
        odd = (np.cumsum(self._quotes, dtype=np.uint8) & 1).astype(np.bool_)
        inside_mask: Mask = ~odd if number == INSIDE else odd
        openers, closers = self._quotes & inside_mask, self._quotes & ~inside_mask
        may_open = _shifted(self._newlines | self._delimiters | closers, number == ARMED)
        if (openers & ~may_open).any():
            return self._outside_by_quotes(number)
        return ~inside_mask, INSIDE if inside_mask[-1] else self._state_outside(closed=bool(closers[-1]))

    def _outside_by_quotes(self, number: int) -> tuple[Mask, int]:
        """Do the same quote by quote, for pieces in which some quotes are text."""
        text, quote = self._text, bytes((self._rule.quote,))
        outside = np.ones(len(text), np.bool_)
        opened = 0 if number == INSIDE else -1
        closed = -1 if number == ARMED else -2
        """The position of the last closing quote; a piece that begins armed begins as if after one."""
        at = text.find(quote)
        while at >= 0:
            if opened >= 0:
                outside[opened:at] = False
                opened, closed = -1, at
            elif closed == at - 1 or (at > 0 and self._arms(text[at - 1])):
                opened = at
            at = text.find(quote, at + 1)
        if opened >= 0:
            outside[opened:] = False
            return outside, INSIDE
        return outside, self._state_outside(closed=closed == len(text) - 1)

    def _state_outside(self, *, closed: bool = False) -> int:
        return ARMED if closed or self._arms(self._text[-1]) else PLAIN

    def _arms(self, byte: int) -> bool:
        return byte == self._rule.delimiter or byte in _NEWLINES


def count_blocks(
    descriptor: int, begin: int, end: int, block_bytes: int, after_newline: bool, delimiter: bytes, quote: int, /
) -> list[tuple[PerState, PerState]]:
    """Return, for each block of a file from `begin` to `end`, the number of records that end in it and the state after it.

    Returns:
        Two triples for each block: the counts and the states after it, for the states PLAIN, ARMED and INSIDE before it.

    Raises:
        EOFError: when the file is shorter.
        OSError: when it cannot be read.
    """
    if begin < 0 or end < begin or block_bytes <= 0:
        raise ValueError("blocks lie the wrong way round")
    _require_length(descriptor, end)
    rule = _Rule(delimiter[0], quote)
    blocks = []
    for start in range(begin, end, block_bytes):
        states = [_State(number, bool(after_newline)) for number in (PLAIN, ARMED, INSIDE)]
        counts = [0, 0, 0]
        for text in _pieces_of_file(descriptor, start, min(start + block_bytes, end)):
            piece = _Piece(text, rule)
            passed = {state: _counted(piece, state) for state in set(states)}
            counts = [count + passed[state][0] for count, state in zip(counts, states, strict=True)]
            states = [passed[state][1] for state in states]
        after_newline = states[0].after_newline
        numbers = [state.number for state in states]
        blocks.append(((counts[0], counts[1], counts[2]), (numbers[0], numbers[1], numbers[2])))
    _require_length(descriptor, end)
    return blocks


def count(text: Buffer, state: int, after_newline: bool, delimiter: bytes, quote: int, /) -> tuple[int, int]:
    """Return the number of records that end in `text`, and the state after it."""
    now, records = _State(state, bool(after_newline)), 0
    for _, piece in _pieces(bytes(text), _Rule(delimiter[0], quote)):
        counted, now = _counted(piece, now)
        records += counted
    return records, now.number


def find(text: Buffer, state: int, after_newline: bool, delimiter: bytes, quote: int, number: int, /) -> int:
    """Return the position of the line end of the record that ends as number `number` (from 0) in `text`; -1 if fewer end there."""
    if number < 0:
        return -1
    ends = _each_end(bytes(text), _State(state, bool(after_newline)), _Rule(delimiter[0], quote))
    return next((end for passed, end in enumerate(ends) if passed == number), -1)


def split(text: Buffer, delimiter: bytes, quote: int, limit: int, /) -> tuple[list[bytes], int]:
    """Return the first `limit` records of `text` without their line ends, and the offset of the rest."""
    whole, records, begin = bytes(text), list[bytes](), 0
    if limit <= 0:
        return records, begin
    for end in _each_end(whole, _State(ARMED, True), _Rule(delimiter[0], quote)):
        records.append(whole[begin:end].lstrip(_NEWLINES))
        begin = end + 1
        if len(records) == limit:
            break
    return records, begin


def cells(record: Buffer, delimiter: bytes, quote: int, errors: str, /) -> list[str]:
    """Return the unquoted cells of one record; `errors` as in `bytes.decode`."""
    text, found, at = bytes(record), list[str](), 0
    while True:
        if at < len(text) and text[at] == quote:
            cell, stop = _unquoted(text, at, delimiter, bytes((quote,)))
        else:
            stop = _delimiter_from(text, at, delimiter)
            cell = text[at:stop]
        found.append(cell.decode("utf-8", errors))
        if stop >= len(text):
            return found
        at = stop + 1


def _unquoted(text: bytes, at: int, delimiter: bytes, quote: bytes) -> tuple[bytes, int]:
    """Return the characters of the quoted cell that begins at `at`, and its end."""
    parts = []
    while text.startswith(quote, at):
        close = text.find(quote, at + 1)
        stop = close if close >= 0 else len(text)
        parts.append(text[at + 1 : stop])
        at = min(stop + 1, len(text))
        if text.startswith(quote, at):
            parts.append(quote)
    stop = _delimiter_from(text, at, delimiter)
    return b"".join([*parts, text[at:stop]]), stop


def _delimiter_from(text: bytes, at: int, delimiter: bytes) -> int:
    found = text.find(delimiter, at)
    return found if found >= 0 else len(text)


def _each_end(text: bytes, state: _State, rule: _Rule) -> Iterator[int]:
    for offset, piece in _pieces(text, rule):
        ends, state = piece.ends(state)
        for end in np.flatnonzero(ends).tolist():
            yield offset + end


def _counted(piece: _Piece, state: _State) -> tuple[int, _State]:
    ends, after = piece.ends(state)
    return int(np.count_nonzero(ends)), after


def _pieces(text: bytes, rule: _Rule) -> Iterator[tuple[int, _Piece]]:
    for offset in range(0, len(text), _PIECE_BYTES):
        yield offset, _Piece(text[offset : offset + _PIECE_BYTES], rule)


def _pieces_of_file(descriptor: int, begin: int, end: int) -> Iterator[bytes]:
    at = begin
    while at < end:
        text = os.pread(descriptor, min(_PIECE_BYTES, end - at), at)
        if not text:
            raise EOFError("the file became shorter")
        at += len(text)
        yield text


def _require_length(descriptor: int, length: int) -> None:
    if os.fstat(descriptor).st_size < length:
        raise EOFError("the file became shorter")


def _shifted(mask: Mask, first: bool) -> Mask:
    """Return `mask` shifted by one byte, with `first` for the first byte."""
    shifted = np.empty_like(mask)
    shifted[0] = first
    shifted[1:] = mask[:-1]
    return shifted
