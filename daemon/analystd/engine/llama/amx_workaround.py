"""Keeps llama.cpp from the matrix tiles of Intel's servers (AMX), with which it crashes at the first prompt where GCC 12 compiled it.

GCC 12, Debian's, takes `_tile_loadconfig` to read 8 of the 64 bytes of a tile configuration and leaves out the stores to the others; the
processor refuses what is loaded then, and the process ends with SIGSEGV (https://github.com/ggml-org/llama.cpp/issues/20824). Where Linux
does not grant tiles, llama.cpp lays the weights out for AVX-512 as on any other processor.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterator

_STACK_BYTES = 4096
"""Enough for a signal without tiles (`MINSIGSTKSZ` is 2048), and too little for the 8 KiB that tiles take."""


class _Stack(ctypes.Structure):
    """`stack_t` of glibc and musl."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def without_tiles() -> Iterator[None]:
    """Nothing in this process is granted tiles meanwhile; what asked before keeps them. On other systems and processors, nothing.

    Linux grants them only to a process each of whose alternate signal stacks has room for them (its documentation: x86/xstate), so this
    thread has a small one meanwhile.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        yield
        return
    libc = ctypes.CDLL(None)
    room = ctypes.create_string_buffer(_STACK_BYTES)
    before = _Stack()
    libc.sigaltstack(ctypes.byref(_Stack(ctypes.addressof(room), 0, _STACK_BYTES)), ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
