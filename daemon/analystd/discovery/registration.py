"""What makes a daemon findable: its lock, its card and its socket; whether they are still its own, and putting them back."""

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
    """The daemon's entry in the state folder. Without its lock there may be another daemon; the rest can be put back."""

    def __init__(self, card: DaemonInfo, lock: HeldLock, *, has_own_socket: bool) -> None:
        self.card = card
        self._lock = lock
        self._has_own_socket = has_own_socket
        self._card_seen: _Identity | None = None
        self._socket_seen: _Identity | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the lock keeps nobody out any more, because its file was removed or replaced."""
        return not self._lock.is_own

    @property
    def lacks_socket(self) -> bool:
        """Whether nobody can connect: the socket was removed or replaced. One that was passed is not ours to look after."""
        return self._has_own_socket and _identity_of(self.card.socket) != self._socket_seen

    @property
    def lacks_card(self) -> bool:
        """Whether nobody can find the socket: the card was removed, replaced or changed."""
        return _identity_of(self.card.address.card) != self._card_seen

    def note_socket(self) -> None:
        """Remember the socket that was just made."""
        self._socket_seen = _identity_of(self.card.socket)

    def write_card(self) -> None:
        """Put the card in its place.

        Raises:
            OSError: when it cannot be written.
        """
        self.card.write()
        self._card_seen = _identity_of(self.card.address.card)

    def announce_making_way(self) -> None:
        """Send newcomers to the newer version from now on."""
        self.card = replace(self.card, hands_over=True)
        try:
            self.write_card()
        except OSError as exc:
            logger.error("the card cannot be written: %s; newcomers may still come here", exc)

    def remove_socket(self) -> None:
        """Remove the socket, unless it is another's by now."""
        if self._has_own_socket and not self.lacks_socket:
            _remove(self.card.socket)

    def remove_card(self) -> None:
        """Remove the card, unless it is another's by now."""
        if not self.lacks_card:
            _remove(self.card.address.card)


def _identity_of(path: Path) -> _Identity | None:
    """Return what changes when a file is replaced or written; None where there is none."""
    with contextlib.suppress(OSError):
        about = path.lstat()
        return about.st_dev, about.st_ino, about.st_mtime_ns
    return None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
