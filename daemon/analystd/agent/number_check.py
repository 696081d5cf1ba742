"""Check that the numbers in an answer occur in what programs printed.

Numbers are read as English and German write them. If a text can be read in two ways, either will do: a number counts as unsupported only
if no reading of it occurs anywhere. Rounding may go up or to even; the precision of a number follows from its own digits.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_SPACES = "\u00a0\u202f\u2009"
_GROUPS = f",'\N{RIGHT SINGLE QUOTATION MARK}{_SPACES}"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_UNITS = {
    **dict.fromkeys(("thousand", "k", "tsd", "tausend"), 1e3),
    **dict.fromkeys(("million", "millions", "m", "mn", "mio", "millionen"), 1e6),
    **dict.fromkeys(("billion", "billions", "b", "bn", "mrd", "milliarde", "milliarden"), 1e9),
    **dict.fromkeys(("trillion", "trillions", "tn"), 1e12),
}
_PERCENTS = ("%", "percent", "per cent", "pct", "percentage points", "prozent", "prozentpunkte")
_NUMBER = re.compile(
    rf"""
    (?<![\w.]) (?<![^\W\d_]-)
    (?P<sign>[-+\N{{MINUS SIGN}}])?
    (?>
        (?P<parts> \d+ (?: [.:/-]\d+ ){{2,}} (?!,?\d) | \d{{1,2}}:\d\d )
      | (?P<mantissa>
            \d{{1,3}} (?P<group>[. {_GROUPS}]) \d{{3}} (?: (?P=group)\d{{3}} )* (?!\d) (?: (?!(?P=group)) [.,]\d+ )?
          | \d+ (?: [.,]\d+ )? | \.\d+ )
        (?: [eE](?P<exponent>[-+]?\d{{1,4}})
          | \s? (?: [×x·*] | \\times ) \s? 10 (?: (?:\^|\*\*) \{{? (?P<power>[-+\N{{MINUS SIGN}}]?\d{{1,4}}) \}}?
                                             | (?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]{{1,4}}) )
        )?
    )
    (?P<percent>\s?%)? (?! \d | (?! (?:k|m|mn|bn|b|mio|mrd)\b ) \w )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_UNIT = re.compile(
    rf"\s?({'|'.join(map(re.escape, sorted((*_UNITS, *_PERCENTS), key=len, reverse=True)))})(?!\w)", re.IGNORECASE
)
_ABOUT = re.compile(
    r"(?:\b(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|circa|ca\.?|rund|etwa|ungefähr|knapp|fast)|[~≈])\s*[$€£]?\s*\Z",
    re.IGNORECASE,
)
_ABOUT_CHARACTERS = 20
_MOST_ABOUT = 0.05
"""Maximum relative difference of a number that is qualified by a word such as `about`."""
_ORDINAL = re.compile(
    r"(?m)^[ \t>*_#-]*\(?\d{1,2}[.):](?=[\s*_])"
    r"|\b(?:step|part|task|question|figure|table|section|item|schritt|teil|aufgabe|frage|abbildung|tabelle|punkt)\s\d{1,2}\b(?![.,]\d)",
    re.IGNORECASE,
)
"""The number of a list item, or of something that is counted, which is not a result."""

_PLAIN = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_GROUPED = re.compile(rf"(?<![\w.,])[-+]?\d{{1,3}}(?:[_{_GROUPS}]\d{{3}})+(?:\.\d+)?(?!\d)")
_GERMAN = re.compile(r"(?<![\w.,])[-+]?(?:(?:\d{1,3}(?:\.\d{3})+|\d+),\d+(?![\d,])|\d{1,3}(?:\.\d{3}){2,}(?![\d.]))")
_SHARE = re.compile(r"(?<![\w.])([-+]?\d+(?:\.\d+)?)\s?%")
_NEGATIVE = re.compile(r"(?:-\s?[$€£]\s?|\([$€£]?)(\d+(?:\.\d+)?)(?!\d)")
"""A loss as accountants write it; since that is not certain, the number without a sign counts too."""
_LITERAL = re.compile(r"\d[\d.,:/-]*\d|\d")
_MOST_SOURCE_NUMBERS = 200_000
_TOLERANCE = 1e-9
"""Relative tolerance for what a float cannot represent exactly."""


@dataclass(frozen=True)
class Unsupported:
    """A number of an answer that occurs in no output; `start` and `end` count characters of the answer."""

    text: str
    start: int
    end: int


class Sources:
    """The numbers that an answer may contain: printed, part of the facts, or given in the question or a program."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._literals: set[str] = set()
        values: set[float] = set()
        for text in texts:
            plain = text.replace("\N{MINUS SIGN}", "-")
            for value in _values(plain):
                if len(values) >= _MOST_SOURCE_NUMBERS:
                    break
                values.add(value)
            self._literals.update(_LITERAL.findall(plain))
        # A fall of 3.5 may be printed as -3.5, but a printed 3.5 does not support -3.5.
        self._values = sorted(values | {abs(value) for value in values})

    def support(self, value: float, half: float) -> bool:
        """Return whether one of the numbers is `value`, which is rounded by at most `half`."""
        if not math.isfinite(value):
            return False
        slack = half * (1 + 1e-6) + _TOLERANCE * abs(value)
        place = bisect.bisect_left(self._values, value - slack)
        return place < len(self._values) and self._values[place] <= value + slack

    def hold(self, literal: str) -> bool:
        """Return whether the sources contain exactly these digits."""
        return literal in self._literals


def unsupported_numbers(answer: str, sources: Sources) -> list[Unsupported]:
    """Return the numbers of an answer that its sources do not support, except the numbers of list items."""
    ordinals = [found.span() for found in _ORDINAL.finditer(answer)]
    wrong = []
    for found in _NUMBER.finditer(answer):
        if not any(start <= found.start() < end for start, end in ordinals) and not _is_supported(
            found, answer, sources
        ):
            wrong.append(Unsupported(found[0], found.start(), found.end()))
    return wrong


def _is_supported(found: re.Match[str], answer: str, sources: Sources) -> bool:
    is_negative = found["sign"] in ("-", "\N{MINUS SIGN}")
    digits = found["parts"] or found["mantissa"]
    if not is_negative and sources.hold(digits) and not found["exponent"]:
        return True
    if found["parts"]:
        return _all_supported(re.split(r"[.:/-]", digits), sources) or _supports_one(_readings(digits), 1.0, sources)
    power = found["exponent"] or found["power"] or (found["raised"] or "").translate(_SUPERSCRIPTS) or "0"
    scale = (-1.0 if is_negative else 1.0) * 10.0 ** max(-400, min(300, int(power.replace("\N{MINUS SIGN}", "-"))))
    readings = _readings(digits)
    if _ABOUT.search(answer, max(0, found.start() - _ABOUT_CHARACTERS), found.start()):
        readings = [(value, max(half, _looser(value))) for value, half in readings]
    unit = _UNIT.match(answer, found.end())
    name = unit[1].lower() if unit else ""
    factors = [1.0, _UNITS.get(name, 1.0)]
    if found["percent"] or name in _PERCENTS:
        factors.append(0.01)
    if any(_supports_one(readings, scale * factor, sources) for factor in factors):
        return True
    # "10,20" may be two numbers, and so may "1 234".
    return not is_negative and power == "0" and _all_supported(re.split(r"[, ]", digits), sources)


def _readings(digits: str) -> list[tuple[float, float]]:
    """Return the possible meanings of digits with separators: a value, and half a unit of its last digit."""
    bare = re.sub(rf"[ '\N{{RIGHT SINGLE QUOTATION MARK}}{_SPACES}]", "", digits)
    points, commas = bare.count("."), bare.count(",")
    written = []
    if points and commas:
        group = "," if bare.rindex(".") > bare.rindex(",") else "."
        written.append(bare.replace(group, "").replace(",", "."))
    elif points + commas <= 1:
        written.append(bare.replace(",", "."))
    if (points or commas) and re.fullmatch(r"[1-9]\d{0,2}(?:[.,]\d{3})+", bare):
        written.append(re.sub(r"[.,]", "", bare))
    numbers = [each for each in written if re.fullmatch(r"\d*\.?\d+", each)]
    return [(float(each), 0.5 * 10.0 ** -len(each.partition(".")[2])) for each in numbers]


def _looser(value: float) -> float:
    """Return half a unit of the last non-zero digit, for a number that is given approximately."""
    if not value.is_integer():
        return 0.0
    digits = f"{value:.0f}"
    return min(0.5 * 10.0 ** (len(digits) - len(digits.rstrip("0"))), _MOST_ABOUT * abs(value))


def _supports_one(readings: Iterable[tuple[float, float]], scale: float, sources: Sources) -> bool:
    return any(sources.support(value * scale, half * abs(scale)) for value, half in readings)


def _all_supported(parts: list[str], sources: Sources) -> bool:
    """Return whether there are several whole numbers, all of them supported."""
    return len(parts) > 1 and all(part.isdecimal() and sources.support(float(part), 0.0) for part in parts)


def _values(text: str) -> Iterator[float]:
    """Yield the numbers of a text in each way that they can be read."""
    yield from (float(found[0]) for found in _PLAIN.finditer(text))
    yield from (float(re.sub(rf"[_{_GROUPS}]", "", found[0])) for found in _GROUPED.finditer(text))
    yield from (float(found[0].replace(".", "").replace(",", ".")) for found in _GERMAN.finditer(text))
    yield from (float(found[1]) / 100 for found in _SHARE.finditer(text))
    yield from (-float(found[1]) for found in _NEGATIVE.finditer(text))
