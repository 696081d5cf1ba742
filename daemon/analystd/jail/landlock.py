"""Restrict this process with Landlock: which files it may open, which sockets it may connect to, which processes it may signal.

A restriction is permanent and inherited by children. Numbers and bits are those of the Linux headers (`linux/landlock.h`, ABI 9); a right is
requested only where the ABI has it. Imported by the launcher, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
MAKE_CHAR = 1 << 6
MAKE_BLOCK = 1 << 11
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15
RESOLVE_UNIX = 1 << 16
"""Connect to sockets by their path; sockets made in the same jail need no such right."""

READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = WRITE_FILE | READ_FILE | READ_DIR | TRUNCATE | IOCTL_DEV
WRITE = ((1 << 15) - 1) & ~(MAKE_CHAR | MAKE_BLOCK)
"""Every right on files and folders, except for making device nodes."""

TRUNCATE_ABI = 3
RESOLVE_UNIX_ABI = 9

_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_HANDLED_SINCE = {1: (1 << 13) - 1, 2: REFER, TRUNCATE_ABI: TRUNCATE, 5: IOCTL_DEV, RESOLVE_UNIX_ABI: RESOLVE_UNIX}
_TCP_BIND_AND_CONNECT = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
_NET_ABI = 4
_SCOPE_ABI = 6

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """Return the ABI that this kernel offers; 0 where Landlock is missing or disabled."""
    return max(0, int(_libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), _VERSION_FLAG)))


def restrict(rules: Iterable[tuple[str, int]], *, tcp: bool, scope: bool = True) -> int:
    """Confine this process and its children to `rules`, pairs of a path and its rights. A missing path is skipped.

    TCP stays usable only with `tcp`; with `scope`, abstract sockets and processes outside are unreachable.

    Returns:
        The ABI in force.

    Raises:
        OSError: when the kernel refuses; nothing is confined then.
    """
    version = abi()
    handled = 0
    for since, rights in _HANDLED_SINCE.items():
        handled |= rights if version >= since else 0
    ruleset = _Ruleset(
        handled,
        _TCP_BIND_AND_CONNECT if version >= _NET_ABI and not tcp else 0,
        _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPE_ABI and scope else 0,
    )
    descriptor = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(_ruleset_bytes(version)), 0)
    try:
        for path, rights in rules:
            _add(descriptor, path, rights & handled)
        _check(_libc.prctl(_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))
        _call(_RESTRICT_SELF, ctypes.c_int(descriptor), 0)
    finally:
        os.close(descriptor)
    return version


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _FILE_RIGHTS
        rule = _PathBeneath(rights, beneath)
        _call(_ADD_RULE, ctypes.c_int(ruleset), _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(beneath)


def _ruleset_bytes(version: int) -> int:
    """Return the size of the structure that this ABI knows: older kernels reject a longer one unless its rest is zero."""
    fields = 1 if version < _NET_ABI else 2 if version < _SCOPE_ABI else 3
    return fields * ctypes.sizeof(ctypes.c_uint64)


def _call(number: int, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments))


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
