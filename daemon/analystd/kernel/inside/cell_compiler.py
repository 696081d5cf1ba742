"""Name the files of cells, so that tracebacks find their lines."""

from __future__ import annotations

from typing import Any

import IPython.core.compilerop

from . import history_pruning

# IPython is only partly typed; as Any it is consistently unchecked.
_CachingCompiler: Any = IPython.core.compilerop.CachingCompiler


class CellCompiler(_CachingCompiler):  # type: ignore[misc]
    """Name each cell by its number, so that a traceback distinguishes it from earlier cells with the same text."""

    _number = 0
    _parts = 0

    def begin_cell(self, number: int) -> None:
        """Assign code compiled from now on to this cell: its own, then what IPython runs for it (`%%capture`, `%rerun`, macros)."""
        self._number, self._parts = number, 0

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        """Store code for tracebacks; return its file name."""
        # IPython increments its counter before it runs nested code, which would then have the next cell's name.
        name: str = super().cache(transformed_code, self._number or number, raw_code=raw_code)
        return name

    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        """Return the file name for a cell's code."""
        part, self._parts = self._parts, self._parts + 1
        return history_pruning.cell_name(number, part)
