"""Set up the process's log: its file, and the form of its lines, each of which contains a run id."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from analystd.util.inert_text import one_line, visible
from analystd.util.log_file import LogFile, open_log
from analystd.util.run_id import current_run_id

LOG_NAME = "agent.log"
CONTINUATION = "  | "
"""The prefix of a record's further lines, such as those of its traceback."""

_FORMAT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"


@dataclass(frozen=True)
class Log:
    """The path of the log, and the problems that the user should know."""

    path: Path
    problems: tuple[str, ...] = ()


def log_to_file(folder: Path, *, fallback: Path | None = None, echo: bool = False) -> Log:
    """Send the process's log to `agent.log` in `folder` (10 MB, three older files kept), and to stderr if `echo`.

    If it cannot be written there, it is written to `fallback`, or nowhere. A failing log never stops the logged work.
    """
    handlers: list[LogFile] = []
    problems = []
    for candidate in (folder, *([fallback] if fallback is not None else [])):
        try:
            handlers.append(open_log(candidate, LOG_NAME))
            break
        except OSError as exc:
            problems.append(f"The log cannot be written to {candidate} ({exc.strerror}: {exc.filename})")
    path = handlers[0].path if handlers else folder / LOG_NAME
    summary = (f"{problems[0]}; {f'it is written to {path}' if handlers else 'no log is written'}",) if problems else ()
    echoes = [logging.StreamHandler(sys.stderr)] if echo else []
    for handler in (*handlers, *echoes):
        handler.setFormatter(RecordFormatter(_FORMAT))
        handler.addFilter(_add_run_id)
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, handlers=[*handlers, *echoes] or [logging.NullHandler()], force=True)
    return Log(path, summary)


class RecordFormatter(logging.Formatter):
    """Formats each record as one line, followed by a marked line for each line of its traceback, all safe for a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the record on one line."""
        return one_line(super().formatMessage(record))

    def formatException(  # noqa: N802
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Return the traceback, with a marker before each line."""
        return _marked(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return the stack, with a marker before each line."""
        return _marked(super().formatStack(stack_info))


def _marked(text: str) -> str:
    return "\n".join(f"{CONTINUATION}{visible(line)}" for line in text.splitlines())


def _add_run_id(record: logging.LogRecord) -> bool:
    record.run_id = current_run_id.get()
    return True
