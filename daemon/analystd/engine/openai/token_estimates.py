"""Estimate the tokens of texts for a model whose tokenizer is not known: how many they have probably, and at least.

A server that says that it read fewer than the least has cut the prompt without a word, as Ollama does with one that does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_BYTES_PER_TOKEN = 3
"""Fewer than most texts have in UTF-8, numbers aside."""
_DIGIT = re.compile(r"\d\W?")
"""A digit and what parts it from the next: each is a token in the vocabularies of Qwen, Gemma and SmolLM2."""
_RUN = re.compile(r"[^\W\d_]+|\d{1,3}")
_SLACK = 0.8
"""Tokenizers that join words are rare, and so are the words that they join."""
_LEAST_CHECKED = 200
"""Below, what a server adds and leaves out by itself counts for too much."""


def likely_tokens(text: str) -> int:
    """Return how many tokens a text has in most vocabularies, or a few more."""
    in_numbers = sum(len(found[0]) for found in _DIGIT.finditer(text))
    others = len(text.encode("utf-8", "replace")) - in_numbers
    return in_numbers + -(-max(others, 0) // _BYTES_PER_TOKEN)


def least_tokens(texts: Iterable[str]) -> int:
    """Return how many tokens texts have at least: no common vocabulary has one for two words, for letters and digits, or for four digits."""
    return sum(1 for text in texts for _ in _RUN.finditer(text))


def is_cut(texts: Iterable[str], prompt_tokens: Any, cached_tokens: Any = 0) -> bool:
    """Return whether a server says that it read far fewer tokens than the texts have; some do not count those that they still knew."""
    if not _is_count(prompt_tokens):
        return False
    least = least_tokens(texts)
    read = prompt_tokens + (cached_tokens if _is_count(cached_tokens) else 0)
    return least >= _LEAST_CHECKED and read < _SLACK * least


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
