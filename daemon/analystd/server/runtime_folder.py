"""The folder for a daemon's sockets, created at its start and removed at its end, and the leftovers of killed daemons."""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path

from analystd.discovery.registry import daemon_address, private_folder, runtime_place
from analystd.util.remove import remove

logger = logging.getLogger(__name__)

_LEFTOVERS_SECONDS = 600.0


def new_runtime_folder() -> Path:
    """Create a private folder for sockets; in the temporary folder if the path of the state folder is too long.

    Leftovers of killed daemons of this address are removed in the background. The caller holds the lock, so no such daemon is running.
    """
    place, prefix = runtime_place(daemon_address())
    private_folder(place)
    leftovers = list(place.glob(f"{prefix}*"))
    # In a thread, so that neither the start nor the end of this daemon waits, however much there is to remove.
    threading.Thread(target=_remove_leftovers, args=(leftovers,), name="remove-leftovers", daemon=True).start()
    return Path(tempfile.mkdtemp(dir=place, prefix=prefix))


def _remove_leftovers(paths: list[Path]) -> None:
    for path in paths:
        remove_logged(path, _LEFTOVERS_SECONDS)


def remove_logged(path: Path, seconds: float) -> None:
    """Remove a folder, within a time limit, and log what is left of it."""
    for left in remove(path, seconds=seconds):
        logger.warning("not removed: %s", left)
