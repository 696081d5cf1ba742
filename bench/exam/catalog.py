"""Collect all questions: those about public tables, and those of an analyst's day."""

from __future__ import annotations

import importlib
import importlib.util
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from bench.exam import tables
from bench.exam.questions import Number, Question, Words

PACKAGES = ("public", "day")
_FURTHER_FILES = "bench.exam.day_files"


def write_files(folder: Path) -> None:
    """Write the files of all questions into a folder."""
    tables.write(folder)
    if importlib.util.find_spec(_FURTHER_FILES):
        importlib.import_module(_FURTHER_FILES).write(folder)


def questions(folder: Path) -> list[Question]:
    """Return all questions about the files in a folder, with the values that programs compute from them.

    Raises:
        ValueError: if a question cannot be graded: a value that is not finite, no expectation, a missing file, a duplicate id.
    """
    found = [question for module in _modules() for question in module.questions(folder)]
    ids: set[str] = set()
    for question in found:
        problem = f"another question has the id {question.id}" if question.id in ids else _problem(question, folder)
        if problem:
            raise ValueError(f"{question.id}: {problem}")
        ids.add(question.id)
    return found


def _modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        path = Path(__file__).parent / package
        for module in sorted(pkgutil.iter_modules([str(path)]), key=lambda each: each.name):
            loaded = importlib.import_module(f"{__package__}.{package}.{module.name}")
            if hasattr(loaded, "questions"):
                yield loaded


def _problem(question: Question, folder: Path) -> str | None:
    missing = [name for name in question.tables if not (folder / name).is_file()]
    if missing:
        return f"there is no file {', '.join(missing)}"
    for turn in question.turns:
        if not turn.expected:
            return "nothing is expected"
        for each in turn.expected:
            if isinstance(each, Number) and not math.isfinite(each.value):
                return f"{each.name or 'a value'} is {each.value}"
            if isinstance(each, Words) and not all(word.strip() for word in each.any_of):
                return "an expected word is empty"
    return None
