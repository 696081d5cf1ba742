"""Conversations: earlier questions and answers, as the model is given them again."""

from __future__ import annotations

import json
import secrets
from typing import Any

from analystd.agent.context import shortened
from analystd.agent.prompt import tool_result_message
from analystd.agent.toolcalls import tool_call_text
from analystd.desk.journal import Journal
from analystd.engine.base import Message
from analystd.errors import InvalidArgumentsError
from analystd.protocol import EventKind

_REMEMBERED_OUTPUT_CHARS = 300


def new_conversation() -> str:
    """An id that no other conversation has."""
    return f"conv_{secrets.token_hex(6)}"


def history(journal: Journal, conversation: str) -> tuple[Message, ...]:
    """What was said in earlier runs of a conversation: questions, shortened calls, answers.

    Raises:
        InvalidArgumentsError: when there is no such conversation.
    """
    runs = [run for run in journal.runs().values() if run["conversation"] == conversation]
    if not runs:
        raise InvalidArgumentsError(f"There is no conversation '{conversation}' here")
    return tuple(message for run in runs for message in _turns(journal.of_run(run["run_id"])))


def _turns(events: list[dict[str, Any]]) -> list[Message]:
    question = next((event["prompt"] for event in events if event["kind"] == EventKind.RUN_QUEUED), None)
    result = next((event.get("result") for event in events if event["kind"] == EventKind.RUN_FINISHED), None)
    if question is None or result is None:
        return []
    turns = [Message("user", question)]
    for step in result["steps"]:
        output = shortened(step["output"], _REMEMBERED_OUTPUT_CHARS)
        turns.append(
            Message("assistant", tool_call_text(step["tool"], json.dumps(step["arguments"], ensure_ascii=False)))
        )
        turns.append(Message("tool", tool_result_message(step["tool"], step["ok"], output)))
    turns.append(Message("assistant", result["answer"]))
    return turns
