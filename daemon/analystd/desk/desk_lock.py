"""The state folder of a desk, which outlives the daemon, and the lock that reserves it for one daemon."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from analystd import __version__
from analystd.config.folders import make_private
from analystd.util.locks import is_at, is_locked
from analystd.util.small_files import read_small
from analystd.wire.errors import DeskInUseError

_LOOK_AGAIN_SECONDS = 0.05
_NOTE = "workspace"


class DeskLock:
    """The state folder of one workspace, claimed until `release`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def claim(cls, desks: Path, root: Path) -> Self:
        """Claim the state folder of the workspace with the real path `root` in `desks`, and create it if necessary.

        Raises:
            DeskInUseError: if another daemon has claimed it; the message has its pid and version.
        """
        folder = desk_folder(desks, root)
        make_private(folder)
        state = cls(folder, _lock(folder / "lock", root))
        state.announce("")
        try:
            state._note(root)
        except OSError:
            state.release()
            raise
        return state

    @property
    def journal(self) -> Path:
        """The folder of the journal."""
        return self.folder / "journal"

    def announce(self, plan: str) -> None:
        """Announce to other daemons that want the workspace which daemon has it, and its plan, if any."""
        who = f"pid {os.getpid()}, version {__version__}{plan and f'; {plan}'}\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, who.encode(), 0)

    @property
    def is_own(self) -> bool:
        """Whether the claim still holds, that is, the lock file in the folder is the one that was locked."""
        return self._lock >= 0 and is_at(self.folder / "lock", self._lock)

    def release(self) -> None:
        """Release the claim for other daemons. Harmless when repeated."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _note(self, root: Path) -> None:
        """Note the workspace that the state belongs to. An existing note is not rewritten, since the disk may be full."""
        path = self.folder / _NOTE
        if _noted(path) != root:
            path.write_bytes(os.fsencode(root) + b"\n")


def noted_workspaces(desks: Path) -> Iterator[Path]:
    """Yield the workspaces whose states are kept in `desks`, as far as they can be determined."""
    for path in desks.glob(f"*/{_NOTE}"):
        if (workspace := _noted(path)) is not None:
            yield workspace


def _noted(path: Path) -> Path | None:
    """Return the path of a workspace from its note; None if it cannot be read."""
    try:
        return Path(os.fsdecode(read_small(path).removesuffix(b"\n")))
    except OSError:
        return None


async def wait_until_free(desks: Path, root: Path, seconds: float) -> None:
    """Wait until no other daemon claims the workspace, for at most `seconds`."""
    path = desk_folder(desks, root) / "lock"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while is_locked(path):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def desk_folder(desks: Path, root: Path) -> Path:
    """Return the state folder in `desks` of the workspace with the real path `root`."""
    return desks / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _lock(path: Path, root: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.read(descriptor, 1000).decode("utf-8", "replace").strip()
        os.close(descriptor)
        raise DeskInUseError(
            f"The workspace {root} is served by another daemon ({holder})",
            "Stop that one with `analystd stop`, or wait for its end.",
        ) from exc
    return descriptor
