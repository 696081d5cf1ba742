"""The streams of the command line: whatever is printed leaves through them, with nothing in it that a terminal would obey but what is ours."""

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
    """Something could not be written, because its reader has gone or its device is full."""

    def __init__(self, stream: InertWriter, cause: OSError) -> None:
        super().__init__(str(cause))
        self.stream = stream
        self.cause = cause


class InertWriter:
    """A text stream that makes inert all that is printed to it; what comes from ourselves or a program is written by methods of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self.has_colour = self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._is_coloured = False
        if isinstance(stream, io.TextIOWrapper):
            # What the stream's encoding does not have is no reason to fail.
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self.is_terminal

    def write(self, text: str) -> int:
        """Write text from anywhere, made inert."""
        self._pass_on(visible(text))
        return len(text)

    def write_styled(self, text: str, style: str) -> None:
        """Write text from anywhere, made inert, in a style (the parameters of SGR) where there are colours."""
        self._pass_on(f"\x1b[{style}m{visible(text)}{_RESET}" if style and self.has_colour else visible(text))

    def write_program(self, text: str) -> None:
        """Write what a program of the user's own put out: to a terminal with no more than its colours, elsewhere unchanged."""
        if self.is_terminal:
            text = program_text(text, in_colour=self.has_colour)
            self._is_coloured = self._is_coloured or "\x1b[" in text
            # A progress bar begins its line anew, and a shorter state leaves nothing of a longer one.
            text = f"\r\x1b[K{text[1:]}" if text.startswith("\r") else text
        self._write(text)

    def end_program(self) -> None:
        """Note that the program writes no more: what it left on must not colour what others say."""
        if self._is_coloured:
            self._is_coloured = False
            self._write(_RESET)

    def write_in_place(self, text: str) -> None:
        """Write text from anywhere, made inert, in place of what the line holds."""
        # Erased to its end, for the line before may have been longer.
        self._pass_on(f"\r{visible(text)}\x1b[K")

    def flush(self) -> None:
        """Have everything reach the device.

        Raises:
            OutputError: when it does not take it.
        """
        try:
            self._stream.flush()
        except OSError as exc:
            raise OutputError(self, exc) from None

    def discard(self) -> None:
        """Give up what could not be written, which the interpreter would try to write once more at its end."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def _pass_on(self, text: str) -> None:
        self.end_program()
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except OSError as exc:
            raise OutputError(self, exc) from None


class _Nowhere(io.TextIOBase):
    """Takes the place of a stream that was closed for the program."""

    def write(self, text: str) -> int:
        return len(text)


def inert(stream: Any) -> InertWriter:
    """Return the stream, None for one that was closed for the program, as an inert one; it may be one already."""
    if isinstance(stream, InertWriter):
        return stream
    return InertWriter(cast(TextIO, _Nowhere()) if stream is None else stream)


@contextlib.contextmanager
def inert_output() -> Iterator[None]:
    """Have everything that is printed to stdout and stderr made inert."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, inert(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def flush_output() -> None:
    """Have everything that was printed reach its device.

    Raises:
        OutputError: when it does not take it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, InertWriter):
            stream.end_program()
            stream.flush()


def give_up_output(error: OutputError) -> int:
    """Stop writing to a stream that takes nothing more, say why if that can be said, and return the exit status."""
    error.stream.discard()
    if error.cause.errno == errno.EPIPE:
        # The reader has enough, as `head` does.
        return EXIT_DONE
    if error.stream is not sys.stderr:
        with contextlib.suppress(OutputError):
            print(f"analystd: the output could not be written: {error.cause.strerror}", file=sys.stderr, flush=True)
    return EXIT_FAILED


def print_error(error: AnalystdError, *, as_json: bool) -> None:
    """Print an error in words on stderr, or as JSON on stdout."""
    if as_json:
        about: dict[str, Any] = {"kind": error.kind, "code": error.code, "message": error.message, "hint": error.hint}
        print(json_text({"error": {**about, "run_id": error.run_id}}))
        return
    # On one line each: what a message quotes can pose as no other.
    print(f"{_label(error)}: {one_line(error.message)}", file=sys.stderr)
    if error.hint:
        print(one_line(error.hint), file=sys.stderr)


def _label(error: AnalystdError) -> str:
    """The class's name for a refusal of the jail (`WorkspaceError: …`), else the program's."""
    return type(error).__name__ if isinstance(error, WorkspaceError | ResourceLimitError) else "analystd"
