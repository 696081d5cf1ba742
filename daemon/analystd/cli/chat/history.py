"""The history of questions asked in chats of a workspace."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path

from analystd.config.folders import make_private

MAX_ENTRIES = 1000
MAX_BYTES = 1 << 20
"""Maximum size of the file. Only the end of a longer file is read, and the next start shortens it."""
MAX_ENTRY_BYTES = 1 << 16
"""Maximum size of a question that is kept."""


class HistoryFile:
    """A file with one question per line, as JSON, that only its owner can read. Errors in reading or writing are ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[str]:
        """Return the latest questions, the oldest first, and shorten a file that is too long."""
        with contextlib.suppress(OSError):
            lines, is_whole = self._lines()
            entries = [entry for line in lines if (entry := _entry(line)) is not None]
            kept = entries[-MAX_ENTRIES:]
            if not is_whole or len(kept) < len(lines):
                self._write_anew(kept)
            return kept
        return []

    def add(self, question: str) -> None:
        """Append a question."""
        line = _line(question)
        if len(line) <= MAX_ENTRY_BYTES:
            with contextlib.suppress(OSError):
                make_private(self._path.parent)
                with os.fdopen(self._open(os.O_WRONLY | os.O_APPEND | os.O_CREAT), "wb", buffering=0) as file:
                    file.write(line)

    def _lines(self) -> tuple[list[bytes], bool]:
        """Return the last lines of the file, and whether they are the whole file."""
        with os.fdopen(self._open(os.O_RDONLY), "rb") as file:
            about = os.fstat(file.fileno())
            start = max(0, about.st_size - MAX_BYTES) if stat.S_ISREG(about.st_mode) else 0
            file.seek(start)
            lines = file.read(MAX_BYTES).splitlines()
        return lines[1 if start else 0 :], start == 0

    def _open(self, flags: int) -> int:
        return os.open(self._path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o600)

    def _write_anew(self, questions: list[str]) -> None:
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".chat-", delete=False) as file:
            try:
                file.writelines(map(_line, questions))
                file.flush()
                Path(file.name).replace(self._path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def _line(question: str) -> bytes:
    return json.dumps(question).encode() + b"\n"


def _entry(line: bytes) -> str | None:
    """Return the question in a line; None when the line is invalid."""
    try:
        question = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return question if isinstance(question, str) else None
