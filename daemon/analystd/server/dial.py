"""Finding the user's daemon, or starting it: what the relay and every client do first.

The daemon leaves a card beside its socket (pid, version, a token of this start); only its user can read it, and jailed code cannot.
A lock file makes twenty simultaneous starts one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analystd import __version__, framing
from analystd.errors import DaemonLostError
from analystd.folders import state_folder
from analystd.protocol import HELLO_METHOD, PROTOCOL_VERSION
from analystd.settings import agent_variables
from analystd.workers.parent import python_module

START_SECONDS = 30.0
_MAX_SOCKET_PATH = 107


@dataclass(frozen=True)
class Address:
    """Where the daemon of one user and one version is found."""

    folder: Path
    name: str

    @property
    def card(self) -> Path:
        """The file with pid, version, token and socket of the running daemon."""
        return self.folder / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """Held by whoever starts a daemon."""
        return self.folder / f"{self.name}.lock"

    @property
    def socket(self) -> Path:
        """The daemon's socket; in the temporary folder when the state folder's path is too long for one."""
        path = self.folder / f"{self.name}.sock"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return path
        place = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"analystd-{os.getuid()}-{place}" / f"{self.name}.sock"


def daemon_address() -> Address:
    """The address of this user's daemon of this version."""
    name = hashlib.sha256(f"{__version__}\n{os.getuid()}".encode()).hexdigest()[:12]
    return Address(state_folder(), name)


def private_folder(path: Path) -> None:
    """Make sure that `path` is a folder of this user which nobody else can enter.

    Raises:
        DaemonLostError: when it belongs to someone else.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = path.lstat()
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
        raise DaemonLostError(
            f"{path} belongs to another user", "Remove it, or set XDG_STATE_HOME to a folder of your own."
        )
    if stat.S_IMODE(about.st_mode) & 0o077:
        path.chmod(0o700)


def dial(*, start: bool = True, client: str = "client", client_id: str | None = None) -> socket.socket:
    """A socket to the daemon, past the hello; from here on it speaks LSP. A client that may come back has an id that it keeps.

    Raises:
        DaemonLostError: when none runs and `start` is False, or when it could not be started.
    """
    address = daemon_address()
    if connection := _try(address, client, client_id):
        return connection
    if not start:
        raise DaemonLostError(
            "No analystd daemon is running", "`analystd serve` starts one; editors and commands do it by themselves."
        )
    private_folder(address.folder)
    with _locked(address.lock):
        return _try(address, client, client_id) or _start(address, client, client_id)


def read_card(address: Address) -> dict[str, Any] | None:
    """What the daemon wrote of itself, or None."""
    try:
        card: dict[str, Any] = json.loads(address.card.read_text())
    except (OSError, ValueError):
        return None
    return card


def hello(
    connection: socket.socket, token: str, client: str, environment: Mapping[str, str], client_id: str | None = None
) -> dict[str, Any]:
    """Introduce a client; gives what the daemon says of itself.

    Raises:
        DaemonLostError: when the daemon hangs up or refuses.
    """
    about = {
        "token": token,
        "client": client,
        "pid": os.getpid(),
        "version": __version__,
        "environment": dict(environment),
        **({"id": client_id} if client_id is not None else {}),
    }
    connection.sendall(framing.frame({"jsonrpc": "2.0", "id": 0, "method": HELLO_METHOD, "params": about}))
    answer = _read_message(connection)
    if "error" in answer:
        raise DaemonLostError(f"The daemon refused the connection: {answer['error']['message']}")
    result: dict[str, Any] = answer["result"]
    if result["protocol"] != PROTOCOL_VERSION:
        raise DaemonLostError(
            f"The daemon speaks protocol {result['protocol']}, this client {PROTOCOL_VERSION}",
            "`analystd stop` ends it.",
        )
    return result


def _try(address: Address, client: str, client_id: str | None) -> socket.socket | None:
    card = read_card(address)
    if card is None:
        return None
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(START_SECONDS)
    try:
        connection.connect(str(address.socket))
        hello(connection, card["token"], client, agent_variables(), client_id)
    except (OSError, DaemonLostError):
        connection.close()
        return None
    connection.settimeout(None)
    return connection


def _start(address: Address, client: str, client_id: str | None) -> socket.socket:
    address.socket.unlink(missing_ok=True)
    errors = address.folder / "start.log"
    with errors.open("wb") as log:
        starter = subprocess.Popen(
            python_module("analystd", "serve", "--detach"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    # The starter ends as soon as the daemon is ready, or with an error.
    with contextlib.suppress(subprocess.TimeoutExpired):
        starter.wait(START_SECONDS)
    while time.monotonic() < deadline and starter.returncode == 0:
        if connection := _try(address, client, client_id):
            return connection
        time.sleep(0.02)
    said = errors.read_text(errors="replace").strip().splitlines()
    raise DaemonLostError(
        f"The daemon could not be started{': ' + said[-1] if said else ''}",
        f"`analystd serve` shows more; so does {errors}.",
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_message(connection: socket.socket) -> dict[str, Any]:
    """One small message, read byte-exactly so that nothing of the next is taken."""
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(header) > framing.MAX_HEADER_BYTES:
            raise DaemonLostError("The daemon hung up during the hello")
        header += byte
    length = int(header.partition(b":")[2].split(b"\r\n")[0])
    body = b""
    while len(body) < length:
        part = connection.recv(length - len(body))
        if not part:
            raise DaemonLostError("The daemon hung up during the hello")
        body += part
    message: dict[str, Any] = json.loads(body)
    return message
