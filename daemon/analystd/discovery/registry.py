"""Where the user's daemons are found: the socket, the card and the lock of each, in the state folder.

A daemon leaves a card beside its socket (pid, version, a token of this start); only its user can read it, and jailed code cannot. It holds
its lock from before its socket is there until nothing of it is left, so that the lock says whether it lives, whatever became of its pid.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analystd import __version__
from analystd.config.folders import state_folder
from analystd.util.locks import is_locked, take_lock
from analystd.util.remove import remove
from analystd.util.small_files import read_small
from analystd.wire.errors import DaemonLostError

_MAX_SOCKET_PATH = 107

_OWN_FOLDER = "Remove it, or set XDG_STATE_HOME to a folder of your own."

_BEFORE_RELEASE = {"dev": -4, "a": -3, "b": -2, "rc": -1}

_CARD_BYTES = 16 * 1024
_CARD_SECONDS = 6.0
"""A daemon that lives has put its card back after such a time."""

_LOOK_AGAIN_SECONDS = 0.05

_MAX_RUNTIME_PATH = 55
"""A kernel's sockets are made in a folder below, and a socket's path has 107 bytes at the most."""


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
        """Held by the daemon for as long as it lives."""
        return self.folder / f"{self.name}.lock"

    @property
    def socket(self) -> Path:
        """The daemon's socket; in the temporary folder when the state folder's path is too long for one."""
        return self.socket_folder / f"{self.name}.sock"

    @property
    def socket_folder(self) -> Path:
        """Where the socket is."""
        is_short = len(os.fsencode(self.folder / f"{self.name}.sock")) <= _MAX_SOCKET_PATH
        return self.folder if is_short else temporary_place(self.folder)


@dataclass(frozen=True)
class DaemonInfo:
    """What a daemon wrote of itself."""

    address: Address
    pid: int
    version: str
    protocol: int
    token: str
    socket: Path
    hands_over: bool
    """Whether it makes way for a newer version, so that newcomers go there."""

    @property
    def is_live(self) -> bool:
        """Whether that daemon is there, be it at its start or at its end."""
        if not is_locked(self.address.lock):
            return False
        # The lock may be another one's by now; at its end a daemon has no card any more.
        there = _read_card(self.address.card)
        return there is None or there.token == self.token

    def write(self) -> None:
        """Put it in its place, readable by the user alone.

        Raises:
            OSError: when it cannot be written.
        """
        content = {
            "pid": self.pid,
            "version": self.version,
            "protocol": self.protocol,
            "token": self.token,
            "socket": str(self.socket),
            "hands_over": self.hands_over,
        }
        draft = self.address.card.with_suffix(".new")
        for path in (draft, self.address.card):
            if path is draft or path.is_dir():
                remove(path)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(json.dumps(content))
        draft.replace(self.address.card)


def daemon_address() -> Address:
    """The address of this user's daemon of this version."""
    name = hashlib.sha256(f"{__version__}\n{os.getuid()}".encode()).hexdigest()[:12]
    return Address(state_folder(), name)


def runtime_place(address: Address) -> tuple[Path, str]:
    """The folder in which that daemon makes its private folder for sockets, and how the name of that one begins."""
    place = address.folder / "run"
    is_short = len(os.fsencode(place)) <= _MAX_RUNTIME_PATH
    return place if is_short else temporary_place(address.folder), f"{address.name[:4]}-"


def remove_traces(address: Address) -> None:
    """Remove what a daemon left that was killed; nothing while one lives."""
    if lock := take_lock(address.lock, 0.0):
        with lock:
            for path in (address.card, address.socket):
                remove(path)
            place, prefix = runtime_place(address)
            for left in place.glob(f"{prefix}*"):
                remove(left)


def temporary_place(folder: Path) -> Path:
    """The folder in the system's temporary one for sockets that a long state folder has no room for."""
    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"analystd-{os.getuid()}-{place}"


def start_lock() -> Path:
    """Held by whoever starts a daemon, of any version."""
    return state_folder() / "start.lock"


def start_log(address: Address) -> Path:
    """What a detached daemon says on stderr, at its start and when it fails badly."""
    return address.folder / "start.log"


def activation_socket() -> Path:
    """The socket that systemd may listen on for a daemon that does not run yet."""
    return state_folder() / "activation.sock"


def kept_cards() -> list[DaemonInfo]:
    """The cards that lie in the state folder, whether their daemons live or not."""
    return [card for path in sorted(state_folder().glob("*.json")) if (card := _read_card(path))]


def live_cards() -> list[DaemonInfo]:
    """The cards of this user's daemons that live, the newest version first."""
    cards = [card for card in kept_cards() if card.is_live]
    return sorted(cards, key=lambda card: version_order(card.version), reverse=True)


def known_cards(seconds: float = _CARD_SECONDS) -> list[DaemonInfo]:
    """Return the cards of this user's daemons that live, as `live_cards`, after waiting for those of daemons that have none.

    A daemon writes its card at its start, and anew where it was removed or damaged.
    """
    deadline = time.monotonic() + seconds
    while True:
        cards = live_cards()
        locks = {path for path in state_folder().glob("*.lock") if path != start_lock() and is_locked(path)}
        if locks <= {card.address.lock for card in cards} or time.monotonic() > deadline:
            return cards
        time.sleep(_LOOK_AGAIN_SECONDS)


def version_order(version: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What versions are compared by: their numbers, then how far from the release they are (`0.2.0.dev3` < `0.2.0rc1` < `0.2.0`)."""
    parts = re.match(r"(\d+(?:\.\d+)*?)(?:\.0)*(?:\.?(dev|a|b|rc)(\d+))?(?:\+.*)?$", version)
    if parts is None:
        return tuple(map(int, re.findall(r"\d+", version))), (0, 0)
    return tuple(map(int, parts[1].split("."))), (_BEFORE_RELEASE.get(parts[2], 0), int(parts[3] or 0))


def private_folder(path: Path) -> None:
    """Make sure that `path` is a folder of this user which nobody else can enter.

    Raises:
        DaemonLostError: when it belongs to someone else, is none, or cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A link of the user's own may lead to a larger disk.
        about = path.stat()
        if {about.st_uid, path.lstat().st_uid} != {os.getuid()}:
            raise DaemonLostError(f"{path} belongs to another user", _OWN_FOLDER)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        if about.st_mode & 0o077:
            path.chmod(stat.S_IMODE(about.st_mode) & 0o700)
    except FileExistsError:
        raise DaemonLostError(f"{path} is no folder", _OWN_FOLDER) from None
    except OSError as exc:
        raise cannot_be_kept(exc) from exc


def cannot_be_kept(error: OSError) -> DaemonLostError:
    """Return what the user is told where the state folder cannot hold what a daemon needs there."""
    where = f": {error.filename}" if error.filename is not None else ""
    return DaemonLostError(
        f"analystd cannot keep its state in {state_folder()} ({error.strerror or error}{where})",
        "Make room there, let yourself write there, or set XDG_STATE_HOME to another folder of your own.",
    )


def open_start_log(address: Address, *, anew: bool = False) -> int:
    """Open what a daemon says on stderr at its start, for appending or `anew`; gives a descriptor.

    Raises:
        OSError: when it cannot be opened, or is a link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(start_log(address), flags | (os.O_TRUNC if anew else 0), 0o600)


def _read_card(path: Path) -> DaemonInfo | None:
    """The card, or None for another file: what the user trusts lies in the same folder. A card that others could write is none."""
    address = Address(path.parent, path.stem)
    try:
        about = path.lstat()
        if about.st_uid != os.getuid() or about.st_mode & 0o022 or not stat.S_ISREG(about.st_mode):
            return None
        return _card(address, json.loads(read_small(path, _CARD_BYTES)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _card(address: Address, content: Mapping[str, Any]) -> DaemonInfo:
    pid, version, socket = content["pid"], content["version"], content.get("socket") or str(address.socket)
    is_sound = (
        isinstance(pid, int)
        and 0 < pid < 1 << 31
        and re.fullmatch(r"[\w.+-]{1,100}", version)
        and b"\0" not in os.fsencode(socket)
    )
    if not is_sound:
        raise ValueError("no card")
    hands_over = bool(content.get("hands_over"))
    return DaemonInfo(address, pid, version, int(content["protocol"]), str(content["token"]), Path(socket), hands_over)
