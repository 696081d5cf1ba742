"""The session's stdout and stderr: bounded for each cell, with the output of Python code, C code and child processes."""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import threading
import time
from typing import Any

import ipykernel.iostream

from .interrupts import HeldInterrupts
from .output_limits import HeadTail

BACKGROUND_CHARACTERS = 64 * 1024
"""Maximum output of threads and children of finished cells until the next cell begins or ends."""

_LEFT_OUT = "\n… [further background output is left out until the next run] …\n"

_OutStream: Any = ipykernel.iostream.OutStream

_HELD = HeldInterrupts()
_READ_BYTES = 64 * 1024
_DRAIN_SECONDS = 0.1
_DRAINED_SECONDS = 0.0005
_STANDARD_ERROR = 2
_MAX_PIPES = 32
"""The maximum number of cells with living children whose output can be distinguished."""


class SessionStream(_OutStream):  # type: ignore[misc]
    """A stream of the kernel that sends the head of a cell's output at once, and the tail when the cell ends."""

    flush_interval = 0.05

    def __init__(self, session: Any, pub_thread: Any, name: str, **options: Any) -> None:
        super().__init__(session, pub_thread, name, **{**options, "watchfd": False})
        self._text = HeadTail()
        self._background_room = BACKGROUND_CHARACTERS
        self._cell: Any = None
        """The id of the running cell's message."""
        # Reentrant, because a signal handler of the user may print during a print.
        self._text_lock = threading.RLock()
        self._owner = os.getpid()
        self._main_thread = threading.get_ident()
        self._drain_again = 0.0
        self._written = False
        self._capture = DescriptorCapture(1 if name == "stdout" else 2, self._write_text)

    @property
    def cut_bytes(self) -> int:
        """The number of bytes cut from this cell's output."""
        return self._text.cut_bytes

    def begin_cell(self) -> None:
        """Start a new budget for the next cell, and restore the descriptor, whatever the last cell did to it."""
        header = dict(self.parent_header)
        self._capture.begin(header)
        with self._text_lock:
            self._cell = header.get("msg_id")
            self._text = HeadTail()
            self._background_room = BACKGROUND_CHARACTERS

    def end_cell(self) -> int:
        """Send the text held back; return the number of bytes cut."""
        self._capture.drain(_DRAIN_SECONDS)
        with self._text_lock:
            text = self._text
            self._cell = None
            self._text = HeadTail()
            self._background_room = BACKGROUND_CHARACTERS
            if rest := text.rest():
                self._send(rest)
        self.flush()
        return text.cut_bytes

    def write(self, string: str) -> int:
        """Write text from Python code, after what C code and children wrote before it."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        if os.getpid() != self._owner:
            # A forked child has neither the sending thread nor its locks: its text is written to the descriptor.
            return self._capture.pass_on(string)
        with _HELD:
            if threading.get_ident() == self._main_thread and time.monotonic() > self._drain_again:
                # Not at each of a thousand prints: no child process starts and ends in so short a time.
                self._capture.drain(0)
                self._drain_again = time.monotonic() + _DRAINED_SECONDS
            self._write_text(string, self.parent_header)
        return len(string)

    def flush(self) -> None:
        """Send pending text; not in a forked child, which has only a copy of the parent's text.

        The kernel flushes both streams three times for each cell, waiting for another thread each time; without new text, this does not wait.
        """
        if self._written and os.getpid() == self._owner:
            self._written = False
            with _HELD:
                super().flush()

    def fileno(self) -> int:
        """Return the descriptor, for code that passes it to a child process."""
        return self._capture.descriptor

    def close(self) -> None:
        """Flush only: the stream must stay open for the next cell."""
        self.flush()

    def _write_text(self, text: str, header: Any) -> None:
        """Send text as output of the cell in the header, whether that is running or over."""
        text = _encodable(text)
        with self._text_lock:
            if self._cell is not None and header.get("msg_id") == self._cell:
                sent = self._text.admit(text)
            else:
                sent = self._admit_background(text)
            if sent:
                token = self._parent_header.set(header)
                self._send(sent)
                self._parent_header.reset(token)

    def _admit_background(self, text: str) -> str:
        room = self._background_room
        self._background_room = -1 if len(text) > room else room - len(text)
        if len(text) <= room:
            return text
        return text[:room] + _LEFT_OUT if room >= 0 else ""

    def _send(self, text: str) -> None:
        self._written = True
        super().write(text)


class DescriptorCapture:
    """Read what is written to a file descriptor, bypassing Python's streams, and forward it as text of its cell.

    Each cell has its own pipe: its children keep their end of it, also when the cell is over and another one runs.
    """

    def __init__(self, descriptor: int, pass_text: Any) -> None:
        self.descriptor = descriptor
        self._pass_text = pass_text
        self._poll = select.epoll()
        self._lock = threading.RLock()
        self._pipes: dict[int, _Pipe] = {}
        self._open({})
        threading.Thread(target=self._watch, daemon=True, name=f"capture-{descriptor}").start()

    def begin(self, header: Any) -> None:
        """Assign what is written from now on to another cell, whatever the last one did to the descriptor."""
        with self._lock:
            if len(self._pipes) < _MAX_PIPES:
                os.close(self._writer)
                self._open(header)
            else:
                self._pipes[self._reader].header = header
                os.dup2(self._writer, self.descriptor)

    def drain(self, seconds: float) -> None:
        """Forward what this cell has written so far, for at most `seconds` if it keeps writing (but at least one read)."""
        end = time.monotonic() + seconds
        with self._lock:
            while self._read_once(self._reader) and time.monotonic() < end:
                pass

    def pass_on(self, text: str) -> int:
        """Write to the descriptor."""
        data = memoryview(_encodable(text).encode())
        while data:
            data = data[os.write(self.descriptor, data) :]
        return len(text)

    def _open(self, header: Any) -> None:
        self._reader, self._writer = map(_beside_standard_streams, os.pipe())
        os.set_blocking(self._reader, False)
        os.dup2(self._writer, self.descriptor)
        self._pipes[self._reader] = _Pipe(header)
        self._poll.register(self._reader, select.EPOLLIN)

    def _watch(self) -> None:
        while True:
            for reader, _ in self._poll.poll():
                with self._lock:
                    self._read_once(reader)

    def _read_once(self, reader: int) -> bool:
        if (pipe := self._pipes.get(reader)) is None:
            return False
        try:
            data = os.read(reader, _READ_BYTES)
        except BlockingIOError:
            return False
        if text := pipe.decoder.decode(data):
            self._pass_text(text, pipe.header)
        if not data:
            # The cell is over, and the last of its children has ended.
            self._poll.unregister(reader)
            del self._pipes[reader]
            os.close(reader)
        return bool(data)


def _beside_standard_streams(descriptor: int) -> int:
    """Return the descriptor, or a duplicate with a higher number: code may have closed a standard stream, whose number is then reused."""
    if descriptor > _STANDARD_ERROR:
        return descriptor
    other = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STANDARD_ERROR + 1)
    os.close(descriptor)
    return other


class _Pipe:
    """The state of a pipe: the header of its cell's message, and the bytes of an incomplete character."""

    def __init__(self, header: Any) -> None:
        self.header = header
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")


def _encodable(text: str) -> str:
    """Return `text` with lone surrogates, which messages cannot contain, replaced by escapes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
