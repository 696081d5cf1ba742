"""The pictures that runs of a chat show, as files that can be opened."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analystd.cli.displays import PICTURES, save_displays
from analystd.config.folders import make_private
from analystd.wire.errors import WorkspaceError

MAX_FILES = 200
"""So many are kept; the oldest go first."""


class PlotFolder:
    """A folder of pictures that the user alone can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def begin(self) -> None:
        """Count the pictures of another run."""
        self._count = 0

    def save(self, bundle: Mapping[str, Any], run_id: str) -> Path | None:
        """Write what a run displayed, if it is a picture, and return the file; None where it is none, or cannot be written."""
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
