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
    things: dict[str, Any]
    """By the names that the attempts of `probe` look for, as JSON can carry it."""


@contextmanager
def laid_out() -> Iterator[Bait]:
    """Lay everything out; afterwards it is gone."""
    with ExitStack() as stack:
        base = Path(os.path.realpath(stack.enter_context(tempfile.TemporaryDirectory(prefix="analystd-"))))
        for name in ("workspace", "runtime", "outside"):
            (base / name).mkdir()
        (base / "outside/secret").write_text("secret")
        (base / "workspace/.git").mkdir()
        (base / "workspace/.git/file").write_text("trusted")
        things = {
            "outside": str(base / "outside"),
            "sealed": str(base / "workspace/.git"),
            "port": stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1],
            "path_socket": _listener(stack, str(base / "outside/socket")),
            "abstract_socket": _listener(stack, f"\0{base.name}"),
            "shared_memory": stack.enter_context(tempfile.NamedTemporaryFile(dir="/dev/shm")).name,
            "pid": os.getpid(),
        }
        yield Bait(base / "workspace", base / "runtime", things)


def _listener(stack: ExitStack, address: str) -> str:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(address)
    listener.listen()
    return address
