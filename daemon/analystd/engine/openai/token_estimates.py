"""Estimate the number of tokens of texts without the model's tokenizer: the likely number, and the minimum.

A server that reports fewer tokens than the minimum has cut the prompt silently, as Ollama does when it does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_BYTES_PER_TOKEN = 3
"""Fewer than most texts have in UTF-8, apart from numbers."""
_DIGIT = re.compile(r"\d\W?")
"""A digit and the separator after it: each is a token in the vocabularies of Qwen, Gemma and SmolLM2."""
_WORD_OR_DIGITS = re.compile(r"[^\W\d_]+|\d{1,3}")
_TOLERANCE = 0.8
"""Few tokenizers join words, and they join few of them."""
_MIN_CHECKED_TOKENS = 200
"""Shorter prompts are not checked: what a server adds and omits by itself would count for too much."""


def likely_tokens(text: str) -> int:
    """Return how many tokens a text has in most vocabularies, or slightly more."""
    in_numbers = sum(len(found[0]) for found in _DIGIT.finditer(text))
    others = len(text.encode("utf-8", "replace")) - in_numbers
    return in_numbers + -(-max(others, 0) // _BYTES_PER_TOKEN)


def least_tokens(texts: Iterable[str]) -> int:
    """Return the minimum number of tokens: no common vocabulary has one for two words, for letters with digits, or for four digits."""
    return sum(1 for text in texts for _ in _WORD_OR_DIGITS.finditer(text))


def is_cut(texts: Iterable[str], prompt_tokens: Any, cached_tokens: Any = 0) -> bool:
    """Return whether a server reports far fewer tokens than the texts have. Some servers do not count cached tokens."""
    if not _is_count(prompt_tokens):
        return False
    minimum = least_tokens(texts)
    read = prompt_tokens + (cached_tokens if _is_count(cached_tokens) else 0)
    return minimum >= _MIN_CHECKED_TOKENS and read < _TOLERANCE * minimum


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
