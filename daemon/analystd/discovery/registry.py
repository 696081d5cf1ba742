"""The registry of the user's daemons: the socket, the card and the lock of each, in the state folder.

The card is a file beside the socket with the daemon's pid, version and a token of this start; only the user can read it, and jailed code
cannot. The daemon holds its lock from before its socket exists until all its files are removed, so the lock, and not the pid, says
whether it is running.
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
"""Time within which a running daemon restores a lost card."""

_LOOK_AGAIN_SECONDS = 0.05

_MAX_RUNTIME_PATH = 55
"""Maximum length of the folder's path: kernels create sockets below it, and a socket's path has at most 107 bytes."""


@dataclass(frozen=True)
class Address:
    """The address of the daemon of one user and one version: a folder, and the name of its files there."""

    folder: Path
    name: str

    @property
    def card(self) -> Path:
        """The file with pid, version, token and socket of the running daemon."""
        return self.folder / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """The lock that the daemon holds while it is running."""
        return self.folder / f"{self.name}.lock"

    @property
    def socket(self) -> Path:
        """The daemon's socket; in the temporary folder when the state folder's path is too long for one."""
        return self.socket_folder / f"{self.name}.sock"

    @property
    def socket_folder(self) -> Path:
        """The folder of the socket."""
        is_short = len(os.fsencode(self.folder / f"{self.name}.sock")) <= _MAX_SOCKET_PATH
        return self.folder if is_short else temporary_place(self.folder)


@dataclass(frozen=True)
class DaemonInfo:
    """A daemon's card: the facts that clients need to connect to it."""

    address: Address
    pid: int
    version: str
    protocol: int
    token: str
    socket: Path
    hands_over: bool
    """Whether it is handing over to a newer version, so that new clients go there."""

    @property
    def is_live(self) -> bool:
        """Whether the daemon is running, also while it is starting or ending."""
        if not is_locked(self.address.lock):
            return False
        # Another daemon may hold the lock by now; a daemon that is ending has no card.
        there = _read_card(self.address.card)
        return there is None or there.token == self.token

    def write(self) -> None:
        """Write the card, readable only by the user.

        Raises:
            OSError: when the card cannot be written.
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
    """Return the address of this user's daemon of this version."""
    name = hashlib.sha256(f"{__version__}\n{os.getuid()}".encode()).hexdigest()[:12]
    return Address(state_folder(), name)


def runtime_place(address: Address) -> tuple[Path, str]:
    """Return the folder in which the daemon creates its private folder for sockets, and the prefix of the latter's name."""
    place = address.folder / "run"
    is_short = len(os.fsencode(place)) <= _MAX_RUNTIME_PATH
    return place if is_short else temporary_place(address.folder), f"{address.name[:4]}-"


def remove_traces(address: Address) -> None:
    """Remove the files that a killed daemon has left; do nothing while one is running."""
    if lock := take_lock(address.lock, 0.0):
        with lock:
            for path in (address.card, address.socket):
                remove(path)
            place, prefix = runtime_place(address)
            for left in place.glob(f"{prefix}*"):
                remove(left)


def temporary_place(folder: Path) -> Path:
    """Return the folder, in the system's temporary folder, for sockets whose path in the state folder would be too long."""
    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"analystd-{os.getuid()}-{place}"


def start_lock() -> Path:
    """Return the path of the lock that is held while a daemon of any version is being started."""
    return state_folder() / "start.lock"


def start_log(address: Address) -> Path:
    """Return the path of the log with the stderr of a detached daemon: errors at its start and fatal ones."""
    return address.folder / "start.log"


def activation_socket() -> Path:
    """Return the path of the socket on which systemd may listen for a daemon that is not running yet."""
    return state_folder() / "activation.sock"


def kept_cards() -> list[DaemonInfo]:
    """Return all cards in the state folder, of running and of dead daemons."""
    return [card for path in sorted(state_folder().glob("*.json")) if (card := _read_card(path))]


def live_cards() -> list[DaemonInfo]:
    """Return the cards of the user's running daemons, the newest version first."""
    cards = [card for card in kept_cards() if card.is_live]
    return sorted(cards, key=lambda card: version_order(card.version), reverse=True)


def known_cards(seconds: float = _CARD_SECONDS) -> list[DaemonInfo]:
    """Return the cards of the user's running daemons as `live_cards` does, after waiting for daemons that have no card yet.

    A daemon writes its card when it starts, and again when the card was removed or damaged.
    """
    deadline = time.monotonic() + seconds
    while True:
        cards = live_cards()
        locks = {path for path in state_folder().glob("*.lock") if path != start_lock() and is_locked(path)}
        if locks <= {card.address.lock for card in cards} or time.monotonic() > deadline:
            return cards
        time.sleep(_LOOK_AGAIN_SECONDS)


def version_order(version: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a sort key for versions: their numbers, then the stage before the release (`0.2.0.dev3` < `0.2.0rc1` < `0.2.0`)."""
    parts = re.match(r"(\d+(?:\.\d+)*?)(?:\.0)*(?:\.?(dev|a|b|rc)(\d+))?(?:\+.*)?$", version)
    if parts is None:
        return tuple(map(int, re.findall(r"\d+", version))), (0, 0)
    return tuple(map(int, parts[1].split("."))), (_BEFORE_RELEASE.get(parts[2], 0), int(parts[3] or 0))


def private_folder(path: Path) -> None:
    """Make sure that `path` is a folder of this user that nobody else can enter.

    Raises:
        DaemonLostError: when it belongs to another user, is not a folder, or cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The user's own link may lead to a larger disk.
        about = path.stat()
        if {about.st_uid, path.lstat().st_uid} != {os.getuid()}:
            raise DaemonLostError(f"{path} belongs to another user", _OWN_FOLDER)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        if about.st_mode & 0o077:
            path.chmod(stat.S_IMODE(about.st_mode) & 0o700)
    except FileExistsError:
        raise DaemonLostError(f"{path} is not a folder", _OWN_FOLDER) from None
    except OSError as exc:
        raise cannot_be_kept(exc) from exc


def cannot_be_kept(error: OSError) -> DaemonLostError:
    """Return the error for a state folder in which the daemon cannot write its files."""
    where = f": {error.filename}" if error.filename is not None else ""
    return DaemonLostError(
        f"analystd cannot keep its state in {state_folder()} ({error.strerror or error}{where})",
        "Free some space, make the folder writable, or set XDG_STATE_HOME to another folder of your own.",
    )


def open_start_log(address: Address, *, anew: bool = False) -> int:
    """Open the start log for appending, or emptied with `anew`, and return the descriptor.

    Raises:
        OSError: when the log cannot be opened, or is a link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(start_log(address), flags | (os.O_TRUNC if anew else 0), 0o600)


def _read_card(path: Path) -> DaemonInfo | None:
    """Read a card; return None for any other file, and for a card that other users could have written."""
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
        raise ValueError("invalid card")
    hands_over = bool(content.get("hands_over"))
    return DaemonInfo(address, pid, version, int(content["protocol"]), str(content["token"]), Path(socket), hands_over)
