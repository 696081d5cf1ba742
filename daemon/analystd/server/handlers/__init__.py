"""The handlers of the commands, one module per group. A handler calls the desk and converts the outcome."""

from __future__ import annotations

from collections.abc import Mapping

from analystd.server.connection import Handler
from analystd.server.handlers import agent, daemon, files, python, quarantine, runs, views
from analystd.server.handlers.registry import registered

_GROUPS = (agent, python, views, files, runs, quarantine, daemon)
"""Importing a group registers its handlers."""


def all_commands() -> Mapping[str, Handler]:
    """Return the handler of every command by its name on the wire."""
    return registered()
