"""The user's folders that analystd keeps things in, where the system has them."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Where sockets, journals and logs live; it survives a logout."""
    return platformdirs.user_state_path("analystd")


def cache_folder() -> Path:
    """Where fetched models live."""
    return platformdirs.user_cache_path("analystd")


def user_settings_file() -> Path:
    """The user's own settings, in the form of a `.env` file."""
    return platformdirs.user_config_path("analystd") / "settings.env"


def make_private(folder: Path) -> None:
    """Make a folder, with those above it that are missing, for the user alone. One that is there is left as it is.

    Raises:
        OSError: when it cannot be made, or is no folder.
    """
    for each in reversed((folder, *folder.parents)):
        if each == folder or not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
