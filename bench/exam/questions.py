"""Define what a question is, and what its answer has to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Number:
    """A number that the answer, or the printed output where it has too many of them, must hold."""

    value: float
    decimals: int | None = None  # the rounding that the question asks for; None: three significant digits have to agree
    name: str = ""  # what it is called in the report


@dataclass(frozen=True)
class Words:
    """Words of which one must stand in the answer, whole and in any case."""

    any_of: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """The data cannot answer: the answer has to say so, and to state no number as the answer."""


@dataclass(frozen=True)
class Made:
    """A file that the run must have made."""

    check: Callable[[Path], str | None]  # given the workspace: None if the file is right, else what is wrong


Expected = Number | Words | Refusal | Made


@dataclass(frozen=True)
class Asked:
    """One turn of a conversation: what is asked, and all that the answer must hold."""

    text: str
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Question:
    """One question, or a chain of them in one conversation."""

    id: str
    family: str
    tables: tuple[str, ...]  # names of files in the folder that the exam's tables are written to
    turns: tuple[Asked, ...]
