"""Set up the targets of the self-test: a jail, and next to it one of each thing that must not be reachable from inside."""

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
    """The folders of a jail, and the targets around it."""

    workspace: Path
    runtime: Path
    readable: Path
    """A read-only folder that contains a socket and a FIFO of a program outside."""
    settings: Path
    """A folder in `readable` that is hidden."""
    bound: Path
    """A file that may be read, like a model by its worker; its neighbours may not."""
    things: dict[str, Any]
    """The targets by the names that the attempts of `self_test` use, as JSON values."""


@contextmanager
def laid_out() -> Iterator[Bait]:
    """Create all targets, and remove them on exit."""
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
    """Make a FIFO with a reader outside, so that opening it for writing does not fail because nobody reads it."""
    os.mkfifo(path)
    stack.callback(os.close, os.open(path, os.O_RDWR | os.O_NONBLOCK))
    return path
