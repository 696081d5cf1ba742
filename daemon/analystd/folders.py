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
