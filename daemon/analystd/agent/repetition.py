"""Detect that a model only repeats itself, as small models do when they have nothing more to say."""

from __future__ import annotations

_LONGEST = 400
_LEAST_REPEATED = 60
_TIMES = 3


def repeated_tail(text: str) -> int:
    """Return the length of the end of `text` that only repeats the text before it; 0 if it does not end in repetition.

    A passage counts as repetition if it occurs at least `_TIMES` times, over at least `_LEAST_REPEATED` characters: a row of dashes under a
    heading does not count, an answer that begins for the third time does.
    """
    for period in range(1, min(_LONGEST, len(text) // _TIMES) + 1):
        if text.endswith(text[-period:] * _TIMES):
            start = _start_of(text, period)
            if len(text) - start >= _LEAST_REPEATED:
                return len(text) - start - period
    return 0


def _start_of(text: str, period: int) -> int:
    """Return the start of the longest suffix of `text` that repeats itself with this period."""
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return start
