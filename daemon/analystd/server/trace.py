"""The wire trace (`AGENT_TRACE`): every message from and to every client, in a file that only its user can read.

Each record is a line with `in` or `out`, `<daemon's pid>-<number of the connection>`, the time (UTC) and the number of bytes that follow, then
these bytes and a line end. The bytes are what was sent, an outgoing message with its header, except that the key of a model server is replaced.
A trace contains prompts, code, table cells and outputs in full: it is as confidential as the data.
The hello with which a client introduces itself is left out, since it contains the daemon's token.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from analystd.config.settings import Settings
from analystd.util.log_file import RollingFile

logger = logging.getLogger(__name__)

NoteMessage = Callable[[Literal["in", "out"], bytes], None]
"""Records a message of one connection: its direction and its bytes."""

_MOST_UNWRITTEN_BYTES = 8 * 1024 * 1024
"""Maximum size of the records that wait for the disk; beyond it, records are dropped."""

_KEY = b"AGENT_MODEL_API_KEY"
_KEY_MEMBER = re.compile(rb'("%b"\s*:\s*)"(?:[^"\\]|\\.)*"' % _KEY)


def no_trace(direction: Literal["in", "out"], data: bytes) -> None:
    """Record nothing."""


class Trace:
    """The trace of one daemon. Records that cannot be written are written later or dropped, without raising an exception."""

    def __init__(self, file: RollingFile) -> None:
        self._file = file
        self._unwritten = bytearray()
        self._is_whole = True

    def of_connection(self, number: int) -> NoteMessage:
        """Return a function that records the messages of a connection."""
        return lambda direction, data: self._note(direction, number, data)

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        self._file.close()

    def _note(self, direction: str, number: int, data: bytes) -> None:
        if len(self._unwritten) > _MOST_UNWRITTEN_BYTES:
            self._drop()
        else:
            data = _without_key(data)
            at = datetime.now(UTC).isoformat(timespec="microseconds")
            head = f"{direction} {os.getpid()}-{number} {at} {len(data)}\n"
            self._unwritten += b"%b%b\n" % (head.encode(), data)
        try:
            del self._unwritten[: self._file.append(self._unwritten)]
        except OSError as exc:
            logger.debug("the trace cannot be written: %s", exc)

    def _drop(self) -> None:
        if self._is_whole:
            logger.error("the trace %s cannot be written; messages are missing there from now on", self._file.path)
        self._is_whole = False


def open_trace(settings: Settings) -> Trace | None:
    """Open the trace that the settings name, if any. If it cannot be opened, log the reason and return None."""
    if settings.trace is None:
        return None
    path = Path(settings.trace)
    try:
        file = RollingFile(path, max_bytes=int(settings.trace_max_mb * 2**20), older_files=1)
    except OSError as exc:
        logger.error("messages are not traced (AGENT_TRACE): %s: %s", exc.strerror, path)
        return None
    logger.warning("every message is written to %s (AGENT_TRACE), with all that prompts, tables and outputs hold", path)
    return Trace(file)


def _without_key(data: bytes) -> bytes:
    return _KEY_MEMBER.sub(rb'\1"(a key)"', data) if _KEY in data else data
