"""Questions, and the values that their answers must hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Number:
    """A number that the answer must hold, or the printed output if there are too many of them."""

    value: float
    decimals: int | None = None  # the rounding that the question asks for; None: three significant digits must agree
    name: str = ""  # its name in the report


@dataclass(frozen=True)
class Words:
    """Words of which one must occur in the answer, as a whole word and in any case."""

    any_of: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """The data cannot answer: the answer must say so, and must not state a number as the answer."""


@dataclass(frozen=True)
class Made:
    """A file that the run must have made."""

    check: Callable[[Path], str | None]  # given the workspace: None if the file is right, else what is wrong with it


Expected = Number | Words | Refusal | Made


@dataclass(frozen=True)
class Asked:
    """One turn of a conversation: the question, and everything that the answer must hold."""

    text: str
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Question:
    """One question, or a chain of them in one conversation."""

    id: str
    family: str
    tables: tuple[str, ...]  # names of files in the folder that holds the exam's tables
    turns: tuple[Asked, ...]
