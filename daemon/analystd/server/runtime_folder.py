"""The folder for a daemon's sockets: made at its start, removed at its end, and what a killed daemon left with it."""

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
    """A private folder for sockets, removed at the end; in the temporary folder when the state folder's path is long.

    What a daemon of this address left that was killed is removed meanwhile: whoever has its lock is the only one.
    """
    place, prefix = runtime_place(daemon_address())
    private_folder(place)
    leftovers = list(place.glob(f"{prefix}*"))
    # However much there is, neither the start nor the end of this daemon waits for it.
    threading.Thread(target=_remove_leftovers, args=(leftovers,), name="remove-leftovers", daemon=True).start()
    return Path(tempfile.mkdtemp(dir=place, prefix=prefix))


def _remove_leftovers(paths: list[Path]) -> None:
    for path in paths:
        remove_logged(path, _LEFTOVERS_SECONDS)


def remove_logged(path: Path, seconds: float) -> None:
    """Remove a folder for at most so long, and log what is left of it."""
    for left in remove(path, seconds=seconds):
        logger.warning("not removed: %s", left)
