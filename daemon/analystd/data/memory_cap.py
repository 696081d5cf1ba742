"""The memory limit of the data worker, so that a hostile file fails one request and does not exhaust the machine."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from analystd.jail.resource_usage import memory
from analystd.wire.errors import ResourceLimitError

_MEBIBYTE = 1024**2
_MOST_BYTES = 2 * 1024 * _MEBIBYTE
_KEPT_BYTES = 192 * _MEBIBYTE
_SHARE = 2
"""The limit is at most the machine's memory divided by this."""


def cap_memory() -> int:
    """Limit this process's private memory to 2 GiB or half of the machine's memory, and return the limit in bytes.

    An allocation beyond the limit raises MemoryError, however small the file on disk that asks for it.
    """
    most = min(_MOST_BYTES, memory().total // _SHARE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    return most


def give_back_memory() -> None:
    """Return freed memory to the system when the process is large; the C library otherwise keeps it for reuse."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    if pages * os.sysconf("SC_PAGE_SIZE") > _KEPT_BYTES:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def out_of_memory(what: str) -> ResourceLimitError:
    """Return the error for work that needs more memory than the limit allows."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = "there is" if limit == resource.RLIM_INFINITY else f"the limit of {limit // _MEBIBYTE} MiB for all views"
    return ResourceLimitError(
        f"{what} needs more memory than {allowed}",
        "Ask for fewer columns or rows, or read it piece by piece in a Python session",
    )
