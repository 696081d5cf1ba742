"""Generate run ids, and keep that of the current task."""

from __future__ import annotations

import contextvars
import secrets
import time

current_run_id: contextvars.ContextVar[str] = contextvars.ContextVar("current_run_id", default="-")
"""The run that the current task works for; `-` outside of any run."""


def generate_run_id() -> str:
    """Return a new id, `run_<unix seconds>_<8 hexadecimal digits>`."""
    return f"run_{int(time.time())}_{secrets.token_hex(4)}"
