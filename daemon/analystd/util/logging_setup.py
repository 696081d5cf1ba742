"""The process's log: where it is kept, and the form of its lines, each of which carries a run id."""

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
"""What the further lines of a record begin with, those of its traceback."""

_FORMAT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"


@dataclass(frozen=True)
class Log:
    """Where the log is, and what the user should know of that."""

    path: Path
    problems: tuple[str, ...] = ()


def log_to_file(folder: Path, *, fallback: Path | None = None, echo: bool = False, level: int = logging.INFO) -> Log:
    """Send the process's log to `agent.log` in `folder` (10 MB, three older files kept), and to stderr if `echo`.

    Where it cannot be kept there it is kept in `fallback`, or nowhere. A log that cannot be written never stops the work that is logged.
    """
    handlers: list[LogFile] = []
    problems = []
    for place in (folder, *([fallback] if fallback is not None else [])):
        try:
            handlers.append(open_log(place, LOG_NAME))
            break
        except OSError as exc:
            problems.append(f"The log cannot be written to {place} ({exc.strerror}: {exc.filename})")
    path = handlers[0].path if handlers else folder / LOG_NAME
    told = (f"{problems[0]}; {f'it is written to {path}' if handlers else 'no log is written'}",) if problems else ()
    echoes = [logging.StreamHandler(sys.stderr)] if echo else []
    for handler in (*handlers, *echoes):
        handler.setFormatter(RecordFormatter(_FORMAT))
        handler.addFilter(_add_run_id)
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[*handlers, *echoes] or [logging.NullHandler()], force=True)
    return Log(path, told)


class RecordFormatter(logging.Formatter):
    """Makes each record one line, with a marked line more for each of its traceback; nothing in it is obeyed by a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the record on one line."""
        return one_line(super().formatMessage(record))

    def formatException(  # noqa: N802
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Return the traceback, each line marked."""
        return _marked(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return the stack, each line marked."""
        return _marked(super().formatStack(stack_info))


def _marked(text: str) -> str:
    return "\n".join(f"{CONTINUATION}{visible(line)}" for line in text.splitlines())


def _add_run_id(record: logging.LogRecord) -> bool:
    record.run_id = current_run_id.get()
    return True
