"""Register the handlers of commands, with the checks that precede each handler: the command's switch, schema and types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from jsonschema import Draft202012Validator
from lsprotocol import types

from analystd.server.connection import ClientConnection, Handler
from analystd.tools.base import require_fit
from analystd.wire.commands import CommandType, Switch
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.schemas import schema_of
from analystd.wire.structured import structured

A = TypeVar("A")
R = TypeVar("R")

TypedHandler = Callable[[ClientConnection, A, types.ProgressToken | None], Awaitable[R]]

_HANDLERS: dict[str, Handler] = {}


def handles(command: CommandType[A, R]) -> Callable[[TypedHandler[A, R]], TypedHandler[A, R]]:
    """Return a decorator that registers the handler of a command. The handler is called with valid arguments, as their dataclass."""

    def register(handler: TypedHandler[A, R]) -> TypedHandler[A, R]:
        async def handle(connection: ClientConnection, given: dict[str, Any], token: types.ProgressToken | None) -> R:
            if command.needs is not None:
                _require_enabled(connection, command.name, command.needs)
            return await handler(connection, typed_arguments(command, given), token)

        _HANDLERS[command.name] = handle
        return handler

    return register


def registered() -> Mapping[str, Handler]:
    """Return every handler by its command's name on the wire."""
    return _HANDLERS


def typed_arguments(command: CommandType[A, Any], given: dict[str, Any]) -> A:
    """Return a command's arguments as their dataclass.

    Raises:
        InvalidArgumentsError: when they do not fit the schema.
    """
    require_fit(_validator(command), given)
    return structured(command.arguments, given)


@cache
def _validator(command: CommandType[Any, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema_of(command.arguments))


def _require_enabled(connection: ClientConnection, command: str, switch: Switch) -> None:
    if not getattr(connection.desk.settings, switch.field):
        raise InvalidArgumentsError(
            f"The command '{command}' is switched off", f"{switch.variable}=false is in force for this workspace."
        )
