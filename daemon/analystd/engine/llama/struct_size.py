"""The size of a structure that a C function returns, found out by calling it."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from typing import Any

ROOM_BYTES = 1024
"""More than any structure that is asked about takes."""


def filled_bytes(function: Any, arguments: Sequence[Any] = ()) -> int | None:
    """Return how many bytes of the structure that it returns a function fills in; None where that cannot be found out.

    Padding at the end may not be counted. The function is called twice.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    # There, the caller of a function that returns more than 16 bytes passes a pointer to room for them before all arguments (System V ABI
    # for AMD64, 3.2.3; Windows has the same). What is alike in rooms that differed was filled in.
    rooms = [(ctypes.c_uint8 * ROOM_BYTES)(*[before] * ROOM_BYTES) for before in (0x00, 0xFF)]
    function.restype, function.argtypes = None, None
    for room in rooms:
        function(ctypes.byref(room), *arguments)
    return max((place + 1 for place, (one, other) in enumerate(zip(*rooms, strict=True)) if one == other), default=0)
