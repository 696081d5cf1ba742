"""Hints for the most frequent errors in programs of models: sentences in `prompts/error_hints.txt`, found by the error's words."""

from __future__ import annotations

import functools
import re

from analystd.agent.prompt import packaged_pairs

_MOST_CHARACTERS = 2000
"""Length of the end of an error that is searched."""


def hint_for_error(error: str) -> str | None:
    """Return the hint for an error, given by its last lines; None if there is none."""
    end = error[-_MOST_CHARACTERS:]
    return next((sentence for pattern, sentence in error_hints() if pattern.search(end)), None)


@functools.cache
def error_hints() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the patterns with their hints, in order."""
    return tuple((re.compile(pattern), sentence) for pattern, sentence in packaged_pairs("error_hints.txt"))
