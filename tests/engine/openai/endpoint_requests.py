"""Requests to an engine of a model server, and its replies as the agent reads them."""

from __future__ import annotations

from typing import Any

from tests.engine.openai.chat_servers import Misbehaving

from analystd.agent.toolcalls import ToolCall, ToolCallParser
from analystd.engine.base import Completion, GenerateRequest, Message, ToolSpec
from analystd.engine.openai.client import Server
from analystd.engine.openai.engine import EndpointEngine

LOOK = ToolSpec(
    "look",
    "Look at a file.",
    {
        "type": "object",
        "properties": {"path": {"enum": ["a.csv", "b.csv"]}},
        "required": ["path"],
        "additionalProperties": False,
    },
)
QUESTION = (Message("system", "Be brief."), Message("user", "What is in a.csv?"))


def request(*, tools: tuple[ToolSpec, ...] = (), choice: Any = "auto", max_tokens: int = 12) -> GenerateRequest:
    return GenerateRequest("c", QUESTION, tools, choice, max_tokens=max_tokens)


async def reply(server: Misbehaving, **options: Any) -> Completion:
    engine = EndpointEngine(Server(server.url, "secret-key"))
    try:
        return await engine.generate(request(**options), lambda text: False)
    finally:
        await engine.aclose()


def parsed(text: str) -> tuple[str, Any]:
    """Return the call that a reply consists of, as the agent parses it."""
    parser = ToolCallParser()
    (call,) = parser.feed(text) + parser.finish()
    assert isinstance(call, ToolCall)
    return call.name, call.arguments
