"""Refuses to load a file whole that cannot fit into the memory, before the load has begun to fill it.

Only what is certain is refused: the estimate is the least that a load can take, the limit is the most that the session could ever have, and
where either is not known, pandas is left to itself.
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
"""What a load leaves in memory at the least, as a share of the bytes in the file, for Parquet of those before compression.

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
"""Arguments that may make the result smaller than the file, or the file another one; whoever gives one is not held up."""

_ADVICE = {
    "read_csv": "usecols, nrows or chunksize",
    "read_table": "usecols, nrows or chunksize",
    "read_json": "lines=True with nrows or chunksize",
    "read_feather": "columns",
    "read_parquet": "columns or filters",
}


class LoadGuard:
    """Holds pandas' loads of whole files against the memory that there is."""

    def __init__(self, memory_bytes: int | None) -> None:
        """`memory_bytes` is the memory of the machine, or of the container, if that is known."""
        self._memory_bytes = memory_bytes

    def watch(self, pandas: ModuleType) -> None:
        """Put a look at the file before each of pandas' functions that load one."""
        for name in LEAST_SHARE:
            with contextlib.suppress(Exception):
                self._watch(name, getattr(pandas, name))

    def refusal(self, name: str, path: object, columns: object = None) -> str | None:
        """Why the load of `path` by pandas' function `name` cannot succeed; None if it might."""
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
            f"have: give {_ADVICE[name]}, query the file with DuckDB or pyarrow's filters, or look at it with data_view"
        )

    def _watch(self, name: str, function: Callable[..., Any]) -> None:
        signature: list[inspect.Signature] = []

        def refusal(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
            # Whatever is wrong with the arguments or the file, pandas tells it better.
            with contextlib.suppress(Exception):
                signature[:] = signature or [inspect.signature(function)]
                given = signature[0].bind(*args, **kwargs).arguments
                if not any(given.get(each) is not None and given[each] is not False for each in _NARROWING):
                    return self.refusal(name, next(iter(given.values())), given.get("columns"))
            return None

        # One function may stand in several modules; whoever compares or pickles it finds the same one in all of them.
        watched = _watched(function, refusal)
        for place, module in list(sys.modules.items()):
            if place.partition(".")[0] == "pandas" and getattr(module, "__dict__", {}).get(name) is function:
                setattr(module, name, watched)


def most_memory(memory_bytes: int | None = None) -> int:
    """The bytes that this process could ever have: what is free, what could be swapped out, and what it has already."""
    kilobytes = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        key, _, value = line.partition(":")
        kilobytes[key] = int(value.split()[0])
    own_pages = int(Path("/proc/self/statm").read_text().split()[1])
    free = (kilobytes["MemAvailable"] + kilobytes["SwapFree"]) * 1024 + own_pages * os.sysconf("SC_PAGE_SIZE")
    return min(free, memory_bytes) if memory_bytes else free


def is_told(error: BaseException) -> bool:
    """Whether an error already says all about the memory, as a refusal of a load does."""
    return bool(vars(error).get("analystd_told"))


def _watched(function: Callable[..., Any], refusal: Callable[..., str | None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def load(*args: Any, **kwargs: Any) -> Any:
        if why := refusal(args, kwargs):
            error = MemoryError(why)
            vars(error)["analystd_told"] = True
            raise error
        return function(*args, **kwargs)

    # In tracebacks, and for pandas when it looks for the user's line to warn about, this is a part of pandas.
    original: Any = inspect.unwrap(function)
    watched: Any = load
    watched.__code__ = watched.__code__.replace(
        co_filename=original.__code__.co_filename, co_firstlineno=original.__code__.co_firstlineno
    )
    return load


def _parquet_bytes(file: str, columns: object) -> int:
    """The size of those columns, or of all, in Parquet's encodings but before compression, as the file's footer tells it."""
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
