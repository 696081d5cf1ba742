"""Which file a name stands for: a number that no later file has, unlike that of its inode."""

from __future__ import annotations

import ctypes
import os
import struct

Identity = tuple[int, ...]
"""Device, inode, and when it was made."""

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_INODE, _MADE = 0x100, 0x800
_BYTES = 256
# Where `struct statx` (linux/stat.h) has what is known, the inode, when it was made, and the device.
_KNOWN_AT, _INODE_AT, _MADE_AT, _DEVICE_AT = 0, 32, 80, 136

_libc = ctypes.CDLL(None, use_errno=True)


def identity(folder: int | None, name: str) -> Identity:
    """Which file `name` stands for in the folder that a descriptor names; of a link, the link itself.

    An inode's number is given away again once its file is gone, so that the time when it was made belongs to it. File systems that do not
    keep that leave it 0.

    Raises:
        OSError: when there is none.
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
