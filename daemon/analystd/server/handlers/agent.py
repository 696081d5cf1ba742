"""`runAgent`, `startAgent`."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from analystd.server.connection import ClientConnection, Handler
from analystd.server.handlers.base import COUNT, POSITIVE, PRIORITY, SESSION, STRING, follow, object_schema, table
from analystd.tools.base import validate
from analystd.wire.protocol import Command

RUN_AGENT = object_schema(
    {"prompt": {"type": "string", "minLength": 1}},
    {
        "conversation": STRING,
        "forget_runs": {"type": "array", "items": STRING, "maxItems": 1000},
        "session": SESSION,
        "max_steps": COUNT,
        "max_seconds": POSITIVE,
        "priority": PRIORITY,
        "context": table({"uri": STRING, "range": table({}), "text": STRING}),
    },
)


async def run_agent(connection: ClientConnection, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
    """Ask the model; the result is an `AgentResult`."""
    validate(RUN_AGENT, arguments)
    return await follow(connection, connection.desk.start_agent(arguments, connection.asker), token)


async def start_agent(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """Have the model asked, and wait for nothing; the result is the run's `RunSummary`."""
    validate(RUN_AGENT, arguments)
    return connection.desk.runs.summary(connection.desk.start_agent(arguments, connection.asker).id)


COMMANDS: dict[Command, Handler] = {Command.RUN_AGENT: run_agent, Command.START_AGENT: start_agent}
