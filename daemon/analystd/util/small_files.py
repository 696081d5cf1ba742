"""Read small files that other users may have created: settings, daemon cards, notes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SMALL_BYTES = 1 << 20


class NotSmallError(OSError):
    """The file is too large for its purpose, or not a regular file."""


def read_small(path: Path, limit: int = SMALL_BYTES) -> bytes:
    """Return the content of a regular file. Never reads more than `limit` bytes, and never waits for a pipe or a device.

    Raises:
        NotSmallError: when it is larger, or not a regular file.
        OSError: when it cannot be opened or read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise NotSmallError(0, "it is not a regular file", str(path))
        content = b""
        while len(content) <= limit and (part := file.read(limit + 1 - len(content))):
            content += part
    if len(content) > limit:
        raise NotSmallError(0, f"it holds more than {limit // 1024} KiB", str(path))
    return content
