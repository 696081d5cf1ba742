"""Handlers of `execPython`, `startPython`, `resetSession`, `interrupt` and `variables`."""

from __future__ import annotations

from lsprotocol import types

from analystd.desk.desk import Desk
from analystd.desk.run_results import session_state, variable_info
from analystd.server.connection import ClientConnection
from analystd.server.handlers.base import follow
from analystd.server.handlers.registry import handles
from analystd.server.uris import path_of_uri
from analystd.wire import commands
from analystd.wire.arguments import ExecPython, OneSession
from analystd.wire.events import RunSummary
from analystd.wire.results import PythonResult, SessionState, SessionVariables


@handles(commands.EXEC_PYTHON)
async def exec_python(
    connection: ClientConnection, asked: ExecPython, token: types.ProgressToken | None
) -> PythonResult:
    """Run code, and wait for its end."""
    return await follow(connection, connection.desk.start_python(asked, connection.asker, _file(asked)), token)


@handles(commands.START_PYTHON)
async def start_python(
    connection: ClientConnection, asked: ExecPython, _token: types.ProgressToken | None
) -> RunSummary:
    """Start to run code, without waiting for its end."""
    run = connection.desk.start_python(asked, connection.asker, _file(asked))
    return connection.desk.runs.summary(run.id)


@handles(commands.RESET_SESSION)
async def reset_session(
    connection: ClientConnection, asked: OneSession, _token: types.ProgressToken | None
) -> SessionState:
    """Reset a session, which clears its variables."""
    await connection.desk.reset_session(asked.session, connection.asker)
    return _state(connection.desk, asked.session)


@handles(commands.INTERRUPT)
async def interrupt(
    connection: ClientConnection, asked: OneSession, _token: types.ProgressToken | None
) -> SessionState:
    """Stop the code that runs in a session, and report what was lost."""
    lost = await connection.desk.interrupt_session(asked.session, connection.asker)
    state = _state(connection.desk, asked.session)
    if lost is not None:
        state["text"] = lost
    return state


@handles(commands.VARIABLES)
async def variables(
    connection: ClientConnection, asked: OneSession, _token: types.ProgressToken | None
) -> SessionVariables:
    """List the variables of a session, with its state."""
    seat = connection.desk.sessions.seat(asked.session)
    async with seat.turnstile.turn():
        found = await seat.session.variables()
    return {**_state(connection.desk, asked.session), "variables": [variable_info(variable) for variable in found]}


def _file(asked: ExecPython) -> str | None:
    """Return the path of the file that the code comes from; None without a URI, or if the URI is of another kind."""
    path = None if asked.uri is None else path_of_uri(asked.uri)
    return None if path is None else str(path)


def _state(desk: Desk, name: str) -> SessionState:
    seat = desk.sessions.seat(name)
    return {**session_state(seat.session.info()), "waiting": seat.turnstile.waiting}
