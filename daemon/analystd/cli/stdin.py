"""What is given on stdin: code and questions, as people's tools write them."""

from __future__ import annotations

import sys

from analystd.errors import InvalidArgumentsError

MAX_BYTES = 16 * 2**20
"""The longest prompt or code that the daemon takes."""

_MARK = "\ufeff"


def text_given(argument: str) -> str:
    """Return an argument, or what stdin holds where it is `-`; without the byte order mark that some editors begin files with.

    Raises:
        InvalidArgumentsError: when it is too long or not UTF-8.
    """
    return (_read() if argument == "-" else _checked(argument)).removeprefix(_MARK)


def _read() -> str:
    if sys.stdin is None:
        raise InvalidArgumentsError("There is no stdin to read from", "Give the text itself in place of `-`.")
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as exc:
        raise InvalidArgumentsError(f"stdin cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise InvalidArgumentsError(
            f"stdin holds more than {MAX_BYTES >> 20} MiB", "Put it into a file of the workspace."
        )
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidArgumentsError(
            f"stdin is not UTF-8: {exc.reason} at byte {exc.start}", "`iconv -t UTF-8` converts it."
        ) from exc


def _checked(argument: str) -> str:
    try:
        argument.encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgumentsError(f"The argument is not UTF-8 at character {exc.start}") from exc
    return argument
