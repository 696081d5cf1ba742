"""Short forms for writing questions."""

from __future__ import annotations

from typing import Any

from bench.exam.questions import Asked, Expected, Number, Question, Words


def one(name: str, family: str, tables: str, text: str, *expected: Expected) -> Question:
    """Return a question of one turn; `tables` are names of files, separated by spaces."""
    return Question(f"{family}/{name}", family, tuple(tables.split()), (Asked(text, expected),))


def chain(name: str, family: str, tables: str, *turns: tuple[str, *tuple[Expected, ...]]) -> Question:
    """Return a question of several turns, each with its text and the expected values."""
    asked = tuple(Asked(turn[0], tuple(turn[1:])) for turn in turns)
    return Question(f"{family}/{name}", family, tuple(tables.split()), asked)


def number(value: Any, decimals: int | None = None, name: str = "") -> Number:
    """Return an expected number, from any scalar that a computation gives."""
    return Number(float(value), decimals, name)


def count(value: Any, name: str = "") -> Number:
    """Return an expected count, which must be exact."""
    return Number(float(value), 0, name)


def words(*any_of: Any) -> Words:
    """Return words of which one is expected, from any values that a computation gives."""
    return Words(tuple(str(each) for each in any_of))
