"""Where the records of a delimited text file end: exact by the quoting rule, at the speed of counting bytes where no quote is met.

The file is walked in blocks. A block is in one of three states at its beginning: PLAIN (a quote there would be text), ARMED (a quote there would
open a cell: at a cell's start, or right after a closing quote, where it makes a doubled one) or INSIDE a quoted cell. In a block without a quote,
every newline ends a record (INSIDE: none does), so counting is enough. In the others, the quotes that open or close a cell are told from those
that are text, and a newline ends a record if an even number of the former lies before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analystd.data.csv_dialect import QUOTE, Dialect, strip_line_end
from analystd.data.random_file import RandomFile
from analystd.errors import WorkspaceError

CONTEXT_BYTES = 2
MAX_RECORD_BYTES = 16 * 1024 * 1024

PLAIN, ARMED, INSIDE = 0, 1, 2

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]

_QUOTE = QUOTE[0]
_RETURN = ord("\r")
_FIRST_CHUNK_BYTES = 64 * 1024
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Ends:
    """The newlines of a block that end a line outside quotes, as positions in the block, and the state after the block."""

    newlines: Positions
    blank: NDArray[np.bool_]
    """Which of them end a line with nothing on it, which is no record."""
    state: int

    @property
    def records(self) -> Positions:
        """The newlines that end a record."""
        return self.newlines[~self.blank]


def line_ends(window: Bytes, state: int, dialect: Dialect) -> Ends:
    """The ends in a block: `window` is the block after two bytes of context, `state` the state at the block's beginning."""
    block = window[CONTEXT_BYTES:]
    newlines = np.flatnonzero(block == dialect.newline[0])
    switches = _switching_quotes(window, state, dialect)
    if switches.size or state == INSIDE:
        inside = (np.searchsorted(switches, newlines) + (state == INSIDE)) & 1
        newlines = newlines[inside == 0]
    return Ends(newlines, _blank(window, newlines, dialect), _state_after(window, switches, state, dialect))


def context_before(data: bytes | Bytes, dialect: Dialect) -> bytes:
    """The two bytes before what follows `data`; the beginning of a file counts as the end of a line."""
    return (dialect.newline * CONTEXT_BYTES + bytes(data[-CONTEXT_BYTES:]))[-CONTEXT_BYTES:]


def iterate_records(file: RandomFile, offset: int, dialect: Dialect) -> Iterator[bytes]:
    """The records from `offset`, which must be a record's beginning, one by one, without their line ends.

    Raises:
        WorkspaceError: for a record of more than 16 MiB, as an opening quote without a closing one makes.
    """
    state, chunk, rest = ARMED, _FIRST_CHUNK_BYTES, b""
    context = context_before(b"", dialect)
    while data := file.read(offset, chunk):
        ends = line_ends(np.frombuffer(context + data, np.uint8), state, dialect)
        begin = 0
        for end in ends.newlines.tolist():
            if record := strip_line_end(rest + data[begin:end], dialect):
                yield record
            begin, rest = end + 1, b""
        rest += data[begin:]
        if len(rest) > MAX_RECORD_BYTES:
            raise _too_long(file)
        offset, state, context = offset + len(data), ends.state, context_before(data, dialect)
        chunk = min(2 * chunk, _CHUNK_BYTES)
    if record := strip_line_end(rest, dialect):
        yield record


def _switching_quotes(window: Bytes, state: int, dialect: Dialect) -> Positions:
    """The quotes of a block that open or close a quoted cell; a doubled one does both."""
    quotes = np.flatnonzero(window[CONTEXT_BYTES:] == _QUOTE)
    openers = quotes[int(state == INSIDE) :: 2]
    if _may_open(window, openers, state, dialect).all():
        # Every second quote may open a cell, so none is text, and each one switches.
        return quotes
    return _switching_one_by_one(window, quotes, state, dialect)


def _may_open(window: Bytes, quotes: Positions, state: int, dialect: Dialect) -> NDArray[np.bool_]:
    """Which quotes stand where a quote opens a cell: at its start, or after a quote, if that one closed."""
    before = window.take(quotes + (CONTEXT_BYTES - 1))
    may: NDArray[np.bool_] = (before == dialect.delimiter[0]) | (before == dialect.newline[0]) | (before == _QUOTE)
    may[quotes == 0] = state == ARMED
    return may


def _switching_one_by_one(window: Bytes, quotes: Positions, state: int, dialect: Dialect) -> Positions:
    """The same where some quotes are text: then one after the other has to be told."""
    may_open = _may_open(window, quotes, state, dialect)
    follows_quote = window.take(quotes + (CONTEXT_BYTES - 1)) == _QUOTE
    switches: list[int] = []
    inside = state == INSIDE
    closed = -1 if state == ARMED else None
    for position, may, follows in zip(quotes.tolist(), may_open.tolist(), follows_quote.tolist(), strict=True):
        if inside:
            inside, closed = False, position
        elif may and (not follows or closed == position - 1):
            inside = True
        else:
            continue
        switches.append(position)
    return np.array(switches, np.int64)


def _blank(window: Bytes, newlines: Positions, dialect: Dialect) -> NDArray[np.bool_]:
    """Which of the newlines end a line with nothing on it: both ends lie outside quotes, since no quote is between them."""
    newline = dialect.newline[0]
    before = window[newlines + 1]
    blank: NDArray[np.bool_] = before == newline
    if dialect.newline != b"\r":
        blank |= (before == _RETURN) & (window[newlines] == newline)
    return blank


def _state_after(window: Bytes, switches: Positions, state: int, dialect: Dialect) -> int:
    if (switches.size + (state == INSIDE)) & 1:
        return INSIDE
    last = window.size - CONTEXT_BYTES - 1
    if switches.size and switches[-1] == last:
        return ARMED
    return state_after_byte(int(window[-1]), dialect)


def state_after_byte(last: int, dialect: Dialect) -> int:
    """The state after a byte that is outside quotes and is no quote that closes."""
    return ARMED if last in (dialect.delimiter[0], dialect.newline[0]) else PLAIN


def _too_long(file: RandomFile) -> WorkspaceError:
    return WorkspaceError(
        f"A row of {file.name} is longer than {MAX_RECORD_BYTES // 1024**2} MiB, the most that can be shown",
        "A quote that opens a cell may have no closing one",
    )
