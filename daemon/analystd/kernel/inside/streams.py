"""The session's stdout and stderr: bounded for each cell, and fed by Python code, C code and child processes alike."""

from __future__ import annotations

import codecs
import os
import select
import threading
import time
from typing import Any

import ipykernel.iostream

from .bounds import HeadTail
from .interrupts import Held

BACKGROUND_CHARACTERS = 64 * 1024
"""How much may come between two cells, from threads and children that a cell left behind."""

_OutStream: Any = ipykernel.iostream.OutStream

_HELD = Held()
_READ_BYTES = 64 * 1024
_DRAIN_SECONDS = 0.1
_DRAINED_SECONDS = 0.0005


class SessionStream(_OutStream):  # type: ignore[misc]
    """A stream of the kernel that sends the head of what a cell writes at once, and the tail when the cell ends."""

    flush_interval = 0.05

    def __init__(self, session: Any, pub_thread: Any, name: str, **options: Any) -> None:
        super().__init__(session, pub_thread, name, **{**options, "watchfd": False})
        self._text = HeadTail(BACKGROUND_CHARACTERS, 0)
        # Reentrant, since a signal handler of the user's may print while a print is under way.
        self._text_lock = threading.RLock()
        self._owner = os.getpid()
        self._main_thread = threading.get_ident()
        self._drain_again = 0.0
        self._written = False
        self._capture = DescriptorCapture(1 if name == "stdout" else 2, self._write_text)

    @property
    def cut_bytes(self) -> int:
        """How much of this cell's output is missing."""
        return self._text.cut_bytes

    def begin_cell(self) -> None:
        """Give the next cell its own budget, and the descriptor its way here, whatever the last one did to it."""
        self._capture.attach()
        self._text = HeadTail()

    def end_cell(self) -> int:
        """Send all that is kept back; how many bytes were cut."""
        self._capture.drain(_DRAIN_SECONDS)
        with self._text_lock:
            text = self._text
            self._text = HeadTail(BACKGROUND_CHARACTERS, 0)
            if rest := text.rest():
                self._send(rest)
        self.flush()
        return text.cut_bytes

    def write(self, string: str) -> int:
        """Take text from Python code, behind what C code and children wrote before it."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        if os.getpid() != self._owner:
            # A forked child has neither the thread nor the locks that send: its text goes where its children's goes.
            return self._capture.pass_on(string)
        with _HELD:
            if threading.get_ident() == self._main_thread and time.monotonic() > self._drain_again:
                # Not at each of a thousand prints: no child process comes and goes in so short a time.
                self._capture.drain(0)
                self._drain_again = time.monotonic() + _DRAINED_SECONDS
            self._write_text(string)
        return len(string)

    def flush(self) -> None:
        """Send what is waiting; in a forked child there is nothing to send but a copy of the parent's text.

        The kernel flushes both streams three times for each cell, and each time waits for another thread: with nothing new, this does not.
        """
        if self._written and os.getpid() == self._owner:
            self._written = False
            with _HELD:
                super().flush()

    def fileno(self) -> int:
        """The descriptor, for code that hands it to a child process."""
        return self._capture.descriptor

    def close(self) -> None:
        """Flush; a stream that code has closed is still there for the next cell."""
        self.flush()

    def _write_text(self, text: str) -> None:
        with self._text_lock:
            if sent := self._text.admit(_encodable(text)):
                self._send(sent)

    def _send(self, text: str) -> None:
        self._written = True
        super().write(text)


class DescriptorCapture:
    """Reads what is written to a file descriptor, beside Python's own streams, and passes it on as text."""

    def __init__(self, descriptor: int, pass_text: Any) -> None:
        self.descriptor = descriptor
        self._pass_text = pass_text
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lock = threading.RLock()
        self.attach()
        threading.Thread(target=self._watch, daemon=True, name=f"capture-{descriptor}").start()

    def attach(self) -> None:
        """Make the descriptor lead here."""
        os.dup2(self._writer, self.descriptor)

    def drain(self, seconds: float) -> None:
        """Pass on what has been written so far, for at most `seconds` when it does not end (and one read in any case)."""
        end = time.monotonic() + seconds
        with self._lock:
            while self._read_once() and time.monotonic() < end:
                pass

    def pass_on(self, text: str) -> int:
        """Write to the descriptor."""
        data = memoryview(_encodable(text).encode())
        while data:
            data = data[os.write(self.descriptor, data) :]
        return len(text)

    def _watch(self) -> None:
        while True:
            self._poll.poll()
            with self._lock:
                self._read_once()

    def _read_once(self) -> bool:
        try:
            data = os.read(self._reader, _READ_BYTES)
        except BlockingIOError:
            return False
        if text := self._decoder.decode(data):
            self._pass_text(text)
        return bool(data)


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which no message can carry, written as escapes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
