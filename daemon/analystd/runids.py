"""Run ids, and the log lines that carry them."""

from __future__ import annotations

import contextvars
import logging
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from analystd.util.log_file import LogFile, open_log

current_run_id: contextvars.ContextVar[str] = contextvars.ContextVar("current_run_id", default="-")
"""The run that the current task works for; `-` outside any run."""

LOG_NAME = "agent.log"
_FORMAT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"


def generate_run_id() -> str:
    """A new id, `run_<unix seconds>_<8 hexadecimal digits>`."""
    return f"run_{int(time.time())}_{secrets.token_hex(4)}"


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
            problems.append(f"The log cannot be kept in {place} ({exc.strerror}: {exc.filename})")
    path = handlers[0].path if handlers else folder / LOG_NAME
    told = (f"{problems[0]}; it is {f'in {path}' if handlers else 'kept nowhere'}",) if problems else ()
    echoes = [logging.StreamHandler(sys.stderr)] if echo else []
    for handler in (*handlers, *echoes):
        handler.setFormatter(logging.Formatter(_FORMAT))
        handler.addFilter(_add_run_id)
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[*handlers, *echoes] or [logging.NullHandler()], force=True)
    return Log(path, told)


def _add_run_id(record: logging.LogRecord) -> bool:
    record.run_id = current_run_id.get()
    return True
