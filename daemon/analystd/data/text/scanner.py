"""The scanner of records: the compiled one (`_records.c`), or the one in Python where that is not to be had."""

from __future__ import annotations

try:
    from analystd.data.text._records import cells, count, count_blocks, find, split

    is_compiled = True
except ImportError:
    # No compiler at installation, or a library that this system cannot load.
    from analystd.data.text.python_scanner import cells, count, count_blocks, find, split

    is_compiled = False

__all__ = ["cells", "count", "count_blocks", "find", "is_compiled", "split"]
