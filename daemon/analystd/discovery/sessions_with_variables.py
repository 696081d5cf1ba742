"""Describe sessions that hold variables, for messages to the user before anything is lost."""

from __future__ import annotations

from analystd.wire.status import KeptSession


def kept_in(sessions: list[KeptSession]) -> str:
    """Describe sessions that hold variables: `main in /home/u/p/workspace (12 variables)`."""
    return ", ".join(f"{each['session']} in {each['workspace']} ({_count(each['variables'])})" for each in sessions)


def _count(variables: int | None) -> str:
    return "busy, or does not answer" if variables is None else f"{variables} variable{'' if variables == 1 else 's'}"
