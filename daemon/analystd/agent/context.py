"""The context budget: what is shortened when a conversation outgrows the model's window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from analystd.engine.base import Message

TOOL_OUTPUT_CHARS = 4000
"""What the model is shown of one tool's output; people and the journal get all of it."""

_SHRUNK_CHARS = 300

CountTokens = Callable[[tuple[Message, ...]], Awaitable[int]]


def shortened(text: str, limit: int = TOOL_OUTPUT_CHARS) -> str:
    """The beginning and the end of a text that is longer than `limit` characters, with a mark that says how much is gone."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters cut] …\n{text[-half:]}"


async def fit(
    messages: tuple[Message, ...], budget_tokens: int, count: CountTokens, *, keep: int
) -> tuple[Message, ...]:
    """Messages that take at most `budget_tokens`, if that can be had.

    Older tool outputs shrink first, then the oldest turns go; the system prompt and the messages from position `keep`
    (the question) on never go, though their outputs may shrink.
    """
    if await count(messages) <= budget_tokens:
        return messages
    for position, message in enumerate(messages[:-1]):
        if message.role == "tool" and len(message.content) > _SHRUNK_CHARS:
            messages = (
                *messages[:position],
                replace(message, content=shortened(message.content, _SHRUNK_CHARS)),
                *messages[position + 1 :],
            )
            if await count(messages) <= budget_tokens:
                return messages
    while keep > 1 and await count(messages) > budget_tokens:
        messages = (messages[0], *messages[2:])
        keep -= 1
    return messages
