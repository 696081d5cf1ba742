"""What helps with the errors that programs of models run into most: sentences in `prompts/error_hints.txt`, found by the error's words."""

from __future__ import annotations

import functools
import re

from analystd.agent.prompt import packaged_pairs

_MOST_CHARACTERS = 2000
"""So much of an error's end is looked at."""


def hint_for_error(error: str) -> str | None:
    """Return the sentence for an error, of which the last lines are given; None where there is none."""
    end = error[-_MOST_CHARACTERS:]
    return next((sentence for pattern, sentence in error_hints() if pattern.search(end)), None)


@functools.cache
def error_hints() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the patterns with their sentences, in order."""
    return tuple((re.compile(pattern), sentence) for pattern, sentence in packaged_pairs("error_hints.txt"))
