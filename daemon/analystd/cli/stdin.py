"""Read code and questions from arguments or stdin."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from analystd.wire.errors import InvalidArgumentsError

MAX_BYTES = 16 * 2**20
"""The longest prompt or code that the daemon takes."""

_PIECE_BYTES = 1 << 16

_MARK = "\ufeff"


def argument_text(argument: str) -> str:
    """Return an argument, or the content of stdin if it is `-`, without the byte order mark that some editors write.

    Raises:
        InvalidArgumentsError: when it is too long or not UTF-8.
    """
    return (_read() if argument == "-" else _checked(argument)).removeprefix(_MARK)


class LineReader:
    """Reads stdin line by line without blocking the event loop."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._is_over = sys.stdin is None

    async def next_line(self) -> str | None:
        """Return the next line without its end; None after the last.

        Raises:
            InvalidArgumentsError: when it is too long or not UTF-8.
        """
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0 and not self._is_over:
            searched = len(self._read)
            if searched > MAX_BYTES:
                raise _too_long()
            piece = await self._piece()
            self._is_over = not piece
            self._read += piece
        if end < 0 and not self._read:
            return None
        line = bytes(self._read if end < 0 else self._read[:end])
        del self._read[: len(line) + 1]
        return _decoded(line.removesuffix(b"\r")).removeprefix(_MARK)

    async def _piece(self) -> bytes:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        descriptor = sys.stdin.fileno()
        # The loop cannot wait for a file, which is always readable.
        with contextlib.suppress(PermissionError):
            loop.add_reader(descriptor, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(descriptor)
        try:
            return os.read(descriptor, _PIECE_BYTES)
        except OSError as exc:
            raise InvalidArgumentsError(f"stdin cannot be read: {exc.strerror}") from exc


def _read() -> str:
    if sys.stdin is None:
        raise InvalidArgumentsError("stdin is closed", "Pass the text itself instead of `-`.")
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as exc:
        raise InvalidArgumentsError(f"stdin cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise _too_long()
    return _decoded(data)


def _too_long() -> InvalidArgumentsError:
    return InvalidArgumentsError(f"stdin holds more than {MAX_BYTES >> 20} MiB", "Put it into a file in the workspace.")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidArgumentsError(
            f"stdin is not UTF-8: {exc.reason} at byte {exc.start}", "Convert it, for example with `iconv -t UTF-8`."
        ) from exc


def _checked(argument: str) -> str:
    try:
        argument.encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgumentsError(f"The argument is not valid UTF-8 at character {exc.start}") from exc
    return argument
