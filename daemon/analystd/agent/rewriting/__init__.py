"""Programs put right before they run: what a model forgot, and what the libraries called otherwise when it learnt them.

Models know pandas as it was years ago. What has only another name today, or is silently lost today, is rewritten in the source, which the
step shows as it ran. What needs a decision is left to the model, with a hint after the error (`agent/error_hints.py`).
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
    """What is known of the tables that programs read. All names are of columns."""

    odd_files: Collection[str] = ()
    """The files that are to be read by the toolbox, since they are no plain CSV."""
    numbers: Collection[str] = ()
    """Those that hold numbers once they are read."""
    dates: Collection[str] = ()
    """Those that hold dates as text."""
    moved: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """For a column and a text that it does not have: the column that has it."""
    without_words: Collection[str] = ()
    """Those that hold no word for missing values."""


def put_right(code: str, tables: KnownTables | None = None) -> str:
    """Return a program with its forgotten imports and parentheses, in the names of today, and with writes that take effect.

    One that cannot be parsed is returned as it is. One that uses polars, whose tables have methods of the same names with other arguments, gets
    its imports only.
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
