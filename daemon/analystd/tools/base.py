"""What a tool is, and how a call to one is validated and dispatched: the same way for the model and for commands."""

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
    """Who calls: the Python session that the run works in, where output goes as it appears, and for which client, in a batch or not."""

    session: str
    on_output: Callable[[Output], None]
    client: str | None = None
    batch: bool = False


@dataclass(frozen=True)
class ToolResult:
    """What a call gave: `text` for model and people, `data` for programs."""

    ok: bool
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    valid: bool = True
    """False when the call was not run, since there is no such tool or the arguments do not fit its schema."""


@dataclass(frozen=True)
class Tool:
    """A thing that the model may call. `run` gets arguments that fit the schema."""

    spec: ToolSpec
    run: Callable[[dict[str, Any], ToolContext], Awaitable[ToolResult]]
    checks_resources: bool = False
    """Whether it looks at the limits by itself, since it can also free what is too much."""


class Toolbox:
    """The tools of one desk, by name."""

    def __init__(self, tools: Iterable[Tool], check_resources: Callable[[], None]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._check_resources = check_resources

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told."""
        return tuple(tool.spec for tool in self._tools.values())

    async def call(self, name: str, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        """Validate and run one call. A refusal is a result too: `ok` is False and the text says why, in one line for the model."""
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
"""Maximum number of values in arguments, all levels together: each takes some microseconds to be checked."""

_MAX_MISFITS = 100
"""Maximum number of misfits among which the most telling is looked for."""


def validate(schema: Schema, arguments: Any) -> None:
    """Hold arguments to a JSON Schema (2020-12).

    Raises:
        InvalidArgumentsError: `Invalid arguments: 123 is not of type 'string'`, for the most telling of the misfits.
    """
    require_fit(Draft202012Validator(schema), arguments)


def require_fit(validator: Draft202012Validator, arguments: Any) -> None:
    """The same for a schema whose validator was made before.

    Raises:
        InvalidArgumentsError: as `validate`.
    """
    if has_more_members(arguments, MAX_MEMBERS):
        raise InvalidArgumentsError(f"Invalid arguments: there are more than {MAX_MEMBERS} values in them")
    misfit = best_match(islice(validator.iter_errors(arguments), _MAX_MISFITS))
    if misfit is not None:
        where = misfit.json_path.removeprefix("$").removeprefix(".")
        raise InvalidArgumentsError(
            f"Invalid arguments: {_shortened(misfit.message)}", f"Look at '{where}'." if where else None
        )


def _refusal(exc: AnalystdError) -> ToolResult:
    text = exc.message if exc.hint is None else f"{exc.message}. {exc.hint}"
    return ToolResult(False, text, {"error": {"kind": exc.kind, "message": exc.message, "hint": exc.hint}})


def _shortened(message: str, limit: int = 500) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 2 :]}"
