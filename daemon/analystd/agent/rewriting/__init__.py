"""Programs put right before they run: what a model forgot, and what the libraries called otherwise when it learnt them.

Models know pandas as it was years ago. What has only another name today, or is silently lost today, is rewritten in the source, which the
step shows as it ran. What needs a decision is left to the model, with a hint after the error (`agent/error_hints.py`).
"""

import re
from collections.abc import Collection, Mapping

from analystd.agent.rewriting.dates_as_text import uses_of_dates_in
from analystd.agent.rewriting.edits import rewritten
from analystd.agent.rewriting.imports import with_usual_imports
from analystd.agent.rewriting.lost_writes import find_lost_writes
from analystd.agent.rewriting.misplaced_filters import filters_moved
from analystd.agent.rewriting.numbers_as_text import text_methods_on
from analystd.agent.rewriting.old_names import find_old_names
from analystd.agent.rewriting.patterns import find_patterns_without_groups
from analystd.agent.rewriting.plain_reads import plain_reads_of
from analystd.agent.rewriting.precedence import find_missing_parentheses

_USES_POLARS = re.compile(r"^\s*(?:import|from)\s+polars\b", re.MULTILINE)


def put_right(
    code: str,
    odd_files: Collection[str] = (),
    numbers: Collection[str] = (),
    dates: Collection[str] = (),
    moved: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """Return a program with its forgotten imports and parentheses, in the names of today, and with writes that take effect.

    One that cannot be parsed is returned as it is. `odd_files` are read by the toolbox, since they are no plain CSV; `numbers` are the columns
    that hold numbers once they are read, `dates` those that hold dates as text, `moved` the columns for filters that
    find nothing in theirs. One that uses polars, whose tables have methods of the same
    names with other arguments, gets its imports only.
    """
    if _USES_POLARS.search(code):
        return with_usual_imports(code)
    return with_usual_imports(
        rewritten(
            code,
            (
                plain_reads_of(odd_files),
                text_methods_on(numbers),
                uses_of_dates_in(dates),
                filters_moved(moved or {}),
                find_missing_parentheses,
                find_patterns_without_groups,
                find_old_names,
                find_lost_writes,
            ),
        )
    )


__all__ = ["put_right"]
