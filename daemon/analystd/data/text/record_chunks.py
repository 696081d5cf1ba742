"""Chunks of consecutive records of a text file, unparsed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordChunk:
    """Consecutive whole records, without the header."""

    number: int
    """Counted from 0, in the file's order; while the file does not change, a number identifies the same records."""
    first_row: int
    num_rows: int
    data: bytes
    """The records with their line ends and any blank lines, in UTF-8 or another encoding that contains ASCII."""
    done: float
    """The part of the file before the chunk's end, from 0 to 1."""
