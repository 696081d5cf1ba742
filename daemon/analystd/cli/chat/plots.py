"""Save the plots of a chat as files that the user can open."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analystd.cli.displays import PICTURES, save_displays
from analystd.config.folders import make_private
from analystd.wire.errors import WorkspaceError

MAX_FILES = 200
"""Maximum number of plots that are kept; the oldest are removed first."""


class PlotFolder:
    """A folder of pictures that only the user can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def begin(self) -> None:
        """Restart the numbering of pictures, for another run."""
        self._count = 0

    def save(self, bundle: Mapping[str, Any], run_id: str) -> Path | None:
        """Save a display if it is a picture, and return the file; None when it is not, or cannot be written."""
        if not any(mime in bundle for mime in PICTURES):
            return None
        self._count += 1
        try:
            make_private(self._folder)
            with contextlib.suppress(OSError):
                self._drop_oldest()
            return next(iter(save_displays([bundle], run_id, self._folder, self._count)), None)
        except (OSError, WorkspaceError):
            return None

    def _drop_oldest(self) -> None:
        files = sorted(self._folder.iterdir(), key=lambda path: path.lstat().st_mtime)
        for path in files[: max(0, len(files) - MAX_FILES + 1)]:
            path.unlink(missing_ok=True)
