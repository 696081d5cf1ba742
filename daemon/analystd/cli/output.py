"""Output streams that make everything printed inert: a terminal obeys no control sequence in it except our own."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED
from analystd.util.inert_text import json_text, one_line, program_text, visible
from analystd.wire.errors import AnalystdError, ResourceLimitError, WorkspaceError

_RESET = "\x1b[0m"


class OutputError(Exception):
    """Raised when output cannot be written, because its reader has gone or its device is full."""

    def __init__(self, stream: InertWriter, cause: OSError) -> None:
        super().__init__(str(cause))
        self.stream = stream
        self.cause = cause


class InertWriter:
    """A text stream that makes everything printed to it inert. Styles of our own and a program's output have methods of their own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self.has_colour = self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._is_coloured = False
        if isinstance(stream, io.TextIOWrapper):
            # Escape characters that the stream's encoding lacks, instead of failing.
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self.is_terminal

    def write(self, text: str) -> int:
        """Write text from anywhere, made inert."""
        self._write_own(visible(text))
        return len(text)

    def write_styled(self, text: str, style: str) -> None:
        """Write text from anywhere, made inert, in a style (SGR parameters) if the terminal has colours."""
        self._write_own(f"\x1b[{style}m{visible(text)}{_RESET}" if style and self.has_colour else visible(text))

    def write_program(self, text: str) -> None:
        """Write the output of the user's own program: to a terminal with colours as its only control sequences, elsewhere unchanged."""
        if self.is_terminal:
            text = program_text(text, in_colour=self.has_colour)
            self._is_coloured = self._is_coloured or "\x1b[" in text
            # A progress bar rewrites its line: erase the old one, which may be longer.
            text = f"\r\x1b[K{text[1:]}" if text.startswith("\r") else text
        self._write(text)

    def end_program(self) -> None:
        """Reset the colours that a program has left on, before other output follows."""
        if self._is_coloured:
            self._is_coloured = False
            self._write(_RESET)

    def write_in_place(self, text: str) -> None:
        """Replace the text of the current line with text from anywhere, made inert."""
        # Erase to the end of the line: the old text may have been longer.
        self._write_own(f"\r{visible(text)}\x1b[K")

    def flush(self) -> None:
        """Flush the stream.

        Raises:
            OutputError: when the output cannot be written.
        """
        try:
            self._stream.flush()
        except OSError as exc:
            raise OutputError(self, exc) from None

    def discard(self) -> None:
        """Discard unwritten output, which the interpreter would otherwise try to write again when it exits."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def _write_own(self, text: str) -> None:
        self.end_program()
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except OSError as exc:
            raise OutputError(self, exc) from None


class _Nowhere(io.TextIOBase):
    """Stands in for a standard stream that is closed."""

    def write(self, text: str) -> int:
        return len(text)


def inert(stream: Any) -> InertWriter:
    """Return an inert writer for a stream; the stream may be None (closed), or inert already."""
    if isinstance(stream, InertWriter):
        return stream
    return InertWriter(cast(TextIO, _Nowhere()) if stream is None else stream)


@contextlib.contextmanager
def inert_output() -> Iterator[None]:
    """Make everything inert that is printed to stdout and stderr in this block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, inert(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def flush_output() -> None:
    """Flush stdout and stderr.

    Raises:
        OutputError: when the output cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, InertWriter):
            stream.end_program()
            stream.flush()


def give_up_output(error: OutputError) -> int:
    """Stop writing to a stream that failed, report why on stderr if possible, and return the exit status."""
    error.stream.discard()
    if error.cause.errno == errno.EPIPE:
        # The reader has read enough, as `head` does.
        return EXIT_DONE
    if error.stream is not sys.stderr:
        with contextlib.suppress(OutputError):
            print(f"analystd: the output could not be written: {error.cause.strerror}", file=sys.stderr, flush=True)
    return EXIT_FAILED


def print_error(error: AnalystdError, *, as_json: bool) -> None:
    """Print an error as text on stderr, or as JSON on stdout."""
    if as_json:
        about: dict[str, Any] = {"kind": error.kind, "code": error.code, "message": error.message, "hint": error.hint}
        print(json_text({"error": {**about, "run_id": error.run_id}}))
        return
    # One line each, so that text quoted in a message cannot pass for another message.
    print(f"{_label(error)}: {one_line(error.message)}", file=sys.stderr)
    if error.hint:
        print(one_line(error.hint), file=sys.stderr)


def _label(error: AnalystdError) -> str:
    """Return what stands before an error's message: the class name for a refusal of the jail, else `analystd`."""
    return type(error).__name__ if isinstance(error, WorkspaceError | ResourceLimitError) else "analystd"
