"""The decoded content of a compressed or otherwise encoded file, read by position without decoding from the beginning each time.

Decoding is sequential, so the decoder's state is saved every few MiB, and a read starts at the last checkpoint before it.
The number of checkpoints is bounded (their distance doubles when there are too many), so they can be cached.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Protocol, Self

from analystd.data.positioned_file import ProgressListener
from analystd.data.text.content import Content
from analystd.wire.errors import WorkspaceError

_SOURCE_BYTES = 64 * 1024
_FIRST_SPACING = 4 * 1024 * 1024
# A gzip decoder holds about 44 KiB, most of it its window of 32 KiB.
_MOST_CHECKPOINTS = 64


class ByteDecoder(Protocol):
    """An incremental decoder from bytes to bytes."""

    def decode(self, data: bytes, *, last: bool) -> tuple[bytes, int]:
        """Decode `data` to a bounded amount, and return that with the number of bytes used; the caller passes the others again.

        No bytes returned and none used means the end. With `last`, nothing follows `data`.

        Raises:
            DecodeError: when the data is damaged or truncated.
        """
        ...

    def copy(self) -> Self:
        """Return a copy of the decoder in its current state."""
        ...


class DecodeError(Exception):
    """Data cannot be decoded; the message is a sentence without its subject, such as `ends in the middle`."""


@dataclass
class _Cursor:
    """A decoder with its position in the source and in its output."""

    decoder: ByteDecoder
    source: int
    """The offset of its next byte in the source."""
    offset: int
    """The number of bytes it has written."""

    def copy(self) -> _Cursor:
        return _Cursor(self.decoder.copy(), self.source, self.offset)


@dataclass
class Decoding:
    """The cached state of a decoded file."""

    first: ByteDecoder
    size: int | None = None
    checkpoints: list[_Cursor] = field(default_factory=list)
    spacing: int = _FIRST_SPACING
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.checkpoints.append(_Cursor(self.first, 0, 0))

    def note(self, cursor: _Cursor) -> None:
        """Save a checkpoint, if the last one is far enough back."""
        with self.lock:
            if cursor.offset < self.checkpoints[-1].offset + self.spacing:
                return
            self.checkpoints.append(cursor.copy())
            if len(self.checkpoints) > _MOST_CHECKPOINTS:
                self.spacing *= 2
                del self.checkpoints[1::2]

    def nearest(self, offset: int) -> _Cursor:
        """Return a cursor at the last checkpoint up to `offset`."""
        with self.lock:
            at = bisect_right(self.checkpoints, offset, key=lambda each: each.offset) - 1
            return self.checkpoints[at].copy()


class DecodedContent:
    """A `Content` that decodes another one. It belongs to one request; all requests for the file share its `Decoding`."""

    def __init__(self, source: Content, decoding: Decoding) -> None:
        self._source = source
        self._decoding = decoding
        self._cursor = decoding.nearest(0)
        # The bytes of the last read, because the next one often begins within them.
        self._window = b""
        self._window_begin = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self._source.name

    @property
    def listener(self) -> ProgressListener:
        """The cancellation flag and progress callback of the request."""
        return self._source.listener

    @property
    def size(self) -> int | None:
        """The decoded size in bytes; None until the end was reached."""
        return self._decoding.size

    def read(self, offset: int, length: int) -> bytes:
        """See `Content.read`.

        Raises:
            WorkspaceError: when the file has become shorter, or is damaged or truncated.
            ViewCancelledError: when the request was cancelled.
        """
        pieces, have = self._from_window(offset, length)
        position = offset + have
        if have < length and self._cursor.offset != position:
            nearest = self._decoding.nearest(position)
            if not nearest.offset <= self._cursor.offset <= position:
                self._cursor = nearest
        while have < length and (piece := self._next()):
            begin = self._cursor.offset - len(piece)
            if begin + len(piece) > position:
                wanted = piece[max(0, position - begin) :]
                pieces.append(wanted)
                have += len(wanted)
        data = b"".join(pieces)
        self._window, self._window_begin = data, offset
        return data[:length]

    def done(self, offset: int) -> float:
        """Return the part of the content before `offset`, from 0 to 1, estimated from the source until the size is known."""
        known = self._decoding.size
        return min(1.0, offset / known) if known else self._source.done(self._cursor.source)

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the request was cancelled."""
        self._source.raise_if_cancelled()

    def _from_window(self, offset: int, length: int) -> tuple[list[bytes], int]:
        """Return the requested bytes from `offset` that the last read already decoded."""
        at = offset - self._window_begin
        if not 0 <= at < len(self._window):
            return [], 0
        # Take the rest of the window as a whole: the cursor is at its end, so decoding continues there.
        piece = self._window[at:]
        return [piece], len(piece)

    def _next(self) -> bytes:
        """Return the next bytes from the cursor; none at the end."""
        cursor = self._cursor
        while True:
            self.raise_if_cancelled()
            data = self._source.read(cursor.source, _SOURCE_BYTES)
            try:
                piece, used = cursor.decoder.decode(data, last=len(data) < _SOURCE_BYTES)
            except DecodeError as exc:
                raise WorkspaceError(f"{self.name} {exc}") from None
            cursor.source += used
            cursor.offset += len(piece)
            if piece:
                self._decoding.note(cursor)
                return piece
            if not used:
                self._decoding.size = cursor.offset
                return b""
