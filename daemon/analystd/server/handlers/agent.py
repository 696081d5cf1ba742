"""Handlers of `runAgent` and `startAgent`."""

from __future__ import annotations

from lsprotocol import types

from analystd.server.connection import ClientConnection
from analystd.server.handlers.base import follow
from analystd.server.handlers.registry import handles
from analystd.wire import commands
from analystd.wire.arguments import RunAgent
from analystd.wire.events import RunSummary
from analystd.wire.results import AgentResult


@handles(commands.RUN_AGENT)
async def run_agent(connection: ClientConnection, question: RunAgent, token: types.ProgressToken | None) -> AgentResult:
    """Ask the model, and wait for its answer."""
    return await follow(connection, connection.desk.start_agent(question, connection.asker), token)


@handles(commands.START_AGENT)
async def start_agent(
    connection: ClientConnection, question: RunAgent, _token: types.ProgressToken | None
) -> RunSummary:
    """Start to ask the model, without waiting for its answer."""
    return connection.desk.runs.summary(connection.desk.start_agent(question, connection.asker).id)
