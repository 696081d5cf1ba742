"""Bytes that are read by position: a file as it lies there, or what it decodes to."""

from __future__ import annotations

from typing import Protocol

from analystd.data.positioned_file import ProgressListener


class Content(Protocol):
    """What text formats read through."""

    @property
    def name(self) -> str:
        """What the caller calls the file; messages say it."""
        ...

    @property
    def caller(self) -> ProgressListener:
        """Who asked."""
        ...

    @property
    def size(self) -> int | None:
        """How many bytes there are; None as long as the end was not met."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`: `length` of them, fewer only at the end.

        Raises:
            WorkspaceError: when the file has become shorter meanwhile, or cannot be decoded.
            ViewCancelledError: when the request was cancelled.
        """
        ...

    def done(self, offset: int) -> float:
        """Which part of the file lies before `offset`, from 0 to 1, as far as that is known."""
        ...

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the caller has lost interest."""
        ...
