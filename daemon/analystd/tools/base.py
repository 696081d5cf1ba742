"""Define tools, and validate and dispatch calls to them: the same for the model and for commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from analystd.engine.base import ToolSpec
from analystd.kernel.base import Output
from analystd.util.strict_json import has_more_members
from analystd.wire.errors import AnalystdError, InvalidArgumentsError

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class ToolContext:
    """The context of a call: the Python session of the run, the receiver of output, the client, and whether it belongs to a batch."""

    session: str
    on_output: Callable[[Output], None]
    client: str | None = None
    batch: bool = False


@dataclass(frozen=True)
class ToolResult:
    """The result of a call: `text` for the model and the user, `data` for programs."""

    ok: bool
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    valid: bool = True
    """False when the call was not run, because the tool does not exist or the arguments do not match its schema."""


@dataclass(frozen=True)
class Tool:
    """A tool that the model may call. `run` receives arguments that match the schema."""

    spec: ToolSpec
    run: Callable[[dict[str, Any], ToolContext], Awaitable[ToolResult]]
    checks_resources: bool = False
    """Whether the tool checks the resource limits itself, since it can also release resources."""


class Toolbox:
    """The tools of one desk, by name."""

    def __init__(self, tools: Iterable[Tool], check_resources: Callable[[], None]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._check_resources = check_resources

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model sees them."""
        return tuple(tool.spec for tool in self._tools.values())

    async def call(self, name: str, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        """Validate and run one call. A rejected call has a result too: `ok` is False, and the text is the reason for the model, on one line."""
        try:
            tool = self._find(name)
            validate(tool.spec.parameters, arguments)
        except AnalystdError as exc:
            return replace(_refusal(exc), valid=False)
        try:
            if not tool.checks_resources:
                self._check_resources()
            return await tool.run(arguments, context)
        except AnalystdError as exc:
            return _refusal(exc)

    def _find(self, name: str) -> Tool:
        if name not in self._tools:
            raise InvalidArgumentsError(f"Unknown tool '{name}'", f"The tools are {', '.join(self._tools)}.")
        return self._tools[name]


MAX_MEMBERS = 50_000
"""Maximum number of values in arguments, on all levels: checking each takes some microseconds."""

_MAX_ERRORS = 100
"""Maximum number of errors among which the most relevant one is chosen."""


def validate(schema: Schema, arguments: Any) -> None:
    """Validate arguments with a JSON Schema (2020-12).

    Raises:
        InvalidArgumentsError: `Invalid arguments: 123 is not of type 'string'`, for the most relevant of the errors.
    """
    require_fit(Draft202012Validator(schema), arguments)


def require_fit(validator: Draft202012Validator, arguments: Any) -> None:
    """Validate arguments with an existing validator.

    Raises:
        InvalidArgumentsError: as `validate`.
    """
    if has_more_members(arguments, MAX_MEMBERS):
        raise InvalidArgumentsError(f"Invalid arguments: there are more than {MAX_MEMBERS} values in them")
    error = best_match(islice(validator.iter_errors(arguments), _MAX_ERRORS))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".")
        raise InvalidArgumentsError(
            f"Invalid arguments: {_shortened(error.message)}", f"Look at '{where}'." if where else None
        )


def _refusal(exc: AnalystdError) -> ToolResult:
    text = exc.message if exc.hint is None else f"{exc.message}. {exc.hint}"
    return ToolResult(False, text, {"error": {"kind": exc.kind, "message": exc.message, "hint": exc.hint}})


def _shortened(message: str, limit: int = 500) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 2 :]}"
