"""A conversation as the model sees it: questions, calls with their results, answers."""

from __future__ import annotations

from dataclasses import dataclass

from analystd.agent.facts import fact_of
from analystd.agent.programs import result_text
from analystd.agent.prompt import tool_result_message
from analystd.engine.base import Message
from analystd.wire.results import Step

TOOL_OUTPUT_CHARS = 4000
"""Maximum length of one tool's output in a prompt; people and the journal get all of it."""


@dataclass(frozen=True)
class Exchange:
    """A call and its result; `fact` replaces the result when there is no room for it."""

    call: Message
    result: Message
    fact: Message

    @property
    def messages(self) -> tuple[Message, ...]:
        """The call and its result, in order."""
        return (self.call, self.result)


@dataclass(frozen=True)
class Turn:
    """A question with its answer, and the calls in between."""

    question: Message
    exchanges: tuple[Exchange, ...]
    answer: Message

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, in order."""
        return (self.question, *_flat(self.exchanges), self.answer)


@dataclass(frozen=True)
class Talk:
    """The context of a reply: `opening` is the system message and the worked examples, `notes` are messages that are sent once and not kept."""

    opening: tuple[Message, ...]
    question: Message
    earlier: tuple[Turn, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    notes: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, in order."""
        earlier = (message for turn in self.earlier for message in turn.messages)
        return (*self.opening, *earlier, self.question, *_flat(self.exchanges), *self.notes)

    @property
    def least(self) -> tuple[Message, ...]:
        """The messages that are never dropped: the system message and the question."""
        return (*self.opening[:1], self.question)


def exchange(call: str, step: Step, *, programs: bool = False) -> Exchange:
    """Return the exchange of a step, which is always the same for a step; `call` is what the model wrote to make it.

    With `programs`, the result of a program that ran is worded for a model that can program.
    """
    tool, ok, output = step["tool"], step["ok"], step["output"]
    shown = shortened(output)
    result = result_text(shown) if programs and ok else tool_result_message(tool, ok, shown)
    return Exchange(
        Message("assistant", call),
        Message("tool", result),
        Message("tool", fact_of(tool, step["arguments"], ok, output)),
    )


def shortened(text: str, limit: int = TOOL_OUTPUT_CHARS) -> str:
    """Return the beginning and the end of a text that is longer than `limit` characters, with a mark that says how much is missing."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters cut] …\n{text[-half:]}"


def _flat(exchanges: tuple[Exchange, ...]) -> tuple[Message, ...]:
    return tuple(message for each in exchanges for message in each.messages)
