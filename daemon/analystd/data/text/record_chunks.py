"""Consecutive records of a text file as they stand there: what is parsed at once, and again when it is needed again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordChunk:
    """Some whole records, the first of the file's header not among them."""

    number: int
    """From 0, in the file's order; as long as the file does not change, a number stands for the same records."""
    first_row: int
    num_rows: int
    data: bytes
    """The records with their line ends (blank lines among them), in UTF-8 or what the file has in its place."""
    done: float
    """Which part of the file lies before the stretch's end, from 0 to 1."""
