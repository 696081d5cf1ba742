"""Open paths beneath a folder, by descriptor, so that a symbolic link swapped in meanwhile cannot lead outside.

Imported by the launcher, so it needs the standard library only, and little of that.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

_OPENAT2 = 437
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_beneath(folder: int, relative: str, flags: int) -> int:
    """Open `relative`, a path without links, below the folder of the descriptor `folder`.

    The kernel resolves the path where it can (openat2, Linux 5.6 on x86-64 and arm64); elsewhere each component is opened separately.

    Raises:
        OSError: ELOOP for a link anywhere on the way, EXDEV for a path that leaves the folder, else as open(2).
    """
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW
    if not _has_openat2():
        return walk_beneath(folder, relative, flags)
    how = _OpenHow(flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    path = ctypes.c_char_p(os.fsencode(relative))
    descriptor: int = _libc.syscall(
        ctypes.c_long(_OPENAT2), ctypes.c_int(folder), path, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    )
    if descriptor >= 0:
        return descriptor
    code = ctypes.get_errno()
    # A container's seccomp filter may answer EPERM or ENOSYS to calls that it does not know.
    if code in (errno.ENOSYS, errno.EPERM):
        return walk_beneath(folder, relative, flags)
    raise OSError(code, os.strerror(code), relative)


def walk_beneath(folder: int, relative: str, flags: int) -> int:
    """Do the same as `open_beneath` without openat2: one O_NOFOLLOW open for each component."""
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    if ".." in parts or relative.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), relative)
    here = os.dup(folder)
    try:
        for part in parts[:-1]:
            here = _step(here, _open_one(here, part, os.O_PATH | os.O_DIRECTORY))
        return _open_one(here, parts[-1] if parts else ".", flags)
    finally:
        os.close(here)


def make_folders_beneath(folder: int, relative: str) -> int:
    """Open the folder `relative` below `folder`; create it and its parents where they are missing."""
    here = os.dup(folder)
    try:
        for part in relative.split("/"):
            if part in ("", "."):
                continue
            try:  # noqa: SIM105
                os.mkdir(part, dir_fd=here)
            except FileExistsError:
                pass
            here = _step(here, open_beneath(here, part, os.O_PATH | os.O_DIRECTORY))
        return open_beneath(here, ".", os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(here)


def _has_openat2() -> bool:
    machine = os.uname()
    return machine.sysname == "Linux" and machine.machine in ("x86_64", "aarch64")


def _step(old: int, new: int) -> int:
    os.close(old)
    return new


def _open_one(folder: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except NotADirectoryError:
        # With O_DIRECTORY the error for a link is ENOTDIR; openat2 reports ELOOP.
        if stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise
