"""Bytes that are read by position: a file's own, or decoded ones."""

from __future__ import annotations

from typing import Protocol

from analystd.data.positioned_file import ProgressListener


class Content(Protocol):
    """The interface through which text formats read."""

    @property
    def name(self) -> str:
        """The caller's name for the file, used in messages."""
        ...

    @property
    def listener(self) -> ProgressListener:
        """The cancellation flag and progress callback of the request."""
        ...

    @property
    def size(self) -> int | None:
        """The size in bytes; None until the end was reached."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end.

        Raises:
            WorkspaceError: when the file has become shorter, or cannot be decoded.
            ViewCancelledError: when the request was cancelled.
        """
        ...

    def done(self, offset: int) -> float:
        """Return the approximate part of the file before `offset`, from 0 to 1."""
        ...

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the request was cancelled."""
        ...
