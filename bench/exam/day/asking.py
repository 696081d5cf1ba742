"""Short forms for writing the day's questions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
from bench.exam.questions import Asked, Expected, Number, Question, Words

FAMILY = "day"


def question(name: str, tables: tuple[str, ...], *turns: Asked) -> Question:
    return Question(f"{FAMILY}/{name}", FAMILY, tables, turns)


def ask(text: str, *expected: Expected) -> Asked:
    return Asked(text, expected)


def numbers(values: Mapping[Any, float], decimals: int | None = None) -> tuple[Number, ...]:
    """Expect each of these values; its key is its name in the report."""
    return tuple(Number(float(value), decimals, str(name)) for name, value in values.items())


def largest(values: pd.Series) -> Any:
    """Return the label of the largest value.

    Raises:
        ValueError: if two are equally large, so that the question has two answers.
    """
    first, second = values.astype(float).nlargest(2)
    if first == second:
        raise ValueError(f"Two are the largest with {first}")
    return values.idxmax()


def on_day(day: date) -> Words:
    """Expect a date in any of its usual forms."""
    number, padded = str(day.day), f"{day:%d}"
    ordinal = number + _ORDINALS.get(day.day, "th")
    names = (f"{day:%B}", f"{day:%b}")
    in_figures = (
        f"{day:%Y-%m-%d}",
        f"{day:%d.%m.%Y}",
        f"{number}.{day.month}.{day.year}",
        f"{day:%d/%m/%Y}",
        f"{day:%m/%d/%Y}",
    )
    in_german = (f"{number}. {_GERMAN_MONTHS[day.month - 1]}",)
    first = (f"{each} {name}" for each in (number, padded, ordinal, f"{ordinal} of") for name in names)
    last = (f"{name} {each}" for each in (number, padded, ordinal) for name in names)
    return Words((*in_figures, *in_german, *first, *last))


_ORDINALS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
_GERMAN_MONTHS = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni"),
    *("Juli", "August", "September", "Oktober", "November", "Dezember"),
)


def in_month(month: date) -> Words:
    """Expect a month in any of its usual forms, in English or German."""
    return Words(
        (
            f"{month:%Y-%m}",
            f"{month:%B}",
            f"{month:%b}",
            f"{month:%m/%Y}",
            f"{month:%m.%Y}",
            _GERMAN_MONTHS[month.month - 1],
        )
    )
