"""Find the user's daemon or start it, as the relay and every client do first.

A client connects to the newest daemon of its own version or a later one. If there is none, the holder of the start lock starts one, so
that twenty simultaneous starts give one daemon; a daemon that is ending is waited for. An older daemon is asked to hand over, and keeps
serving while its sessions hold variables.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analystd import __version__
from analystd.config.environment import agent_variables
from analystd.discovery.peers import require_daemon, require_own_socket
from analystd.discovery.registry import (
    Address,
    DaemonInfo,
    activation_socket,
    cannot_be_kept,
    daemon_address,
    live_cards,
    open_start_log,
    private_folder,
    start_lock,
    start_log,
    version_order,
)
from analystd.discovery.sessions_with_variables import kept_in
from analystd.util.locks import is_locked, take_lock
from analystd.wire import framing
from analystd.wire.errors import DaemonLostError
from analystd.wire.names import HELLO_METHOD, PROTOCOL_VERSION, Command

START_SECONDS = 30.0
HELLO_SECONDS = 15.0
_START_TURN_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 0.02
_SAID_BYTES = 64 * 1024
ANOTHER_STARTS = "Another analystd daemon is being started"
"""Error message of a daemon that could not acquire the lock; by then, the other daemon may be running or gone."""

_SAYS = "analystd: "
"""Beginning of the line in which a command reports an error."""


@dataclass(frozen=True)
class Introduction:
    """How a client introduces itself: its kind, and an id that it keeps when it reconnects."""

    client: str = "client"
    id: str | None = None


@dataclass(frozen=True)
class DaemonLink:
    """A connection to a daemon after the handshake."""

    connection: socket.socket
    card: DaemonInfo
    note: str | None = None
    """A message to the user about this daemon."""


def dial(*, start: bool = True, client: str = "client", client_id: str | None = None) -> socket.socket:
    """Return a socket to the daemon after the handshake, ready for LSP. A client that reconnects keeps its `client_id`.

    Raises:
        DaemonLostError: when none runs and `start` is False, or when it could not be started.
    """
    return find_daemon(Introduction(client, client_id), start=start, any_version=not start).connection


def find_daemon(caller: Introduction, *, start: bool = True, any_version: bool = False) -> DaemonLink:
    """Connect to a daemon of this version or a later one, starting one if needed; with `any_version`, to any that speaks this protocol.

    Raises:
        DaemonLostError: when none runs and `start` is False, when it could not be started, or when it does not answer.
    """
    deadline = time.monotonic() + START_SECONDS
    if link := _running(caller, deadline, _speaks_our_protocol if any_version else _is_for_us):
        return link
    if not start:
        raise DaemonLostError(
            "No analystd daemon is running",
            "`analystd serve` starts one; editors and most commands start it when they need it.",
        )
    private_folder(daemon_address().folder)
    with _start_turn():
        deadline = time.monotonic() + START_SECONDS
        return _running(caller, deadline, _is_for_us) or _older(caller) or _start(caller, deadline)


def connect(card: DaemonInfo, caller: Introduction) -> socket.socket:
    """Return a socket to this daemon after the handshake.

    Raises:
        OSError: when the daemon does not listen, or does not answer in time (`TimeoutError`).
        DaemonLostError: when the daemon hangs up or refuses.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(HELLO_SECONDS)
    try:
        require_own_socket(card.socket)
        connection.connect(str(card.socket))
        require_daemon(connection, card)
        _hello(connection, card.token, caller)
    except BaseException:
        connection.close()
        raise
    connection.settimeout(None)
    return connection


def ask_daemon(card: DaemonInfo, command: Command, **arguments: Any) -> dict[str, Any]:
    """Send this daemon a command that needs no workspace, and return the result.

    Raises:
        OSError: when the daemon does not listen, or does not answer in time (`TimeoutError`).
        DaemonLostError: when the daemon hangs up or refuses.
    """
    options = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": {"desk": False}}
    with connect(card, Introduction("command")) as connection:
        connection.settimeout(HELLO_SECONDS)
        _request(connection, 1, "initialize", options)
        params = {"command": str(command), "arguments": [arguments]}
        return _request(connection, 2, "workspace/executeCommand", params)


def make_way(cards: list[DaemonInfo]) -> tuple[DaemonInfo, str] | None:
    """Ask daemons of older versions to hand over.

    Returns:
        A daemon that keeps serving because its sessions hold variables, and those sessions in words; None if there is none.
    """
    for card in cards:
        if not _speaks_our_protocol(card) or version_order(card.version) >= version_order(__version__):
            continue
        with contextlib.suppress(OSError, DaemonLostError):
            report = ask_daemon(card, Command.SHUTDOWN, hand_over=True)
            if report["sessions"]:
                return card, kept_in(report["sessions"])
    return None


def _is_for_us(card: DaemonInfo) -> bool:
    is_current = version_order(card.version) >= version_order(__version__)
    return is_current and _speaks_our_protocol(card)


def _speaks_our_protocol(card: DaemonInfo) -> bool:
    return card.protocol == PROTOCOL_VERSION and not card.hands_over


def _running(caller: Introduction, deadline: float, suits: Callable[[DaemonInfo], bool]) -> DaemonLink | None:
    """Connect to a running daemon; return None when there is none, or when the last one has ended meanwhile."""
    while card := next(filter(suits, live_cards()), None):
        try:
            return DaemonLink(connect(card, caller), card)
        except TimeoutError as exc:
            raise DaemonLostError(
                f"The daemon (pid {card.pid}, version {card.version}) has not answered for {HELLO_SECONDS:g} s",
                "`analystd stop --now` ends it.",
            ) from exc
        except (OSError, DaemonLostError) as exc:
            # The daemon is starting or ending.
            if time.monotonic() > deadline:
                raise DaemonLostError(
                    f"The daemon (pid {card.pid}, version {card.version}) accepts no connections and does not end ({exc})",
                    "`analystd stop --now` ends it.",
                ) from exc
        time.sleep(_LOOK_AGAIN_SECONDS)
    return None


def _older(caller: Introduction) -> DaemonLink | None:
    """Connect to a daemon of an older version that cannot hand over without losing variables."""
    kept = make_way(live_cards())
    if kept is None:
        return None
    card, sessions = kept
    note = (
        f"analystd {card.version} (pid {card.pid}) still serves this client, because its Python sessions hold variables: {sessions}. "
        f"{__version__} takes over once they are reset; `analystd stop` ends the older one at once, with its variables."
    )
    with contextlib.suppress(OSError, DaemonLostError):
        return DaemonLink(connect(card, caller), card, note)
    return None


def _start(caller: Introduction, deadline: float) -> DaemonLink:
    """Start a daemon, again if it ends before the connection is made."""
    address = daemon_address()
    said: list[str] = []
    while time.monotonic() < deadline:
        status, words = (0, "") if _woken(deadline) else _launched(address)
        said = words.strip().splitlines()
        if link := _running(caller, deadline, _is_for_us):
            return link
        if status != 0 and not is_locked(address.lock) and f"{_SAYS}{ANOTHER_STARTS}" not in said:
            # Nor is a daemon starting that another client, gone meanwhile, has started.
            break
        time.sleep(_LOOK_AGAIN_SECONDS)
    raise _not_started(said, start_log(address))


def _not_started(said: list[str], log: Path) -> DaemonLostError:
    """Return the error for a daemon that could not be started, with the daemon's own message and hint if it printed any."""
    more = f"`analystd serve` shows more; so does {log}."
    for number, line in enumerate(said):
        if line.startswith(_SAYS):
            hint = f"{said[number + 1]} {more}" if number + 1 < len(said) else more
            return DaemonLostError(f"The daemon could not be started: {line.removeprefix(_SAYS)}", hint)
    return DaemonLostError(f"The daemon could not be started{': ' + said[-1] if said else ''}", more)


def _woken(deadline: float) -> bool:
    """Return whether systemd has started the daemon, if it listens for it."""
    if any(card.socket == activation_socket() and not _is_for_us(card) for card in live_cards()):
        # An older daemon still listens there, until its runs have ended.
        return False
    with socket.socket(socket.AF_UNIX) as waker:
        waker.settimeout(HELLO_SECONDS)
        try:
            waker.connect(str(activation_socket()))
        except OSError:
            return False
        while time.monotonic() < deadline:
            if any(card.socket == activation_socket() and _is_for_us(card) for card in live_cards()):
                return True
            time.sleep(_LOOK_AGAIN_SECONDS)
    return False


def _launched(address: Address) -> tuple[int, str]:
    """Start a daemon and wait until it is ready; return the exit status of `serve --detach` and its stderr."""
    # Imported here because most relays find a daemon, and start faster without these modules.
    import subprocess

    from analystd.workers.parent import python_module

    _write_start_log(address, b"")
    # In memory, so that an error on a full disk is not lost.
    with os.fdopen(os.memfd_create("analystd-start"), "w+b") as errors:
        starter = subprocess.Popen(
            python_module("analystd", "serve", "--detach"),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd="/",
            start_new_session=True,
        )
        try:
            status = starter.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            status = 1
        errors.seek(0)
        said = errors.read(_SAID_BYTES)
    if status != 0:
        _write_start_log(address, said)
    return status, said.decode("utf-8", "replace")


def _write_start_log(address: Address, content: bytes) -> None:
    """Write the output of the last start to the log, if possible: if the folder is at fault, the daemon itself reports it."""
    with contextlib.suppress(OSError), os.fdopen(open_start_log(address, anew=True), "wb") as file:
        file.write(content)


@contextlib.contextmanager
def _start_turn() -> Iterator[None]:
    try:
        lock = take_lock(start_lock(), _START_TURN_SECONDS)
    except OSError as exc:
        raise cannot_be_kept(exc) from exc
    if lock is None:
        raise DaemonLostError(
            f"Another program has been starting the daemon for more than {_START_TURN_SECONDS:g} s",
            f"It holds {start_lock()}.",
        )
    with lock:
        yield


def _hello(connection: socket.socket, token: str, caller: Introduction) -> None:
    about = {
        "token": token,
        "client": caller.client,
        "pid": os.getpid(),
        "version": __version__,
        "environment": agent_variables(),
        "program": sys.executable,
        "prefix": sys.prefix,
        **({"id": caller.id} if caller.id is not None else {}),
    }
    _request(connection, 0, HELLO_METHOD, about)


def _request(connection: socket.socket, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return its result, skipping other messages."""
    connection.sendall(framing.frame({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
    try:
        while "method" in (answer := _read_message(connection)) or answer.get("id") != number:
            pass
        if "error" in answer:
            raise DaemonLostError(f"The daemon refused {method}: {answer['error']['message']}")
        result: dict[str, Any] = dict(answer["result"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise DaemonLostError("The daemon sent an invalid answer") from exc
    return result


def _read_message(connection: socket.socket) -> dict[str, Any]:
    """Read one small message, and no byte of the next one."""
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(header) > framing.MAX_HEADER_BYTES:
            raise DaemonLostError("The daemon hung up")
        header += byte
    length = int(header.partition(b":")[2].split(b"\r\n")[0])
    if not 0 <= length <= framing.MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes")
    body = bytearray()
    while len(body) < length:
        part = connection.recv(length - len(body))
        if not part:
            raise DaemonLostError("The daemon hung up")
        body += part
    message: dict[str, Any] = json.loads(body)
    return message
