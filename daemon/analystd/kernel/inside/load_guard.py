"""Refuse to load a whole file that cannot fit into memory, before the load begins to fill the memory.

A load is refused only if it is certain to fail: the estimate is the minimum that a load can take, the limit is the maximum that the session
could ever have. If either is unknown, pandas proceeds.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

LEAST_SHARE = {"read_csv": 0.25, "read_table": 0.25, "read_json": 0.5, "read_feather": 0.5, "read_parquet": 0.25}
"""The minimum memory of a loaded file, as a share of the bytes in the file (for Parquet, before compression).

A float written with all its digits takes some 25 bytes in CSV and 8 in memory; small integers take 4 in Parquet and 1 in memory. JSON is read as
one string first, in which a character of three bytes takes two.
"""

_NARROWING = frozenset(
    {
        "nrows",
        "chunksize",
        "iterator",
        "usecols",
        "dtype",
        "converters",
        "skiprows",
        "skipfooter",
        "comment",
        "on_bad_lines",
        "engine",
        "filters",
        "partitioning",
        "filesystem",
        "storage_options",
        "encoding",
    }
)
"""Arguments that may make the result smaller than the file, or refer to another file; loads with one of them are not checked."""

_ADVICE = {
    "read_csv": "usecols, nrows or chunksize",
    "read_table": "usecols, nrows or chunksize",
    "read_json": "lines=True with nrows or chunksize",
    "read_feather": "columns",
    "read_parquet": "columns or filters",
}


class LoadGuard:
    """Compare pandas' loads of whole files with the available memory."""

    def __init__(self, memory_bytes: int | None) -> None:
        """`memory_bytes` is the memory of the machine or of the container, if it is known."""
        self._memory_bytes = memory_bytes

    def watch(self, pandas: ModuleType) -> None:
        """Add a check of the file to each of pandas' functions that load one."""
        for name in LEAST_SHARE:
            with contextlib.suppress(Exception):
                self._watch(name, getattr(pandas, name))

    def refusal(self, name: str, path: object, columns: object = None) -> str | None:
        """Return why loading `path` with pandas' function `name` cannot succeed; None if it might."""
        if not isinstance(path, (str, os.PathLike)):
            return None
        file = os.path.expanduser(os.fspath(path))  # noqa: PTH111
        status = os.stat(file)  # noqa: PTH116
        if not stat.S_ISREG(status.st_mode):
            return None
        if name == "read_feather" and columns is not None:
            return None
        loaded = _parquet_bytes(file, columns) if name == "read_parquet" else status.st_size
        room = most_memory(self._memory_bytes)
        if loaded * LEAST_SHARE[name] <= room:
            return None
        size = f"{loaded / 1e9:.1f} GB" + (" before compression" if name == "read_parquet" else "")
        return (
            f"{os.fspath(path)!r} holds {size}, which cannot fit into the {room / 1e9:.1f} GB of memory that this session could "
            f"have: pass {_ADVICE[name]}, query the file with DuckDB or pyarrow's filters, or view it with data_view"
        )

    def _watch(self, name: str, function: Callable[..., Any]) -> None:
        signature: list[inspect.Signature] = []

        def refusal(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
            # For errors in the arguments or the file, pandas has the better message.
            with contextlib.suppress(Exception):
                signature[:] = signature or [inspect.signature(function)]
                given = signature[0].bind(*args, **kwargs).arguments
                if not any(given.get(each) is not None and given[each] is not False for each in _NARROWING):
                    return self.refusal(name, next(iter(given.values())), given.get("columns"))
            return None

        # A function may be in several modules; comparing and pickling need the same object in all of them.
        watched = _watched(function, refusal)
        for place, module in list(sys.modules.items()):
            if place.partition(".")[0] == "pandas" and getattr(module, "__dict__", {}).get(name) is function:
                setattr(module, name, watched)


def most_memory(memory_bytes: int | None = None) -> int:
    """Return the maximum memory that this process could ever have: free memory, free swap space, and what it uses already."""
    kilobytes = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        key, _, value = line.partition(":")
        kilobytes[key] = int(value.split()[0])
    own_pages = int(Path("/proc/self/statm").read_text().split()[1])
    free = (kilobytes["MemAvailable"] + kilobytes["SwapFree"]) * 1024 + own_pages * os.sysconf("SC_PAGE_SIZE")
    return min(free, memory_bytes) if memory_bytes else free


def is_explained(error: BaseException) -> bool:
    """Return whether an error already explains the memory limit, as the refusal of a load does."""
    return bool(vars(error).get("analystd_explained"))


def _watched(function: Callable[..., Any], refusal: Callable[..., str | None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def load(*args: Any, **kwargs: Any) -> Any:
        if why := refusal(args, kwargs):
            error = MemoryError(why)
            vars(error)["analystd_explained"] = True
            raise error
        return function(*args, **kwargs)

    # Appear as part of pandas in tracebacks, and when pandas searches for the user's line to warn about.
    original: Any = inspect.unwrap(function)
    watched: Any = load
    watched.__code__ = watched.__code__.replace(
        co_filename=original.__code__.co_filename, co_firstlineno=original.__code__.co_firstlineno
    )
    return load


def _parquet_bytes(file: str, columns: object) -> int:
    """Return the size of these columns, or of all, in Parquet's encodings but before compression, from the file's footer."""
    footer = importlib.import_module("pyarrow.parquet").read_metadata(file)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    if columns is None:
        return sum(group.total_byte_size for group in groups)
    wanted = set(columns) if isinstance(columns, Iterable) else set()
    return sum(
        chunk.total_uncompressed_size
        for group in groups
        for chunk in map(group.column, range(group.num_columns))
        if chunk.path_in_schema.partition(".")[0] in wanted or chunk.path_in_schema in wanted
    )
