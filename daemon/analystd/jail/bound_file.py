"""Single files that a jailed process may read, identified by device and inode so that a replaced file is not readable."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class BoundFile:
    """A path and the file that it resolved to."""

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the file that `path` leads to now; links are followed.

        Raises:
            OSError: when the file does not exist or is not a regular file.
        """
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        return cls(path, status.st_dev, status.st_ino)

    @property
    def word(self) -> str:
        """The file as an argument for the launcher."""
        return f"file={self.device}:{self.inode}:{self.path}"
