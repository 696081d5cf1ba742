"""The file names of cells, by which tracebacks find their lines."""

from __future__ import annotations

from typing import Any

import IPython.core.compilerop

from . import history_pruning

# Typed in part only; as Any it is checked in no place rather than in some.
_CachingCompiler: Any = IPython.core.compilerop.CachingCompiler


class CellCompiler(_CachingCompiler):  # type: ignore[misc]
    """Names each cell by its number, so that a traceback tells this cell from earlier ones with the same text."""

    _number = 0
    _parts = 0

    def begin_cell(self, number: int) -> None:
        """What is compiled from now on belongs to this cell: its code, then whatever IPython runs for it (`%%capture`, `%rerun`, macros)."""
        self._number, self._parts = number, 0

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        """Keep code for tracebacks; gives the file name that it gets."""
        # IPython counts on before it runs what a cell holds, whose name would be the next cell's.
        name: str = super().cache(transformed_code, self._number or number, raw_code=raw_code)
        return name

    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        """The file name of a cell's code."""
        part, self._parts = self._parts, self._parts + 1
        return history_pruning.cell_name(number, part)
