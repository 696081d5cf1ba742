"""Define the protocol between the agent and a model, wherever the model runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from analystd.wire.errors import EngineUnavailableError

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation. Its content is plain text: no content can become a control token."""

    role: Role
    content: str


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the model sees it: its name, its description and the schema that its calls must match."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON Schema of the arguments."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: the most likely one at temperature 0, otherwise a random one, which the seed makes reproducible."""

    temperature: float = 0.0
    seed: int = 0


LIKELIEST = Sampling()


@dataclass(frozen=True)
class GenerateRequest:
    """One reply to generate.

    `sequence` names the conversation: the longest prefix that this request shares with its previous one is not processed again.
    `common_messages` is the number of leading messages that do not belong to the conversation itself (system message, examples). Other
    conversations begin with them too, so an engine may cache its state after them.
    `tool_choice`: with `auto` the model may write text, and must follow the tools' grammar from `<tool ` on (a model's own call syntax, such
    as `<tool_call>`, is not constrained); with `required` the reply is exactly one call in our syntax; with `none` it is text.
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
    """`stop`: the model ended the reply; `length`: it reached `max_tokens`; `context`: the window is full; `stopped`: `on_text` returned True."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    warning: str | None = None
    """A warning for the user, such as that the server read only a part of the prompt."""


@dataclass(frozen=True)
class EngineInfo:
    """The state of an engine, as `status` shows it."""

    kind: str
    """`llama`, `scripted` or `endpoint`."""
    model: str
    loaded: bool
    context_tokens: int | None = None
    conversations: int | None = None
    """How many conversations the model keeps in memory, each with `context_tokens` of its own."""
    pid: int | None = None
    note: str | None = None
    """Why the engine does not work, or None."""
    warning: str | None = None
    """Why its answers may be worse than they could be, or None."""
    goes: str | None = None
    """Where text is sent, if it leaves the daemon's own workers."""
    on_gpu: bool | None = None
    """Whether any of the model's layers run on a GPU; None until the model was loaded."""
    load_seconds: float | None = None
    """The duration of the last load."""
    tokens_per_second: float | None = None
    """The generation speed of the last replies, without the time to process their prompts."""
    parameters: int | None = None
    """The number of weights of the model, where it is known; for a local model, only after it was loaded."""
    context_used: int | None = None
    """The number of tokens that the longest conversation held after the last reply, out of `context_tokens`."""


class PromptTooLongError(EngineUnavailableError):
    """The prompt does not fit the model's window. From now on, the engine reports the correct window and token counts."""


class Engine(Protocol):
    """A source of replies. It may generate several at once, each for a sequence."""

    def info(self) -> EngineInfo:
        """Return the current state. Never starts anything."""
        ...

    async def load(self) -> None:
        """Get ready for `generate`. Harmless when repeated.

        Raises:
            EngineUnavailableError: when something is missing; the hint says what to do.
        """
        ...

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Return the number of tokens of the rendered prompt.

        Raises:
            EngineUnavailableError: when the engine has ended or rejects the messages.
        """
        ...

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        """Generate one reply. Calls `on_text` with each new piece, as whole characters, until it returns True.

        Cancelling the task stops prompt processing and generation within a fraction of a second.

        Raises:
            EngineUnavailableError: when there is no model, it has ended, or the prompt does not fit the context.
        """
        ...

    async def aclose(self) -> None:
        """Free the model. Harmless when repeated."""
        ...
