"""What each command does: one module per group. A handler validates, calls the desk, and maps the outcome."""

from __future__ import annotations

from analystd.server.connection import Handler
from analystd.server.handlers import agent, daemon, files, python, quarantine, runs, views
from analystd.wire.protocol import Command

_ALL: dict[Command, Handler] = {
    **agent.COMMANDS,
    **python.COMMANDS,
    **views.COMMANDS,
    **files.COMMANDS,
    **runs.COMMANDS,
    **quarantine.COMMANDS,
    **daemon.COMMANDS,
}


def all_commands() -> dict[str, Handler]:
    """Every command by its wire name."""
    return {str(command): handler for command, handler in _ALL.items()}
