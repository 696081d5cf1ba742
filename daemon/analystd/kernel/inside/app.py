"""Start the kernel: read the connection info from stdin, write READY to stdout, then follow the commands on stdin.

daemon                                        kernel
{"connection": {…}, "preload": […], "toolbox": "…", "walls": {…}}\\n  ──▶
◀──   READY\\n
interrupt <cell>\\n                      ──▶   SIGINT to itself and its children, if that cell still runs
◀──   HEARD\\n                                 (no answer while C code holds the interpreter lock: then the daemon sends a signal)
stop\\n                                  ──▶   exit in an orderly way: flush files, run atexit functions
(end of file)                           ──▶   the daemon has ended: exit at once
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import glob
import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from . import error_hints, startup_patches, temporary
from .toolbox_finder import offer_toolbox

READY = b"\x1eREADY\n"
HEARD = b"\x1eHEARD\n"

_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Run the kernel until the daemon stops it or ends."""
    line_fd, ready_fd = _take_standard_streams()
    lines = _Lines(line_fd)
    start = json.loads(lines.read())
    _lead_a_group()
    if start["walls"] is None:
        _adopt_orphans()
    # Registered first, so that it runs last.
    atexit.register(_end_descendants)
    offer_toolbox(start["toolbox"])
    startup_patches.prepare_pandas(start["walls"] and start["walls"]["memory_bytes"])
    for module in start["preload"]:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    app = _initialized_app(start["connection"])
    if start["walls"] is not None:
        walls = app.shell.walls = error_hints.walls_from(start["walls"])
        if walls.hides:
            app.shell.temporary_files = temporary.TemporaryFiles(walls.workspace)
        # Without a network pip fails anyway, and need not retry for fifteen seconds.
        os.environ.update(PIP_RETRIES="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    # The kernel's own threads have started before this: the output that they forward belongs to the current cell.
    startup_patches.let_threads_remember_their_cell()
    threading.Thread(target=_obey, args=(lines, ready_fd, app), daemon=True, name="line").start()
    os.write(ready_fd, READY)
    app.start()


class _Lines:
    """Lines from a descriptor, read without a buffer that a fork could duplicate."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def read(self) -> bytes:
        """Return the next line without its end; empty at the end of the file."""
        while b"\n" not in self._rest:
            data = os.read(self._descriptor, 65536)
            if not data:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _take_standard_streams() -> tuple[int, int]:
    """Return descriptors for commands and for READY, which no child inherits. Empty stdin, and report crashes on stderr."""
    line_fd, ready_fd, crash_fd = os.dup(0), os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    faulthandler.enable(crash_fd, all_threads=False)
    return line_fd, ready_fd


def _lead_a_group() -> None:
    # An interrupt goes to the group, as with Ctrl-C, and must not reach the launcher.
    with contextlib.suppress(OSError):
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)


def _adopt_orphans() -> None:
    """Adopt the orphans of the session's children, so that they end with this process; in a sandbox the keeper does this."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _end_descendants() -> None:
    for pid in _descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        for path in glob.glob(f"/proc/{todo.pop()}/task/*/children"):  # noqa: PTH207
            with contextlib.suppress(OSError):
                children = [int(child) for child in Path(path).read_text().split()]
                found += children
                todo += children
    return found


def _initialized_app(connection: dict[str, Any]) -> Any:
    # The debugger is not used, and importing it takes a fifth of the start time.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    from .kernelapp import SessionApp

    app = SessionApp.instance(connection=connection)
    app.initialize([])
    del sys.modules["debugpy"]
    return app


def _obey(lines: _Lines, answers: int, app: Any) -> None:
    while line := lines.read():
        verb, _, argument = line.decode().partition(" ")
        if verb == "interrupt":
            os.write(answers, HEARD)
        if verb == "interrupt" and app.kernel.current_cell == argument:
            os.killpg(os.getpgrp(), signal.SIGINT)
            # ipykernel cancels an async cell by a callback that does not by itself wake the loop.
            app.kernel.io_loop.add_callback(lambda: None)
        if verb == "stop":
            app.kernel.io_loop.add_callback(app.kernel.io_loop.stop)
    os.killpg(os.getpgrp(), signal.SIGKILL)
