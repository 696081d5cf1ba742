"""Word the outcomes of code that has ended."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from analystd.kernel.base import Execution, RaisedError, SessionVariable
from analystd.kernel.execution import Cell
from analystd.kernel.kernel_client import KernelClient

logger = logging.getLogger(__name__)

LOST_BY_INTERRUPT = "The code did not end when it was interrupted, so its process was killed; all variables are lost."
LOST_BY_EXIT = "The code ended the session's process by exit(); all variables are lost."

_WORTH_TELLING_BYTES = 1_000_000


def outcome(kernel: KernelClient, cell: Cell) -> Execution:
    """Return the outcome of code that ended by itself, or that ended the kernel."""
    if cell.answered:
        return cell.execution()
    if kernel.alive:
        if cell.interrupted:
            return cell.execution(error=RaisedError("KeyboardInterrupt", "The code was interrupted.", (), None))
        silence = RaisedError("KernelError", "The session did not report the outcome of the code.", (), None)
        return cell.execution(error=silence)
    kernel.death_reported = True
    logger.warning("A kernel %s", "\n".join([kernel.process.how_it_ended(), *kernel.process.last_words()]))
    if cell.interrupted:
        return cell.execution("interrupted", RaisedError("KeyboardInterrupt", LOST_BY_INTERRUPT, (), None))
    words = kernel.process.last_words()
    message = f"The session's process {kernel.process.how_it_ended()}; all variables are lost."
    return cell.execution("died", RaisedError("KernelDied", message, tuple(words), _line_of_crash(words)))


def _line_of_crash(words: list[str]) -> int | None:
    # faulthandler writes the innermost frame first.
    lines = (re.match(r'  File "<cell \d+>", line (\d+) in ', line) for line in words)
    return next((int(line[1]) for line in lines if line), None)


def timed_out(kernel: KernelClient, cell: Cell, seconds: float, grace_seconds: float) -> Execution:
    """Return the outcome of code that was stopped at its timeout."""
    error = cell.execution().error
    if kernel.alive:
        message = f"The code ran longer than {seconds:g} s and was interrupted; the variables are kept."
    else:
        kernel.death_reported = True
        message = (
            f"The code ran longer than {seconds:g} s and did not end within {grace_seconds:g} s of being interrupted, "
            "so its process was killed; all variables are lost."
        )
    traceback, line = (error.traceback, error.line) if error is not None else ((), None)
    return cell.execution("limit", RaisedError("TimeoutError", message, traceback, line))


def overstepped(kernel: KernelClient, cell: Cell, message: str, variables: Sequence[SessionVariable]) -> Execution:
    """Return the outcome of code that was stopped because of the limit in `message`; the message also names the large variables."""
    error = cell.execution().error
    parts = [message.rstrip(". ")]
    if kernel.alive:
        parts.append("The code and the processes that it had started were stopped; the variables are kept")
    else:
        kernel.death_reported = True
        parts.append("The session's process was killed; all variables are lost")
    large = [variable for variable in variables if (variable.memory_bytes or 0) >= _WORTH_TELLING_BYTES]
    if large:
        parts.append(f"The largest {'are' if kernel.alive else 'were'} {', '.join(map(_with_size, large))}")
    traceback, line = (error.traceback, error.line) if error is not None else ((), None)
    return cell.execution("limit", RaisedError("ResourceLimitError", ". ".join(parts) + ".", traceback, line))


def _with_size(variable: SessionVariable) -> str:
    size = (variable.memory_bytes or 0) / 1e6
    return f"{variable.name} ({variable.type}, {f'{size / 1e3:.1f} GB' if size >= 1e3 else f'{size:.0f} MB'})"
