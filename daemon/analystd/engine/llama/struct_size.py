"""Find the size of a structure that a C function returns, by calling the function."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from typing import Any

ROOM_BYTES = 1024
"""Larger than any structure that is measured."""


def filled_bytes(function: Any, arguments: Sequence[Any] = ()) -> int | None:
    """Return how many bytes of its result a function fills in, or None where that cannot be measured.

    Padding at the end may not be counted. The function is called twice.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    # On these processors, the caller of a function that returns more than 16 bytes passes a pointer to a buffer for them before all arguments
    # (System V ABI for AMD64, 3.2.3; Windows does the same). Bytes that are equal in two buffers that differed before were filled in.
    buffers = [(ctypes.c_uint8 * ROOM_BYTES)(*[before] * ROOM_BYTES) for before in (0x00, 0xFF)]
    function.restype, function.argtypes = None, None
    for buffer in buffers:
        function(ctypes.byref(buffer), *arguments)
    return max((index + 1 for index, (one, other) in enumerate(zip(*buffers, strict=True)) if one == other), default=0)
