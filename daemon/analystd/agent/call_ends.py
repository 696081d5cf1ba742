"""Where a call ends in a growing text: each looks at every character once, however the text is cut into pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol


class End(Protocol):
    """Looks for the end of one call."""

    def scan(self, text: str, at: int) -> tuple[int, bool]:
        """Go on from `at`: up to where the text has been looked at, and whether the call ends there.

        What lies behind that place has to stand at the beginning of the next text: it may be half a tag.
        """
        ...


class Beginnings:
    """All that is less than one of some words and begins it."""

    def __init__(self, words: Iterable[str]) -> None:
        self._all = frozenset(word[:length] for word in words for length in range(1, len(word)))
        self._first = frozenset(each[0] for each in self._all)
        self._longest = max(map(len, self._all), default=0)

    def __contains__(self, text: str) -> bool:
        return text in self._all

    def at_end_of(self, text: str, at: int) -> int:
        """The length of the text's end, from `at` on, that is one of these; the longest."""
        end = len(text)
        for start in range(max(at, end - self._longest), end):
            if text[start] in self._first and text[start:] in self._all:
                return end - start
        return 0


class JsonEnd:
    """The end of a JSON object or list."""

    _OUTSIDE = re.compile(r'[{}\[\]"]')
    _INSIDE = re.compile(r'\\.|"', re.DOTALL)

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False

    def scan(self, text: str, at: int) -> tuple[int, bool]:
        """As `End` has it."""
        while found := (self._INSIDE if self._quoted else self._OUTSIDE).search(text, at):
            at = found.end()
            if found[0] == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._depth += 1 if found[0] in "{[" else -1
                if self._depth <= 0:
                    return at, True
        half = self._quoted and text.endswith("\\") and at < len(text)
        return len(text) - half, False


class TagEnd:
    """A closing tag; one inside of a quotation does not count.

    Quotations are JSON strings where `quotes` is `"`, else what stands between two tags.
    """

    def __init__(self, closing: str, quotes: tuple[str, str] | None = ('"', '"')) -> None:
        self._closing = closing
        self._quoted = False
        opens, closes = quotes or ("", "")
        self._outside = re.compile("|".join(re.escape(each) for each in (closing, opens) if each))
        self._inside = re.compile(r'\\.|"' if closes == '"' else re.escape(closes), re.DOTALL)
        self._halves_outside = Beginnings([closing, opens])
        self._halves_inside = Beginnings(["\\." if closes == '"' else closes])

    def scan(self, text: str, at: int) -> tuple[int, bool]:
        """As `End` has it."""
        while found := (self._inside if self._quoted else self._outside).search(text, at):
            at = found.end()
            if self._quoted:
                self._quoted = found[0].startswith("\\")
            elif found[0] == self._closing:
                return at, True
            else:
                self._quoted = True
        halves = self._halves_inside if self._quoted else self._halves_outside
        return len(text) - halves.at_end_of(text, at), False


class ReplyEnd:
    """The end of the reply: the call is the whole of it."""

    def scan(self, text: str, at: int) -> tuple[int, bool]:
        """As `End` has it."""
        return len(text), False
