"""Keep llama.cpp from using the matrix tiles of Intel's servers (AMX): builds by GCC 12 crash with them at the first prompt.

GCC 12, Debian's compiler, assumes that `_tile_loadconfig` reads 8 of the 64 bytes of a tile configuration, and drops the stores to the
others. The processor then rejects the configuration, and the process ends with SIGSEGV
(https://github.com/ggml-org/llama.cpp/issues/20824). Where Linux grants no tiles, llama.cpp lays out the weights for AVX-512 as on any
other processor.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterator

_STACK_BYTES = 4096
"""Large enough for a signal without tiles (`MINSIGSTKSZ` is 2048), and too small for the 8 KiB that tiles need."""


class _Stack(ctypes.Structure):
    """`stack_t` of glibc and musl."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def without_tiles() -> Iterator[None]:
    """Prevent this process from being granted tiles inside the context. Does nothing on other systems and processors.

    Linux grants tiles only to a process all of whose alternate signal stacks have room for them (kernel documentation: x86/xstate), so this
    gives the thread a small stack. A process that was granted tiles before keeps them.
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
