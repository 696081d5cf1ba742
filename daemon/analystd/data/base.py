"""The interface of the data worker: views of data files, and the file tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from analystd.data.view_request import ViewRequest
from analystd.wire.results import FileListing, FileText, ViewResult, WriteReport


@dataclass(frozen=True)
class FileInJail:
    """A file that the worker opens itself: a path in the jail or the read-only paths, as the caller wrote it."""

    path: str


@dataclass(frozen=True)
class OpenFile:
    """A file that the daemon opened read-only for an editor. The caller owns and closes the descriptor."""

    name: str
    descriptor: int


Source = FileInJail | OpenFile


class DataService(Protocol):
    """Views of data files and the file tools. Cancelling a call's task stops its work."""

    async def view(
        self, source: Source, request: ViewRequest, on_progress: Callable[[float], None] | None = None
    ) -> ViewResult:
        """Return a view of a table, with a readable `text`.

        Args:
            source: The file.
            request: The operation, rows, columns, filter and sort order.
            on_progress: Called with the finished part of long work, from 0 to 1.

        Raises:
            WorkspaceError: for a path that the jail refuses, a missing file, or a file that is not a table of a known format.
            InvalidArgumentsError: for a column that does not exist.
            WorkerDiedError: when the worker died during the call; the next call starts a new one.
        """
        ...

    async def list_files(self, path: str, *, pattern: str | None = None, recursive: bool = False) -> FileListing:
        """Return a folder's entries, sorted by name.

        Folders have a trailing `/` in the text. A file is listed like a folder with only that file.

        Raises:
            WorkspaceError: as `view`.
        """
        ...

    async def read_file(
        self,
        path: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        byte_offset: int | None = None,
        byte_limit: int | None = None,
    ) -> FileText:
        """Return a part of a text file; the text is the file's own.

        The text holds the lines from the 1-based `offset`, or the whole characters of the bytes from `byte_offset`; then `offset` and
        `lines` are None.

        Raises:
            WorkspaceError: as `view`, and for a binary file.
            InvalidArgumentsError: when both a range of lines and a range of bytes are given.
        """
        ...

    async def write_file(self, path: str, content: str) -> WriteReport:
        """Write a file atomically, with its missing parent folders.

        Raises:
            WorkspaceError: as `view`.
            ResourceLimitError: when the file would take the workspace over its size limit; nothing is written.
        """
        ...

    async def aclose(self) -> None:
        """Stop the worker; a second call does nothing."""
        ...
