"""Whether the numbers in an answer stand in what programs printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBER = re.compile(
    r"(?<![\w.])[-+\N{MINUS SIGN}]?(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s?%)?(?![\w])"
)
_SOURCE_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LIST_MARK = re.compile(r"(?m)^\s*\d{1,2}[.)](?=\s)")
_UNITS = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "bn": 1e9}
_UNIT = re.compile(r"\s?(thousand|million|billion|mn|bn|k|m)\b", re.IGNORECASE)
_TOLERANCE = 1e-9
_MOST_SOURCE_NUMBERS = 200_000


@dataclass(frozen=True)
class Unsupported:
    """A number of an answer that stands in no output; `start` and `end` count characters of the answer."""

    text: str
    start: int
    end: int


class Sources:
    """The numbers that an answer may contain: printed, told by the facts, or given in the question or a program."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._literals: set[str] = set()
        values: set[float] = set()
        for text in texts:
            plain = text.replace("\N{MINUS SIGN}", "-")
            for found in _SOURCE_NUMBER.finditer(re.sub(r"(?<=\d)[,_](?=\d{3}(?!\d))", "", plain)):
                if len(values) < _MOST_SOURCE_NUMBERS:
                    values.add(float(found[0]))
            self._literals.update(re.findall(r"\d[\d.,:/-]*\d|\d", plain))
        self._values = sorted(values | {abs(value) for value in values})

    def support(self, text: str, factor: float = 1.0) -> bool:
        """Return whether a number, as it is written, is one of these, rounded as it is written there."""
        bare = re.sub(r"[,\u00a0\u202f]", "", text.replace("\N{MINUS SIGN}", "-")).rstrip("% \u00a0")
        if bare.lstrip("+-") in self._literals:
            return True
        value = float(bare)
        half = 0.5 * 10.0 ** -_decimals(bare)
        scales = [factor, 0.01, 1.0] if "%" in text else [factor]
        return any(self._has(value * scale, half * scale) for scale in scales)

    def _has(self, value: float, half: float) -> bool:
        import bisect

        slack = half + _TOLERANCE * max(1.0, abs(value))
        for wanted in (value, abs(value)):
            place = bisect.bisect_left(self._values, wanted - slack)
            if place < len(self._values) and self._values[place] <= wanted + slack:
                return True
        return False


def unsupported_numbers(answer: str, sources: Sources) -> list[Unsupported]:
    """Return the numbers of an answer that its sources do not support; the numbers of a list's items are none."""
    marks = [found.span() for found in _LIST_MARK.finditer(answer)]
    wrong = []
    for found in _NUMBER.finditer(answer):
        if any(start <= found.start() < end for start, end in marks):
            continue
        unit = _UNIT.match(answer, found.end())
        if not sources.support(found[0], _UNITS[unit[1].lower()] if unit else 1.0) and not sources.support(found[0]):
            wrong.append(Unsupported(found[0], found.start(), found.end()))
    return wrong


def _decimals(number: str) -> int:
    mantissa, _, exponent = number.lower().partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent or 0)
