"""Conversations: earlier questions and answers, rebuilt word for word from the journal.

The model need not process a prompt again as far as it begins like the previous one, so nothing here may depend on later changes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analystd.agent.programs import LOOK, is_failed_program, question_with_facts
from analystd.agent.prompt import with_new_files
from analystd.agent.toolcalls import tool_call_text
from analystd.agent.turns import Exchange, Turn, exchange
from analystd.desk.journal import Journal
from analystd.desk.segments import Event
from analystd.engine.base import Message
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.names import EventKind

MAX_FILES_TOLD = 1000
"""Maximum number of file names that are remembered as listed; in a larger workspace, new files are not announced."""

_TELLING = (EventKind.RUN_QUEUED, EventKind.RUN_STARTED, EventKind.TOOL_CALL, EventKind.RUN_FINISHED)
"""The events that are needed of a run; the others may hold megabytes of plots."""

_NO_ANSWER = "(no answer)"


@dataclass(frozen=True)
class Earlier:
    """The earlier part of a conversation: its turns, the files listed in the system message, and those announced since."""

    turns: tuple[Turn, ...] = ()
    first_files: tuple[str, ...] | None = None
    later_files: tuple[str, ...] = ()

    def files_to_tell(self, listing: Sequence[str]) -> tuple[str, ...]:
        """Return the files that the next run lists: all of them at first, later only new ones."""
        if self.first_files is None:
            return tuple(listing[:MAX_FILES_TOLD])
        if len(self.first_files) == MAX_FILES_TOLD:
            return ()
        told = {*self.first_files, *self.later_files}
        return tuple(name for name in listing if name not in told)[:MAX_FILES_TOLD]


def new_conversation() -> str:
    """Return an id that no other conversation has."""
    return f"conv_{secrets.token_hex(6)}"


def require(journal: Journal, conversation: str) -> None:
    """Refuse to continue a conversation that does not exist.

    Raises:
        InvalidArgumentsError: if there is no such conversation.
    """
    if not journal.runs.of_conversation(conversation):
        raise InvalidArgumentsError(f"There is no conversation '{conversation}' here")


def require_runs(journal: Journal, conversation: str | None, run_ids: Sequence[str]) -> None:
    """Refuse to forget runs that do not belong to the conversation.

    Raises:
        InvalidArgumentsError: with the first such run.
    """
    if not run_ids:
        return
    known = set() if conversation is None else {run["run_id"] for run in journal.runs.of_conversation(conversation)}
    for run_id in run_ids:
        if run_id not in known:
            raise InvalidArgumentsError(f"'{run_id}' cannot be forgotten: it is no run of the conversation")


async def earlier(
    journal: Journal, conversation: str, *, programs: bool = False, forget: Sequence[str] = ()
) -> Earlier:
    """Return the earlier part of a conversation: its ended runs, without those that found nothing and those to be forgotten.

    With `programs`, it is worded for a model that can program.
    """
    turns: list[Turn] = []
    first_files: tuple[str, ...] | None = None
    later_files: list[str] = []
    ended = [run["run_id"] for run in journal.runs.of_conversation(conversation) if run["seconds"] is not None]
    events_of = await journal.of_runs(ended, _TELLING)
    forgotten = {*forget}
    for events in events_of.values():
        forgotten.update(_first(events, EventKind.RUN_QUEUED).get("forget_runs", ()))
    for run_id, events in events_of.items():
        told = _first(events, EventKind.RUN_STARTED).get("files")
        turn = None if run_id in forgotten else _turn(events, () if first_files is None else told or (), programs)
        if turn is not None:
            turns.append(turn)
        if first_files is None:
            first_files = None if told is None else tuple(told)
        elif turn is not None:
            later_files += told or ()
    return Earlier(tuple(turns), first_files, tuple(later_files))


def _turn(events: Sequence[Event], new_files: Sequence[str], programs: bool) -> Turn | None:
    """Return the turn of one run; None if the run has not ended, or was cut short before it found anything."""
    prompt = _first(events, EventKind.RUN_QUEUED).get("prompt")
    result = _first(events, EventKind.RUN_FINISHED).get("result")
    if prompt is None or result is None:
        return None
    exchanges = _exchanges(events, result["steps"], programs)
    if result["status"] in ("done", "limit"):
        answer = result["answer"]
    elif exchanges:
        answer = _NO_ANSWER
    else:
        return None
    facts = "".join(step["output"] for step in result["steps"] if step["tool"] == LOOK)
    question = question_with_facts(prompt, facts) if programs else with_new_files(prompt, new_files)
    return Turn(Message("user", question), exchanges, Message("assistant", answer))


def _exchanges(events: Sequence[Event], steps: Sequence[Any], programs: bool) -> tuple[Exchange, ...]:
    """Return the valid calls as the model wrote them; journals of earlier versions kept only their arguments.

    Programs that failed are left out, because a model takes whatever it sees as an example.
    """
    replies = {event["step"]: event.get("reply") for event in events if event["kind"] == EventKind.TOOL_CALL}
    exchanges: tuple[Exchange, ...] = ()
    for number, step in enumerate(steps, 1):
        if step.get("valid", True) and step["tool"] != LOOK and not (programs and is_failed_program(step)):
            exchanges += (exchange(replies.get(number) or _call_text(step), step, programs=programs),)
    return exchanges


def _call_text(step: Any) -> str:
    return tool_call_text(step["tool"], json.dumps(step["arguments"], ensure_ascii=False))


def _first(events: Sequence[Event], kind: EventKind) -> Event:
    return next((event for event in events if event["kind"] == kind), {})
