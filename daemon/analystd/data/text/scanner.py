"""The record scanner: the compiled one (`_records.c`), or the Python one if that is not available."""

from __future__ import annotations

try:
    from analystd.data.text._records import cells, count, count_blocks, find, split

    is_compiled = True
except ImportError:
    # There was no compiler at installation, or the system cannot load the library.
    from analystd.data.text.python_scanner import cells, count, count_blocks, find, split

    is_compiled = False

__all__ = ["cells", "count", "count_blocks", "find", "is_compiled", "split"]
