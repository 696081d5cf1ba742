"""What a desk needs from the worker that opens files, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypedDict

from analystd.data.view_request import ViewRequest
from analystd.wire.results import FileListing, FileText, ViewResult


@dataclass(frozen=True)
class FileInJail:
    """A file that the worker itself opens: a path inside the jail or the read-only paths, as the caller wrote it."""

    path: str


@dataclass(frozen=True)
class OpenFile:
    """A file that the daemon opened, read-only, for a person's editor. The caller keeps and closes the descriptor."""

    name: str
    descriptor: int


class WriteReport(TypedDict):
    """A file that was written, `text` for people."""

    text: str
    path: str
    size: int
    created: bool


Source = FileInJail | OpenFile


class DataService(Protocol):
    """Views of data files and the file tools. Cancelling a call's task stops its work."""

    async def view(
        self, source: Source, question: ViewRequest, on_progress: Callable[[float], None] | None = None
    ) -> ViewResult:
        """A view of a table, its `text` as a person reads it; `on_progress` hears what part of long work is done.

        Raises:
            WorkspaceError: for a path that the jail refuses, a missing file, or one that is no table of a known format.
            InvalidArgumentsError: for a column that is not there.
            WorkerDiedError: when the worker ended in the middle; the next call gets a new one.
        """
        ...

    async def list_files(self, path: str, *, pattern: str | None = None, recursive: bool = False) -> FileListing:
        """A folder's entries, sorted by name.

        Folders have a trailing `/` in the text. A file is listed as if it were alone in a folder.

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
        """A part of a text file; the text is the file's own.

        Lines from the 1-based `offset`, or else whole characters of the bytes from `byte_offset`; then `offset` and `lines` are None.

        Raises:
            WorkspaceError: as `view`, and for a binary file.
            InvalidArgumentsError: for lines and bytes at once.
        """
        ...

    async def write_file(self, path: str, content: str) -> WriteReport:
        """Write a text file; whole or not at all, folders on the way are made.

        Raises:
            WorkspaceError: as `view`.
            ResourceLimitError: when it would take the workspace over its limit; nothing is written.
        """
        ...

    async def aclose(self) -> None:
        """End the worker. Harmless when repeated."""
        ...
