"""Correct programs before they run: add forgotten imports, and replace names and idioms that libraries have changed since.

Models know pandas as it was years ago. Code that has only another name today, or is silently without effect today, is rewritten in the
source, and the step shows it as it ran. Where there is a choice, it is left to the model, with a hint after the error
(`agent/error_hints.py`).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from analystd.agent.rewriting.dates_as_text import uses_of_dates_in
from analystd.agent.rewriting.edits import rewritten
from analystd.agent.rewriting.imports import with_usual_imports
from analystd.agent.rewriting.lost_writes import find_lost_writes
from analystd.agent.rewriting.misplaced_filters import filters_moved
from analystd.agent.rewriting.missing_as_text import missing_words_in
from analystd.agent.rewriting.numbers_as_text import text_methods_on
from analystd.agent.rewriting.old_names import find_old_names
from analystd.agent.rewriting.patterns import find_patterns_without_groups
from analystd.agent.rewriting.plain_reads import plain_reads_of
from analystd.agent.rewriting.precedence import find_missing_parentheses

_USES_POLARS = re.compile(r"^\s*(?:import|from)\s+polars\b", re.MULTILINE)


@dataclass(frozen=True)
class KnownTables:
    """The known facts of the tables that programs read. All names are names of columns."""

    odd_files: Collection[str] = ()
    """The files that must be read by the toolbox, because they are not plain CSV."""
    numbers: Collection[str] = ()
    """Columns that hold numbers after reading."""
    dates: Collection[str] = ()
    """Columns that hold dates as text."""
    moved: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """For a column and a text that it does not contain: the column that contains it."""
    without_words: Collection[str] = ()
    """Columns that contain no word for missing values."""


def put_right(code: str, tables: KnownTables | None = None) -> str:
    """Return a program with its forgotten imports and parentheses, in today's names, and with writes that take effect.

    A program that cannot be parsed is returned unchanged. One that uses polars, whose tables have methods of the same names with other
    arguments, only gets its imports.
    """
    tables = tables or KnownTables()
    if _USES_POLARS.search(code):
        return with_usual_imports(code)
    return with_usual_imports(
        rewritten(
            code,
            (
                plain_reads_of(tables.odd_files),
                text_methods_on(tables.numbers),
                uses_of_dates_in(set(tables.dates)),
                filters_moved(tables.moved),
                missing_words_in(tables.without_words),
                find_missing_parentheses,
                find_patterns_without_groups,
                find_old_names,
                find_lost_writes,
            ),
        )
    )


__all__ = ["KnownTables", "put_right"]
