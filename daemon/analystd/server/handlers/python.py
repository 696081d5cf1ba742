"""`execPython`, `startPython`, `resetSession`, `interrupt`, `variables`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lsprotocol import types

from analystd.desk.desk import Desk
from analystd.desk.sessions import MAIN
from analystd.server.connection import ClientConnection, Handler
from analystd.server.handlers.base import POSITIVE, PRIORITY, SESSION, STRING, follow, object_schema, require_enabled
from analystd.server.uris import path_of_uri
from analystd.tools.base import validate
from analystd.wire.protocol import Command

EXEC_PYTHON = object_schema(
    {"code": STRING},
    {
        "reset": {"type": "boolean"},
        "session": SESSION,
        "timeout_seconds": POSITIVE,
        "priority": PRIORITY,
        "uri": STRING,
        "line": {"type": "integer", "minimum": 1},
    },
)

ONE_SESSION = object_schema({}, {"session": SESSION})


async def exec_python(
    connection: ClientConnection, arguments: dict[str, Any], token: types.ProgressToken | None
) -> Any:
    """Run code; the result is a `PythonResult`."""
    _require_python(connection, Command.EXEC_PYTHON)
    validate(EXEC_PYTHON, arguments)
    run = connection.desk.start_python(arguments, connection.asker, _file(arguments))
    return await follow(connection, run, token)


async def start_python(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """Have code run, and wait for nothing; the result is the run's `RunSummary`."""
    _require_python(connection, Command.START_PYTHON)
    validate(EXEC_PYTHON, arguments)
    run = connection.desk.start_python(arguments, connection.asker, _file(arguments))
    return connection.desk.runs.summary(run.id)


async def reset_session(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """Forget a session's variables; gives its state."""
    _require_python(connection, Command.RESET_SESSION)
    name = _session(arguments)
    await connection.desk.reset_session(name, connection.asker)
    return _state(connection.desk, name)


async def interrupt(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Stop what runs in a session; gives its state, and what was lost by that."""
    _require_python(connection, Command.INTERRUPT)
    name = _session(arguments)
    lost = await connection.desk.interrupt_session(name, connection.asker)
    return {**_state(connection.desk, name), **({} if lost is None else {"text": lost})}


async def variables(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """The variables of a session, with its state."""
    _require_python(connection, Command.VARIABLES)
    name = _session(arguments)
    seat = connection.desk.sessions.seat(name)
    async with seat.turnstile.turn():
        found = await seat.session.variables()
    return {**_state(connection.desk, name), "variables": [asdict(variable) for variable in found]}


def _file(arguments: dict[str, Any]) -> str | None:
    """The path of the file that code is of; an editor may name what is none."""
    path = path_of_uri(arguments["uri"]) if "uri" in arguments else None
    return None if path is None else str(path)


def _require_python(connection: ClientConnection, command: Command) -> None:
    require_enabled(connection.desk.settings.enable_pyexe, command, "AGENT_ENABLE_PYEXE")


def _session(arguments: dict[str, Any]) -> str:
    validate(ONE_SESSION, arguments)
    name: str = arguments.get("session", MAIN)
    return name


def _state(desk: Desk, name: str) -> dict[str, Any]:
    seat = desk.sessions.seat(name)
    return {**asdict(seat.session.info()), "waiting": seat.turnstile.waiting}


COMMANDS: dict[Command, Handler] = {
    Command.EXEC_PYTHON: exec_python,
    Command.START_PYTHON: start_python,
    Command.RESET_SESSION: reset_session,
    Command.INTERRUPT: interrupt,
    Command.VARIABLES: variables,
}
