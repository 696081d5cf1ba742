"""Run ids, and the log lines that carry them."""

from __future__ import annotations

import contextvars
import logging
import logging.handlers
import secrets
import sys
import time
from pathlib import Path
from types import TracebackType

from analystd.util.inert_text import one_line, visible

current_run_id: contextvars.ContextVar[str] = contextvars.ContextVar("current_run_id", default="-")
"""The run that the current task works for; `-` outside any run."""

LOG_NAME = "agent.log"
CONTINUATION = "  | "
"""What the further lines of a record begin with, those of its traceback."""

_FORMAT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"


def generate_run_id() -> str:
    """A new id, `run_<unix seconds>_<8 hexadecimal digits>`."""
    return f"run_{int(time.time())}_{secrets.token_hex(4)}"


def log_to_file(folder: Path, *, echo: bool = False, level: int = logging.INFO) -> Path:
    """Send the process's log to `agent.log` in `folder` (10 MB, three older files kept), and to stderr if `echo`; gives the file's path.

    A log that cannot be written (a full disk) never stops the work that is logged.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / LOG_NAME
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(path, maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    ]
    if echo:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(RecordFormatter(_FORMAT))
        handler.addFilter(_add_run_id)
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=handlers, force=True)
    return path


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
