"""Start the daemon process, in the foreground or detached, as the only one of its version."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

from analystd import __version__
from analystd.config.settings import default_log_folder, load_settings, log_folder
from analystd.discovery.activation import passed_socket
from analystd.discovery.dial import ANOTHER_STARTS, START_SECONDS, make_way
from analystd.discovery.registry import (
    Address,
    DaemonInfo,
    cannot_be_kept,
    daemon_address,
    live_cards,
    open_start_log,
    private_folder,
    version_order,
)
from analystd.server.daemon import Daemon
from analystd.util.locks import HeldLock, take_lock
from analystd.util.logging_setup import log_to_file
from analystd.wire.errors import DaemonLostError

_LOCK_SECONDS = 2.0


def serve(*, detach: bool) -> int:
    """Run the daemon in the foreground, or detached; return the exit status.

    With `detach`, the calling process returns as soon as the daemon is ready.

    Raises:
        DaemonLostError: when a running daemon cannot be replaced, or when this one cannot be started.
    """
    private_folder(daemon_address().folder)
    if not detach:
        return _serve_or_say_why(_say_where, echo=True)
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        return _wait_until_ready(reader, child)
    os.close(reader)
    os.setsid()
    return _serve_or_say_why(lambda card: _detach(card, writer), echo=False)


def _serve_or_say_why(ready: Callable[[DaemonInfo], None], *, echo: bool) -> int:
    try:
        return _serve(ready, echo=echo)
    except OSError as exc:
        logging.getLogger(__name__).error("the daemon failed: %s", exc, exc_info=not echo)
        raise cannot_be_kept(exc) from exc


def _serve(ready: Callable[[DaemonInfo], None], *, echo: bool) -> int:
    address = daemon_address()
    passed = passed_socket()
    # The client that made systemd start this daemon waits for it, even while the previous daemon ends.
    with _claim(address, START_SECONDS if passed else _LOCK_SECONDS) as lock:
        folder = log_folder(load_settings(os.environ).settings)
        log = log_to_file(folder, fallback=default_log_folder(), echo=echo)
        logging.getLogger("pygls").setLevel(logging.WARNING)
        asyncio.run(Daemon(address, lock, log, passed).run(ready))
    return 0


def _claim(address: Address, seconds: float) -> HeldLock:
    """Ask daemons of older versions to make way, and return the lock of this version's daemon.

    Raises:
        DaemonLostError: when another daemon keeps running or is starting.
    """
    cards = live_cards()
    for card in cards:
        if version_order(card.version) > version_order(__version__):
            raise _runs_already(card, "It serves clients of this version too.")
    if kept := make_way(cards):
        raise _runs_already(
            kept[0], f"Its Python sessions hold variables: {kept[1]}. `analystd stop` ends it, with them."
        )
    if lock := take_lock(address.lock, seconds):
        return lock
    for card in live_cards():
        if card.address == address:
            raise _runs_already(card, "`analystd status` tells what it does, `analystd stop` ends it.")
    raise DaemonLostError(ANOTHER_STARTS, "`analystd status` tells what it does.")


def _runs_already(card: DaemonInfo, hint: str) -> DaemonLostError:
    return DaemonLostError(f"analystd {card.version} runs already: pid {card.pid}, and listens on {card.socket}", hint)


def _say_where(card: DaemonInfo) -> None:
    print(  # noqa: T201
        f"analystd {card.version} (pid {card.pid}) listens on {card.socket}; Ctrl-C ends it.",
        file=sys.stderr,
        flush=True,
    )


def _detach(card: DaemonInfo, writer: int) -> None:
    """Signal the parent process that the daemon accepts connections, and release its streams, whose readers wait for them to close."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        errors = open_start_log(card.address)
    except OSError:
        errors = os.dup(nothing)
    for number, target in ((0, nothing), (1, nothing), (2, errors)):
        os.dup2(target, number)
    for descriptor in (nothing, errors):
        os.close(descriptor)
    os.write(writer, b"1")
    os.close(writer)


def _wait_until_ready(reader: int, child: int) -> int:
    """Return the exit status of the parent process: 0 once the daemon is ready, otherwise the daemon's own."""
    if os.read(reader, 1):
        return 0
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) or 1
