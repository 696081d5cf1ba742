"""A reader of delimited text byte by byte, with which the scanners are compared. It is itself compared with Python's `csv`."""

from __future__ import annotations

PLAIN, ARMED, INSIDE = 0, 1, 2
"""The states before a byte, in which a quote is text, opens a cell (or doubles the one before), or closes the cell."""

_QUOTE = b'"'
_LINE_ENDS = (b"\n", b"\r")


def records_of(text: bytes, delimiter: bytes = b",") -> list[list[bytes]]:
    """Return the records of a text as cells; empty lines are not records."""
    records: list[list[bytes]] = []
    cells: list[bytes] = [b""]
    state, closed, empty = ARMED, False, True
    for byte in (text[at : at + 1] for at in range(len(text))):
        if state == INSIDE and byte != _QUOTE:
            cells[-1] += byte
        elif state == INSIDE:
            state, closed = ARMED, True
            continue
        elif byte == _QUOTE and state == ARMED:
            state, empty = INSIDE, False
            cells[-1] += _QUOTE if closed else b""
        elif byte in _LINE_ENDS:
            if not empty:
                records.append(cells)
            cells, state, empty = [b""], ARMED, True
        elif byte == delimiter:
            cells, state, empty = [*cells, b""], ARMED, False
        else:
            cells[-1] += byte
            state, empty = PLAIN, False
        closed = False
    return records if empty else [*records, cells]


def count_from(text: bytes, state: int, after_newline: bool, delimiter: bytes = b",") -> tuple[int, int]:
    """Return the number of records that end in a piece of text that begins in a state, and the state after it."""
    count = 0
    for byte in (text[at : at + 1] for at in range(len(text))):
        newline = byte in _LINE_ENDS
        if state == INSIDE:
            state = ARMED if byte == _QUOTE else INSIDE
        elif byte == _QUOTE and state == ARMED:
            state = INSIDE
        else:
            count += newline and not after_newline
            state = ARMED if newline or byte == delimiter else PLAIN
        after_newline = newline
    return count, state
