"""What the self-test's attempts are made on: a jail, and beside it one of each thing that must not be reached from it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Bait:
    """The folders of a jail, and what is around it."""

    workspace: Path
    runtime: Path
    readable: Path
    """A folder that may be read, with a socket and a FIFO of a program outside in it."""
    settings: Path
    """A folder in there that stays closed."""
    bound: Path
    """A file that may be read, as a model is by its worker; what lies beside it may not."""
    things: dict[str, Any]
    """By the names that the attempts of `self_test` look for, as JSON can carry it."""


@contextmanager
def laid_out() -> Iterator[Bait]:
    """Lay everything out; afterwards it is gone."""
    with ExitStack() as stack:
        base = Path(os.path.realpath(stack.enter_context(tempfile.TemporaryDirectory(prefix="analystd-"))))
        for name in ("workspace", "runtime", "outside", "beside", "readable", "readable/settings"):
            (base / name).mkdir()
        for name in ("outside/secret", "beside/secret", "beside/bound", "readable/settings/secret"):
            (base / name).write_text("secret")
        (base / "workspace/.git").mkdir()
        (base / "workspace/.git/file").write_text("trusted")
        things = {
            "outside": str(base / "outside"),
            "beside": str(base / "beside"),
            "sealed": str(base / "workspace/.git"),
            "port": stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1],
            "readable": str(base / "readable"),
            "path_socket": _listener(stack, str(base / "outside/socket")),
            "readable_socket": _listener(stack, str(base / "readable/socket")),
            "fifo": _fifo(stack, str(base / "readable/fifo")),
            "abstract_socket": _listener(stack, f"\0{base.name}"),
            "shared_memory": stack.enter_context(tempfile.NamedTemporaryFile(dir="/dev/shm")).name,
            "pid": os.getpid(),
        }
        readable = base / "readable"
        yield Bait(base / "workspace", base / "runtime", readable, readable / "settings", base / "beside/bound", things)


def _listener(stack: ExitStack, address: str) -> str:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(address)
    listener.listen()
    return address


def _fifo(stack: ExitStack, path: str) -> str:
    """Make a FIFO that a program outside reads, so that opening it for writing would not fail for want of a reader."""
    os.mkfifo(path)
    stack.callback(os.close, os.open(path, os.O_RDWR | os.O_NONBLOCK))
    return path
