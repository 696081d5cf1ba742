"""Locate the user's folders in which analystd stores files, as the platform defines them."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Return the folder of sockets, journals and logs. It survives a logout."""
    return platformdirs.user_state_path("analystd")


def cache_folder() -> Path:
    """Return the folder of fetched models."""
    return platformdirs.user_cache_path("analystd")


def user_settings_file() -> Path:
    """Return the user's own settings file, which has the form of a `.env` file."""
    return platformdirs.user_config_path("analystd") / "settings.env"


def make_private(folder: Path) -> None:
    """Create a folder for the user alone, with its missing parents. An existing folder stays unchanged.

    Raises:
        OSError: when it cannot be created, or is not a folder.
    """
    for each in reversed((folder, *folder.parents)):
        if each == folder or not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
