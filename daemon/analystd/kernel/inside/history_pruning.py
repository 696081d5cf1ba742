"""Discard history: IPython and its traceback formatter would keep every cell's output, errors and code for ever."""

from __future__ import annotations

import contextlib
import itertools
import linecache
from typing import Any

import executing.executing
import stack_data

KEPT_CELLS = 10_000
"""The number of cells whose code is kept, for `In`, `_i7`, and source lines in tracebacks of functions that they defined."""


_executing: Any = executing.executing
_stack_data: Any = stack_data


def cell_name(number: int, part: int = 0) -> str:
    """Return the file name of a cell's code, or of the nested code number `part` that IPython ran for it."""
    return f"<cell {number}.{part}>" if part else f"<cell {number}>"


def forget_outputs(shell: Any) -> None:
    """Drop data for notebooks and databases, which sessions do not have; the values in `Out` stay."""
    history = shell.history_manager
    for name in ("outputs", "exceptions", "output_hist_reprs", "db_input_cache", "db_output_cache"):
        with contextlib.suppress(AttributeError):
            getattr(history, name).clear()


def forget_traceback() -> None:
    """Drop cached data about cells in a traceback, such as their syntax trees; that about files is worth keeping."""
    # These are private attributes; the session's Python may have other versions of the packages.
    with contextlib.suppress(AttributeError):
        sources = _stack_data.Source._class_local("__source_cache_with_lines", {})
        for key in [key for key in sources if key[0].startswith("<cell ")]:
            del sources[key]
        nodes = _stack_data.Source._class_local("__executing_cache", {})
        for key in [key for key in nodes if key[0].co_filename.startswith("<cell ")]:
            del nodes[key]
        _executing.Source.statements_at_line.cache_clear()
        _executing.statement_containing_node.cache_clear()


def forget_old_cell(shell: Any) -> None:
    """Drop the code of the cell that was `KEPT_CELLS` before the next one."""
    number = shell.execution_count - KEPT_CELLS
    if number < 1:
        return
    for part in itertools.count():
        name = cell_name(number, part)
        linecache.cache.pop(name, None)
        if shell.compile._filename_map.pop(name, None) is None:
            break
    for variables in (shell.user_ns, shell.user_ns_hidden):
        variables.pop(f"_i{number}", None)
    for cells in (shell.history_manager.input_hist_parsed, shell.history_manager.input_hist_raw):
        if number < len(cells):
            cells[number] = ""
