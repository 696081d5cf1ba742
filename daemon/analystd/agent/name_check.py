"""Check that the names in an answer occur in what programs printed: a model that printed only their number may invent the names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ASKS_FOR_NAMES = re.compile(
    r"\b(?:which|who|whose|whom|list|name|names|what are|welche[rsmn]?|wer|wessen|wen|wem|nenne)\b", re.IGNORECASE
)
_ITEM = re.compile(r"(?m)^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+[*_`\"']*([A-Z][\w'’-]+)[*_`\"']*[ \t]*(?:[,:(]|$)")
_IN_SENTENCE = re.compile(r"(?<=[^\s.!?:*_|#>]\s)[*_`\"']*([A-Z][a-z][\w'’-]*)")
_ALWAYS_CAPITAL = re.compile(
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*|"
    r"Pearson|Spearman|Kendall|Student|Welch|Fisher|Tukey|Shapiro|Wilk|Kolmogorov|Smirnov|Mann|Whitney|Wilcoxon|Levene|Bartlett|"
    r"Python|True|False|None|I"
)
_MOST_SAID = 5


def names_from_nowhere(question: str, answer: str, sources: Sequence[str]) -> list[str]:
    """Return the capitalised words of an answer, inside a sentence or as items of a list, that no source contains.

    The result is empty unless the question asks for names. German capitalises every noun; there, only items of lists count.

    Args:
        question: The question.
        answer: The answer.
        sources: The texts that the model received, and the programs with their output.
    """
    if not _ASKS_FOR_NAMES.search(question):
        return []
    found = [each[1] for each in _ITEM.finditer(answer)]
    if not re.search(r"\b(?:der|die|das|und|ist|sind)\b", answer):
        found += [each[1] for each in _IN_SENTENCE.finditer(answer)]
    known = "\n".join(sources).casefold()
    unknown = [name for name in dict.fromkeys(found) if not _is_known(name, known)]
    return unknown[:_MOST_SAID]


def _is_known(name: str, known: str) -> bool:
    """Return whether a word, possibly without a plural or genitive ending, occurs in a text, or is always capitalised."""
    bare = re.sub(r"['’]?s?$", "", name)
    return bool(_ALWAYS_CAPITAL.fullmatch(name)) or bare.casefold() in known
