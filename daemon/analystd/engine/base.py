"""What the agent needs from a model, wherever the model runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from analystd.wire.errors import EngineUnavailableError

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; its content is text, never markup: no content can become a control token."""

    role: Role
    content: str


@dataclass(frozen=True)
class ToolSpec:
    """What the model is told of a tool, and what its calls are held to."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON Schema of the arguments."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: the likeliest one at temperature 0, else one that is drawn, the same one for the same seed."""

    temperature: float = 0.0
    seed: int = 0


LIKELIEST = Sampling()


@dataclass(frozen=True)
class GenerateRequest:
    """One reply to generate.

    `sequence` names the conversation: the longest prefix that its last request shared with this one is not processed again.
    `common_messages`: so many of the first messages are no part of the conversation itself (system message, examples), so that others
    begin with them too, and an engine may keep what it made of them.
    `tool_choice`: with `auto` the model may write text, and is held to the tools' grammar from `<tool ` on (not in a syntax of its own, such
    as `<tool_call>`); with `required` the reply is exactly one call in ours; with `none` it is text.
    """

    sequence: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "required", "none"] = "auto"
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    common_messages: int = 0


@dataclass(frozen=True)
class Completion:
    """A finished reply: the whole text, why it ended, and its cost in tokens and seconds."""

    text: str
    reason: Literal["stop", "length", "context", "stopped"]
    """`stop`: the model ended it; `length`: `max_tokens`; `context`: the window is full; `stopped`: `on_text` asked for it."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    warning: str | None = None
    """What a person should know of it, such as that the server has read only a part of the prompt."""


@dataclass(frozen=True)
class EngineInfo:
    """What `status` shows of an engine."""

    kind: str
    """`llama`, `scripted` or `endpoint`."""
    model: str
    loaded: bool
    context_tokens: int | None = None
    conversations: int | None = None
    """How many conversations are kept in the model's memory, each with `context_tokens` of its own."""
    pid: int | None = None
    note: str | None = None
    """What keeps it from working, or None."""
    warning: str | None = None
    """What makes its answers worse than they could be, or None."""
    goes: str | None = None
    """Where text goes, if it leaves the daemon's own workers."""
    on_gpu: bool | None = None
    """Whether layers of it are computed on a GPU; known once it was loaded."""
    load_seconds: float | None = None
    """How long the last loading took."""
    tokens_per_second: float | None = None
    """How fast the last replies were written, the reading of their prompts not counted."""
    parameters: int | None = None
    """How many weights the model has, where that is known; of a local model once it was loaded."""
    context_used: int | None = None
    """Tokens that the longest conversation held after the last reply, out of `context_tokens`."""


class PromptTooLongError(EngineUnavailableError):
    """The prompt does not fit the model's window; what the engine tells of its window and counts as tokens is from now on as it should be."""


class Engine(Protocol):
    """A source of replies. Several may be generated at once; each belongs to a sequence."""

    def info(self) -> EngineInfo:
        """A snapshot; never starts anything."""
        ...

    async def load(self) -> None:
        """Get ready for `generate`; harmless when repeated.

        Raises:
            EngineUnavailableError: with what is missing and what to do.
        """
        ...

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Tokens of the rendered prompt.

        Raises:
            EngineUnavailableError: when the engine is gone or refuses the messages.
        """
        ...

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        """Generate one reply; `on_text` gets each new piece as whole characters and ends the reply by returning True.

        Cancelling the task stops prompt processing and generation within a fraction of a second.

        Raises:
            EngineUnavailableError: when there is no model, it is gone, or the prompt does not fit the context.
        """
        ...

    def forget(self, sequence: str) -> None:
        """Drop what is kept for a conversation."""
        ...

    async def aclose(self) -> None:
        """Free the model. Harmless when repeated."""
        ...
