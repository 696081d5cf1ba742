"""Register the daemon: check whether its lock, card and socket are still its own, and restore a lost card or socket."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from analystd.discovery.registry import DaemonInfo
from analystd.util.locks import HeldLock

logger = logging.getLogger(__name__)

_Identity = tuple[int, int, int]


class Registration:
    """The daemon's entry in the state folder. Without its lock another daemon may be running; card and socket can be restored."""

    def __init__(self, card: DaemonInfo, lock: HeldLock, *, has_own_socket: bool) -> None:
        self.card = card
        self._lock = lock
        self._has_own_socket = has_own_socket
        self._card_seen: _Identity | None = None
        self._socket_seen: _Identity | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the lock has lost its effect, because its file was removed or replaced."""
        return not self._lock.is_own

    @property
    def lacks_socket(self) -> bool:
        """Whether the socket was removed or replaced, so that nobody can connect. A socket from systemd is not checked."""
        return self._has_own_socket and _identity_of(self.card.socket) != self._socket_seen

    @property
    def lacks_card(self) -> bool:
        """Whether the card was removed, replaced or changed, so that nobody can find the socket."""
        return _identity_of(self.card.address.card) != self._card_seen

    def note_socket(self) -> None:
        """Remember the socket that was just created."""
        self._socket_seen = _identity_of(self.card.socket)

    def write_card(self) -> None:
        """Put the card in its place.

        Raises:
            OSError: when it cannot be written.
        """
        self.card.write()
        self._card_seen = _identity_of(self.card.address.card)

    def announce_making_way(self) -> None:
        """Mark the daemon as handing over, so that new clients go to the newer version."""
        self.card = replace(self.card, hands_over=True)
        try:
            self.write_card()
        except OSError as exc:
            logger.error("the card cannot be written: %s; new clients may still connect to this daemon", exc)

    def remove_socket(self) -> None:
        """Remove the socket, unless another daemon has replaced it."""
        if self._has_own_socket and not self.lacks_socket:
            _remove(self.card.socket)

    def remove_card(self) -> None:
        """Remove the card, unless another daemon has replaced it."""
        if not self.lacks_card:
            _remove(self.card.address.card)


def _identity_of(path: Path) -> _Identity | None:
    """Return a value that changes when the file is replaced or written; None when there is no file."""
    with contextlib.suppress(OSError):
        about = path.lstat()
        return about.st_dev, about.st_ino, about.st_mtime_ns
    return None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
