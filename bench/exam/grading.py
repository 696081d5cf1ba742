"""Grade answers: which of the values that a question asks for occur in an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.exam.questions import Asked, Expected, Made, Number, Refusal, Words

Verdict = Literal["right", "wrong", "refused", "marked"]
"""`refused`: no answer was given although there is one, or the run ended without any; `marked`: wrong, but a number is marked as unsupported."""

MANY_NUMBERS = 8
"""Maximum number of requested values that the answer itself must hold; more may occur in the output of the programs instead."""
STRAYS = 4
"""Number of further numbers that an answer may state, in addition to two for each requested one: a heap of numbers is not an answer."""

_MINUS = "\N{MINUS SIGN}\N{EN DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}"
_SPACE = "\u00a0\u202f\u2009'\N{RIGHT SINGLE QUOTATION MARK}"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile(r"\s?[×x*·]\s?10(?:\^|\*\*)?\(?([-+]?\d+|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)\)?")
_DATE = re.compile(r"(?<!\d)(\d{4})[-/]\d{1,2}(?:[-/]\d{1,2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?)?(?![\d.])")
_LIST_MARK = re.compile(r"(?m)^\s*\d{1,2}[.)](?=\s)")
_NUMBER = re.compile(
    rf"(?<![\w.,])(?P<sign>[-+{_MINUS}])?[$€£]?(?P<body>\d{{1,3}}(?:[{_SPACE}]\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,]\d+)*|\.\d+)"
    r"(?P<exponent>[eE][-+]?\d+)?(?P<tail>\s?%|\s?(?:percent|thousand|million|billion|mn|bn|k|m)\b)?(?!\w*[.,]?\d)"
)
_UNITS = {"thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
_DOWN = re.compile(
    r"\b(?:decreas\w*|f[ae]ll\w*|dropp?\w*|low\w*|loss\w*|lost|los[et]\w*|declin\w*|down|drawdown|negativ\w*|minus|less|fewer|below|shrank|"
    r"gefallen|gesunken|verlust\w*|weniger|rückgang)\b",
    re.IGNORECASE,
)
_TABLE_ROW = re.compile(r"(?:\S {2,}\S.*){3}|\|.*\|.*\|")
_REFUSING = re.compile(
    r"\b(?:can ?not|can['’]t|could not|couldn['’]t|unable|impossible|not (?:possible|available|enough|in the|found|provided|included|"
    r"contained|present|recorded|exist\w*|sufficient|there|given|known)|no (?:column|information|data|such|file|record\w*|entr\w*|row\w*|way|"
    r"value\w*|mention|table|result|price\w*)|(?:does|do|did|is|are|was|has|have)(?: not|n['’]t)|there (?:is|are) no|missing|lacks?|"
    r"insufficient|without|nicht|kein\w*|fehl\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Stated:
    """A number as written in a text: its possible meanings, and whether it may count as an answer."""

    text: str
    meanings: tuple[float, ...]
    counts: bool = True


@dataclass(frozen=True)
class Said:
    """The result of one turn."""

    answer: str
    outputs: Sequence[str] = ()
    """The outputs of the programs."""
    facts: str = ""
    """The facts of the files that the agent received in advance."""
    finished: bool = True
    """Whether the run ended with an answer and not at a limit."""
    marked: bool = False
    """Whether a number of the answer is marked as unsupported."""


@dataclass(frozen=True)
class Grade:
    """The grade of a turn: `held` of `asked` values, and the problems."""

    verdict: Verdict
    held: int
    asked: int
    wrong: tuple[str, ...] = ()


def grade(asked: Asked, said: Said, workspace: Path) -> Grade:
    """Grade one turn."""
    problems = [_problem(each, asked, said, workspace) for each in asked.expected]
    wrong = tuple(problem for problem in problems if problem is not None)
    if not said.finished and not all(isinstance(each, Refusal) for each in asked.expected):
        # The message of a failed run may contain any number.
        wrong = wrong or ("the run ended without an answer",)
        return Grade(_verdict(wrong, asked, said), 0, len(problems), wrong)
    held = len(problems) - len(wrong)
    numbers = [each for each in asked.expected if isinstance(each, Number)]
    if numbers and not wrong and len(numbers) <= MANY_NUMBERS:
        strays = _strays(_without_tables(said.answer, numbers), numbers, asked.text)
        if len(strays) > STRAYS + 2 * len(numbers):
            wrong = (f"the values stand among {len(strays)} others: {', '.join(strays[:6])} …",)
        said_itself = said.answer.partition("```")[0]
        if _strays(said_itself, numbers, asked.text) and not any(holds(each, said_itself) for each in numbers):
            wrong = ("its sentence states other numbers than what was printed",)
    return Grade(_verdict(wrong, asked, said), held, len(problems), wrong)


def _verdict(wrong: Sequence[str], asked: Asked, said: Said) -> Verdict:
    if not wrong:
        return "right"
    could_be_had = not any(isinstance(each, Refusal) for each in asked.expected)
    # Where there is an answer, a number from the description of the files counts as stated, too.
    without_facts = replace(said, facts="")
    if not said.finished or not said.answer.strip() or (could_be_had and refuses(without_facts, asked.text)):
        return "refused"
    return "marked" if said.marked else "wrong"


def _problem(expected: Expected, asked: Asked, said: Said, workspace: Path) -> str | None:
    """Return the problem with one of the values; None if the answer holds it."""
    if isinstance(expected, Number):
        return None if _holds(expected, asked, said) else f"no {expected.name or 'number'} {_shown(expected)}"
    if isinstance(expected, Words):
        return None if holds_words(expected, said.answer) else f"none of {', '.join(map(repr, expected.any_of))}"
    if isinstance(expected, Refusal):
        return None if refuses(said, asked.text) else "it does not say that the data cannot answer, or states a number"
    return _made_problem(expected, workspace)


def _made_problem(expected: Made, workspace: Path) -> str | None:
    """Return the problem with a file; any exception of the reader means that the file is wrong."""
    try:
        return expected.check(workspace)
    except Exception as exc:
        return f"the file cannot be checked: {type(exc).__name__}: {exc}"


def _holds(expected: Number, asked: Asked, said: Said) -> bool:
    texts = [said.answer]
    if sum(isinstance(each, Number) for each in asked.expected) > MANY_NUMBERS:
        texts += said.outputs
    return any(holds(expected, text) for text in texts)


def holds(expected: Number, text: str) -> bool:
    """Return whether a number occurs in a text, as exactly as the question asks."""
    falls = expected.value < 0 and _DOWN.search(text) is not None
    return any(
        _agrees(meaning, expected) or (falls and _agrees(-meaning, expected))
        for stated in numbers_in(text)
        for meaning in stated.meanings
    )


def holds_words(expected: Words, text: str) -> bool:
    """Return whether one of the words occurs in a text, as a whole word and in any case."""
    plain = " ".join(text.split()).casefold()
    return any(
        re.search(rf"(?<!\w){re.escape(' '.join(words.split()).casefold())}(?!\w)", plain) for words in expected.any_of
    )


def refuses(said: Said, question: str) -> bool:
    """Return whether an answer says that there is none, and states no number except those of the question and the files' description."""
    if not _REFUSING.search(said.answer):
        return False
    known = {meaning for text in (question, said.facts) for each in numbers_in(text) for meaning in each.meanings}
    return not [
        each
        for each in numbers_in(said.answer)
        if each.counts and not known.intersection(each.meanings) and not _is_year(each.meanings[0])
    ]


def numbers_in(text: str) -> list[Stated]:
    """Return the numbers of a text with their possible meanings: 1,234 may have a decimal comma, 12 % may be 0.12."""
    found = [Stated(each[0], (float(each[1]),), counts=False) for each in _DATE.finditer(text)]
    found += [Stated(each[0], (float(_WORDS.index(each[0].lower())),), counts=False) for each in _WORD.finditer(text)]
    rest = _LIST_MARK.sub(lambda mark: " " * len(mark[0]), _DATE.sub(lambda date: " " * len(date[0]), text))
    for each in _NUMBER.finditer(rest):
        found.append(_stated(each, rest))
    return found


def _stated(found: re.Match[str], text: str) -> Stated:
    power = _POWER.match(text, found.end())
    scale = 10.0 ** int(power[1].translate(_SUPERSCRIPTS)) if power else 1.0
    sign = -1.0 if found["sign"] and found["sign"] != "+" else 1.0
    values = [sign * scale * float(f"{body}{found['exponent'] or ''}") for body in _readings(found["body"])]
    tail = (found["tail"] or "").strip().lower()
    if tail in ("%", "percent"):
        values += [value / 100 for value in values]
    elif tail:
        values = [value * _UNITS[tail] for value in values] + values
    return Stated(found[0].strip(), tuple(values))


def _readings(body: str) -> list[str]:
    """Return the plain forms of digits with separators."""
    body = re.sub(f"[{_SPACE}]", "", body)
    commas, points = body.count(","), body.count(".")
    if commas and points:
        last_is_comma = body.rfind(",") > body.rfind(".")
        return [body.replace(".", "").replace(",", ".") if last_is_comma else body.replace(",", "")]
    if commas:
        grouped = re.fullmatch(r"\d{1,3}(?:,\d{3})+", body) is not None
        decimal = [body.replace(",", ".")] if commas == 1 else []
        return [body.replace(",", ""), *decimal] if grouped else decimal or [body.replace(",", "")]
    return [body.replace(".", "")] if points > 1 else [body]


def _agrees(stated: float, expected: Number) -> bool:
    if not math.isfinite(expected.value):
        return False
    return abs(stated - expected.value) <= _tolerance(expected) * (1 + 1e-6) + 1e-12 * abs(expected.value)


def _tolerance(expected: Number) -> float:
    """Return half a unit of the last digit that must agree."""
    if expected.decimals is not None:
        return 0.5 * float(10.0**-expected.decimals)
    if expected.value == 0:
        return 0.5e-9
    return 0.5 * float(10.0 ** (math.floor(math.log10(abs(expected.value))) - 2))


def _without_tables(answer: str, numbers: Sequence[Number]) -> str:
    """Return the answer without table rows if its sentences hold the values; labels and dates of rows are not stray numbers."""
    sentences = "\n".join(line for line in answer.splitlines() if not _TABLE_ROW.search(line))
    return sentences if all(holds(each, sentences) for each in numbers) else answer


def _strays(answer: str, numbers: Sequence[Number], question: str) -> list[str]:
    """Return the numbers of an answer that were neither asked for nor occur in the question."""
    known = {meaning for each in numbers_in(question) for meaning in each.meanings}
    return [
        each.text
        for each in numbers_in(answer)
        if each.counts
        and not known.intersection(each.meanings)
        and not any(_agrees(meaning, number) for meaning in each.meanings for number in numbers)
    ]


def _is_year(value: float) -> bool:
    return value.is_integer() and 1500 <= value <= 2100


def _shown(expected: Number) -> str:
    return f"{expected.value:.{expected.decimals}f}" if expected.decimals is not None else f"{expected.value:.6g}"
