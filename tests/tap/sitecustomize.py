"""Loaded by every Python that a test starts with this folder on its path; in a daemon, it records all that passes between it and its clients.

The records of a daemon are one file in the folder that `ANALYSTD_TAP` names: direction, connection, length, bytes; `tests/wire_check.py` reads them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from pathlib import Path


def tap(folder: Path) -> None:
    """Have the bytes of every message written down, as they are queued for a client and as they come from one."""
    from analystd.server.intake import Intake
    from analystd.server.outbox import Outbox

    path = folder / f"{time.time_ns()}-{os.getpid()}.tap"
    record = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    numbers = itertools.count(1)
    connections: dict[int, int] = {}
    write, init, take = Outbox.write, Outbox.__init__, Intake.take

    unwritten = bytearray()

    def note(direction: bytes, outbox: Outbox, data: bytes) -> None:
        unwritten.extend(b"%b %d %d\n%b" % (direction, connections[id(outbox)], len(data), data))
        # A test may have the daemon's disk be full, which must not be noticed here.
        with contextlib.suppress(OSError):
            del unwritten[: os.write(record, unwritten)]

    def noted_init(self: Outbox, *arguments: object, **options: object) -> None:
        connections[id(self)] = next(numbers)
        init(self, *arguments, **options)  # type: ignore[arg-type]

    def noted_write(self: Outbox, data: bytes) -> None:
        if not self.closed:
            note(b"out", self, data)
        write(self, data)

    def noted_take(self: Intake, body: bytes) -> None:
        note(b"in", self._outbox, body)
        take(self, body)

    Outbox.__init__, Outbox.write, Intake.take = noted_init, noted_write, noted_take  # type: ignore[method-assign]


if "serve" in sys.orig_argv and (place := os.environ.get("ANALYSTD_TAP")):
    tap(Path(place))
