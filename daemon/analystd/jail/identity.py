"""Identify a file by device, inode and birth time: unlike the inode alone, no later file has the same identity."""

from __future__ import annotations

import ctypes
import os
import struct

Identity = tuple[int, ...]
"""Device, inode and birth time."""

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_INODE, _MADE = 0x100, 0x800
_BYTES = 256
# Offsets in `struct statx` (linux/stat.h): the mask of valid fields, the inode, the birth time and the device.
_KNOWN_AT, _INODE_AT, _MADE_AT, _DEVICE_AT = 0, 32, 80, 136

_libc = ctypes.CDLL(None, use_errno=True)


def identity(folder: int | None, name: str) -> Identity:
    """Return the identity of `name` in the folder of a descriptor; links are not followed.

    An inode number is reused once its file is gone, so the birth time is part of the identity. It is 0 on file systems that do not
    store it.

    Raises:
        OSError: when there is no such file.
    """
    buffer = ctypes.create_string_buffer(_BYTES)
    within = ctypes.c_int(_AT_FDCWD if folder is None else folder)
    mask = ctypes.c_uint(_INODE | _MADE)
    if _libc.statx(within, os.fsencode(name), ctypes.c_int(_AT_SYMLINK_NOFOLLOW), mask, buffer) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    (known,) = struct.unpack_from("=I", buffer.raw, _KNOWN_AT)
    (inode,) = struct.unpack_from("=Q", buffer.raw, _INODE_AT)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer.raw, _MADE_AT) if known & _MADE else (0, 0)
    return (*struct.unpack_from("=II", buffer.raw, _DEVICE_AT), inode, seconds, nanoseconds)
