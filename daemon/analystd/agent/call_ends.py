"""Find the end of a call in a growing text. Each character is scanned once, however the text is cut into pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol


class End(Protocol):
    """Looks for the end of one call."""

    def scan(self, text: str, at: int) -> tuple[int, bool]:
        """Continue at `at`; return the position up to which the text was scanned, and whether the call ends there.

        The rest of the text must begin the next one: it may be half a tag.
        """
        ...


class Beginnings:
    """All proper prefixes of some words."""

    def __init__(self, words: Iterable[str]) -> None:
        self._all = frozenset(word[:length] for word in words for length in range(1, len(word)))
        self._first = frozenset(each[0] for each in self._all)
        self._longest = max(map(len, self._all), default=0)

    def __contains__(self, text: str) -> bool:
        return text in self._all

    def at_end_of(self, text: str, at: int) -> int:
        """Return the length of the longest suffix of the text, from `at` on, that is one of the prefixes."""
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
        """See `End.scan`."""
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
    """A closing tag outside quotations.

    Quotations are JSON strings if `quotes` is `"`, else the text between two tags.
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
        """See `End.scan`."""
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
    """The end of the reply, for a call that is the whole reply."""

    def scan(self, text: str, at: int) -> tuple[int, bool]:
        """See `End.scan`."""
        return len(text), False
