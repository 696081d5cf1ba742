"""What a compressed or otherwise encoded file decodes to, read by position without decoding it from the beginning each time.

Decoding goes one way only, so the decoder's state is kept every few MiB: a read begins at the last checkpoint before it.
The checkpoints are few (their distance doubles when there are too many) and may be kept for the next opening.
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
# A decoder of gzip holds about 44 KiB, most of it the last 32 KiB that it wrote.
_MOST_CHECKPOINTS = 64


class ByteDecoder(Protocol):
    """Turns some bytes into others, one piece after the other."""

    def decode(self, data: bytes, *, last: bool) -> tuple[bytes, int]:
        """What comes of `data` (a bounded amount), and how much of it was used; the rest is given again.

        Neither bytes out nor bytes used means the end. `last`: nothing follows `data`.

        Raises:
            DecodeError: when the data is damaged or cut off.
        """
        ...

    def copy(self) -> Self:
        """Another decoder in the same state."""
        ...


class DecodeError(Exception):
    """Why data cannot be decoded, as a sentence without a subject: `ends in the middle`."""


@dataclass
class _Cursor:
    """A decoder, what it reads next, and what it wrote last."""

    decoder: ByteDecoder
    source: int
    """Where in the source its next byte is."""
    offset: int
    """How much it has written."""

    def copy(self) -> _Cursor:
        return _Cursor(self.decoder.copy(), self.source, self.offset)


@dataclass
class Decoding:
    """What is known of a decoded file, whoever opens it."""

    first: ByteDecoder
    size: int | None = None
    checkpoints: list[_Cursor] = field(default_factory=list)
    spacing: int = _FIRST_SPACING
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.checkpoints.append(_Cursor(self.first, 0, 0))

    def note(self, cursor: _Cursor) -> None:
        """Keep a checkpoint, if the last one lies far enough back."""
        with self.lock:
            if cursor.offset < self.checkpoints[-1].offset + self.spacing:
                return
            self.checkpoints.append(cursor.copy())
            if len(self.checkpoints) > _MOST_CHECKPOINTS:
                self.spacing *= 2
                del self.checkpoints[1::2]

    def nearest(self, offset: int) -> _Cursor:
        """A cursor at the last checkpoint that is not beyond `offset`."""
        with self.lock:
            at = bisect_right(self.checkpoints, offset, key=lambda each: each.offset) - 1
            return self.checkpoints[at].copy()


class DecodedContent:
    """A `Content` over another one. Like a file's descriptor it belongs to one request, its `Decoding` to all."""

    def __init__(self, source: Content, decoding: Decoding) -> None:
        self._source = source
        self._decoding = decoding
        self._cursor = decoding.nearest(0)
        # What was read last: the next read often begins within.
        self._window = b""
        self._window_begin = 0

    @property
    def name(self) -> str:
        """The file's."""
        return self._source.name

    @property
    def caller(self) -> ProgressListener:
        """Who asked."""
        return self._source.caller

    @property
    def size(self) -> int | None:
        """How many bytes there are; None as long as the end was not met."""
        return self._decoding.size

    def read(self, offset: int, length: int) -> bytes:
        """See `Content.read`.

        Raises:
            WorkspaceError: when the file has become shorter meanwhile, or is damaged or cut off.
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
        """How far the source is read, by what its decoder has taken."""
        known = self._decoding.size
        return min(1.0, offset / known) if known else self._source.done(self._cursor.source)

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the caller has lost interest."""
        self._source.raise_if_cancelled()

    def _from_window(self, offset: int, length: int) -> tuple[list[bytes], int]:
        """What of the asked bytes was read last time, from `offset` on."""
        at = offset - self._window_begin
        if not 0 <= at < len(self._window):
            return [], 0
        # The cursor stands behind the window, so all of it has to be taken or what follows is not next.
        piece = self._window[at:]
        return [piece], len(piece)

    def _next(self) -> bytes:
        """The next bytes from the cursor on; none at the end."""
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
