"""Seals: read-only mounts over paths of the workspace, applied while a jail is built and while it runs.

A seal binds a path over itself, read-only, in the mount namespace of a jail: the jail can neither change the content nor rename or remove the
path, and outside nothing changes. The path is resolved by descriptor without following links, and is both source and target of the mount, so
that a link swapped in meanwhile has no effect. As a program it seals paths in a jail that is already running:

    python -I -S seals.py PID FOLDER < paths, each relative to FOLDER and ended by a NUL

It prints a JSON list of the paths that are sealed. Numbers and flags are those of `linux/mount.h` and `linux/nsfs.h`. Imported by the
launcher: standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from analystd.jail.openat2 import open_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_CLONE = 1
_FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x04, 0x40
_ATTR_RDONLY = 1
_NEW_MOUNTS, _NEW_USERS = 0x20000, 0x10000000
_NS_GET_USERNS = 0xB701

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)
"""The path is no longer what it was when it was found; whatever replaced it is found separately."""

_libc = ctypes.CDLL(None, use_errno=True)


def seal(folder: int, relative: str, *, read_only: bool = True) -> bool:
    """Make `relative`, a path beneath the folder of a descriptor, read-only in this mount namespace.

    With `read_only=False` it is only pinned: it stays writable, but cannot be renamed or removed.

    Returns:
        Whether the path was sealed; False if it no longer exists or leads over a link by now.

    Raises:
        OSError: when the kernel refuses.
    """
    try:
        place = open_beneath(folder, relative, os.O_PATH)
    except OSError as exc:
        if exc.errno in _GONE:
            return False
        raise
    try:
        if stat.S_ISLNK(os.fstat(place).st_mode):
            return False
        _mount_over_itself(place, relative, read_only=read_only)
    finally:
        os.close(place)
    return True


def enter_namespaces(process: int) -> None:
    """Enter the mount namespace of a jail, with its creator's privileges there; only for a process with one thread.

    Raises:
        OSError: when the process has ended, or its namespaces belong to another user.
    """
    mounts = os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A jail that bwrap made is in a second user namespace, nested in the one that owns its mounts.
        users = _check(_libc.ioctl(mounts, ctypes.c_ulong(_NS_GET_USERNS)), "finding the owner of the jail")
        try:
            _check(_libc.setns(users, _NEW_USERS), "entering the jail")
        finally:
            os.close(users)
        _check(_libc.setns(mounts, _NEW_MOUNTS), "entering the jail")
    finally:
        os.close(mounts)


def seal_all(folder: str, paths: Iterable[str], *, read_only: bool = True) -> list[str]:
    """Seal or pin paths relative to `folder`, as `seal` does; return those that were."""
    beneath = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return [path for path in paths if seal(beneath, path, read_only=read_only)]
    finally:
        os.close(beneath)


def main() -> None:
    """Seal the paths read from stdin in the jail of a process."""
    import json

    process, folder = int(sys.argv[1]), sys.argv[2]
    paths = [os.fsdecode(path) for path in sys.stdin.buffer.read().split(b"\0") if path]
    enter_namespaces(process)
    json.dump(seal_all(folder, paths), sys.stdout)


def _mount_over_itself(place: int, name: str, *, read_only: bool) -> None:
    """Bind the path of a descriptor over itself, with everything mounted below it, read-only or unchanged."""
    flags = ctypes.c_uint(_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE)
    copy = _call(f"copying the mount of {name}", _OPEN_TREE, ctypes.c_int(place), b"", flags)
    try:
        attributes = (ctypes.c_uint64 * 4)(_ATTR_RDONLY if read_only else 0, 0, 0, 0)
        flags = ctypes.c_uint(_AT_EMPTY_PATH | _AT_RECURSIVE)
        size = ctypes.c_size_t(ctypes.sizeof(attributes))
        _call(f"sealing {name}", _MOUNT_SETATTR, ctypes.c_int(copy), b"", flags, ctypes.byref(attributes), size)
        flags = ctypes.c_uint(_FROM_DESCRIPTOR | _TO_DESCRIPTOR)
        _call(f"sealing {name}", _MOVE_MOUNT, ctypes.c_int(copy), b"", ctypes.c_int(place), b"", flags)
    finally:
        os.close(copy)


def _call(what: str, number: int, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), what)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return int(result)


if __name__ == "__main__":
    main()
