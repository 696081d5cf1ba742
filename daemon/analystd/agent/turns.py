"""A conversation as the model is shown it: questions, calls with their results, answers."""

from __future__ import annotations

from dataclasses import dataclass

from analystd.agent.facts import fact_of
from analystd.agent.programs import result_text
from analystd.agent.prompt import tool_result_message
from analystd.engine.base import Message
from analystd.wire.results import Step

TOOL_OUTPUT_CHARS = 4000
"""What the model is shown of one tool's output; people and the journal get all of it."""


@dataclass(frozen=True)
class Exchange:
    """A call and its result; `fact` stands for the result when there is no room for it."""

    call: Message
    result: Message
    fact: Message

    @property
    def messages(self) -> tuple[Message, ...]:
        """Both, in order."""
        return (self.call, self.result)


@dataclass(frozen=True)
class Turn:
    """A question that was answered, with the calls on the way."""

    question: Message
    exchanges: tuple[Exchange, ...]
    answer: Message

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of it, in order."""
        return (self.question, *_flat(self.exchanges), self.answer)


@dataclass(frozen=True)
class Talk:
    """What a reply is asked for: `opening` is the system message and the worked examples, `notes` what is told once and not kept."""

    opening: tuple[Message, ...]
    question: Message
    earlier: tuple[Turn, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    notes: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of it, in order."""
        earlier = (message for turn in self.earlier for message in turn.messages)
        return (*self.opening, *earlier, self.question, *_flat(self.exchanges), *self.notes)

    @property
    def least(self) -> tuple[Message, ...]:
        """What never goes: the system message and the question."""
        return (*self.opening[:1], self.question)


def exchange(call: str, step: Step, *, programs: bool = False) -> Exchange:
    """The exchange of a step, the same whenever it is told; `call` is what the model wrote to make it.

    With `programs`, the result of one that ran is worded for a model that can program.
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
    """The beginning and the end of a text that is longer than `limit` characters, with a mark that says how much is gone."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters cut] …\n{text[-half:]}"


def _flat(exchanges: tuple[Exchange, ...]) -> tuple[Message, ...]:
    return tuple(message for each in exchanges for message in each.messages)
