"""Drop Linux capabilities: a jailed program must not have root's privileges.

Numbers are those of `linux/capability.h`. Imported by the launcher, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

DAC_OVERRIDE = 1

_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_MOST = 64

_libc = ctypes.CDLL(None, use_errno=True)


def drop_all(keep: int = 0) -> None:
    """Drop every capability except those in the bit mask `keep`, also from the sets that a program started by root would regain.

    Raises:
        OSError: when the kernel refuses.
    """
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(_MOST):
        if keep >> number & 1:
            continue
        code = _prctl(_PR_CAPBSET_DROP, number)
        # EINVAL: beyond the last capability. EPERM: an ordinary user, who cannot regain any once no_new_privs is set.
        if code in (errno.EINVAL, errno.EPERM):
            break
        if code:
            raise OSError(code, os.strerror(code))
    _set(keep & _permitted())


def _permitted() -> int:
    header, data = _header(), ctypes.create_string_buffer(24)
    _check(_libc.capget(header, data))
    return int(struct.unpack_from("=I", data.raw, 4)[0]) | int(struct.unpack_from("=I", data.raw, 16)[0]) << 32


def _set(capabilities: int) -> None:
    low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
    _check(_libc.capset(_header(), struct.pack("=6I", low, low, 0, high, high, 0)))


def _header() -> bytes:
    return struct.pack("=Ii", _VERSION_3, 0)


def _prctl(option: int, argument: int) -> int:
    """Call prctl(2) and return its error number; 0 on success."""
    result = _libc.prctl(option, *map(ctypes.c_ulong, (argument, 0, 0, 0)))
    return ctypes.get_errno() if result < 0 else 0


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
