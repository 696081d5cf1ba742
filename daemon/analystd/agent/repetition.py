"""Noticing that a model only repeats itself, as small models do when they have said all that they know."""

from __future__ import annotations

_LONGEST = 400
_LEAST_REPEATED = 60
_TIMES = 3


def repeated_tail(text: str) -> int:
    """How many characters at the end of `text` only repeat what stands before them; 0 when it does not end in repetition.

    A tail is repetition when it is the same passage `_TIMES` times or more, over at least `_LEAST_REPEATED` characters: a row of dashes
    under a heading is none, an answer that begins for the third time is.
    """
    for period in range(1, min(_LONGEST, len(text) // _TIMES) + 1):
        if text.endswith(text[-period:] * _TIMES):
            start = _start_of(text, period)
            if len(text) - start >= _LEAST_REPEATED:
                return len(text) - start - period
    return 0


def _start_of(text: str, period: int) -> int:
    """Where the part of `text` begins in which each character is the same as the one `period` later, up to the end."""
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return start
