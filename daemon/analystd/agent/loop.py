"""The agent: ask the model, run the tool that it calls, return the result to it, until it answers or a limit is reached."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from analystd.agent.context import TokenCosts, fit
from analystd.agent.outcome import Outcome, end_with, end_without_result, found_by, has_failed_for_good
from analystd.agent.programs import failed_programs, fails_as_before, failures_text, is_failed_program
from analystd.agent.progress import is_repeated, is_stuck
from analystd.agent.replies import Reply, ReplyReader
from analystd.agent.review import MAX_FAILURES, failed_in_a_row
from analystd.agent.task import Programs, Task, calls_made
from analystd.agent.toolcalls import BadCall, ToolCall, without_thoughts
from analystd.agent.turns import Talk, exchange, shortened
from analystd.engine.base import (
    LIKELIEST,
    Completion,
    Engine,
    GenerateRequest,
    Message,
    PromptTooLongError,
    Sampling,
    ToolSpec,
)
from analystd.tools.base import Toolbox, ToolContext, ToolResult
from analystd.wire.errors import AnalystdError
from analystd.wire.results import Step, Usage

logger = logging.getLogger(__name__)

MAX_BAD_CALLS = 3
"""Number of unreadable or invalid calls after which a run ends."""

REPLY_TOKENS = 1024

_TEMPERATURE_AFTER_REPETITION = 1.0
_MOST_LACKING = 3
"""Number of consecutive programs that may look for values or columns that the data does not have."""

_BAD_CALL_TURN = Message("assistant", "(a call that was not valid)")
_BAD_CALL_CHARACTERS = 300


class Observer(Protocol):
    """Receives the events of a run as they happen."""

    def said(self, text: str) -> None:
        """Report text that the model wrote."""
        ...

    def calling(self, tool: str, arguments: dict[str, Any], said: str) -> None:
        """Report a call before it runs; `said` is everything that the model wrote to make it."""
        ...

    def called(self, step: Step) -> None:
        """Report a call that ended."""
        ...


class Agent:
    """One run of the loop over an engine and the tools of a desk."""

    def __init__(
        self,
        engine: Engine,
        toolbox: Toolbox,
        context: ToolContext,
        observer: Observer,
        sampling: Sampling = LIKELIEST,
    ) -> None:
        self._engine = engine
        self._toolbox = toolbox
        self._context = context
        self._observer = observer
        self._sampling = sampling
        self._costs = TokenCosts(engine.count_tokens)

    async def run(self, task: Task) -> Outcome:
        """Carry out a task. It always ends by itself: an engine error gives `failed`, a cancelled task `cancelled`."""
        outcome = Outcome()
        started = time.monotonic()
        try:
            async with asyncio.timeout(task.limits.max_seconds):
                await self._converse(task, outcome)
        except TimeoutError:
            outcome.status = "limit"
            outcome.answer = outcome.answer or f"Stopped after {task.limits.max_seconds:g} s, {found_by(outcome)}."
        except asyncio.CancelledError:
            outcome.status = "cancelled"
        except AnalystdError as exc:
            outcome.status, outcome.error = "failed", exc
            outcome.answer = f"The run failed: {exc.message}"
        outcome.usage["seconds"] = round(time.monotonic() - started, 3)
        return outcome

    async def _converse(self, task: Task, outcome: Outcome) -> None:
        talk = Talk(task.opening, Message("user", task.question), task.earlier)
        bad_calls: list[str] = []
        outcome.steps += task.programs.looked if task.programs else ()
        while True:
            offer = self._offer(task, outcome.steps)
            if task.programs and offer.choice == "none" and has_failed_for_good(outcome.steps):
                end_without_result(outcome, task)
                return
            reply = await self._reply(task, talk, offer, outcome)
            if reply.call is None:
                objection = _objection(task, offer, reply, outcome)
                if objection is None:
                    end_with(reply, outcome, task)
                    return
                logger.info("the answer is not taken: %s", objection)
                self._observer.said("\n\n")
                said = Message("assistant", reply.text.strip() or "…")
                talk = replace(talk, notes=(*_failure_notes(task, outcome.steps), said, Message("user", objection)))
                continue
            if isinstance(reply.call, BadCall):
                bad_calls.append(reply.call.message)
            else:
                step = await self._call(reply.call, reply.said, task.programs)
                outcome.steps.append(step)
                if step.get("valid", True):
                    # An invalid call is not kept, because a small model takes whatever stands in a conversation as an example.
                    if task.programs is None or not is_failed_program(step):
                        told = exchange(reply.said, step, programs=task.programs is not None)
                        talk = replace(talk, exchanges=(*talk.exchanges, told))
                    talk = replace(talk, notes=_failure_notes(task, outcome.steps))
                    continue
                bad_calls.append(step["output"])
            logger.info("bad call %d of %d: %s", len(bad_calls), MAX_BAD_CALLS, bad_calls[-1])
            if len(bad_calls) == MAX_BAD_CALLS:
                outcome.answer = _too_many_bad_calls(bad_calls, outcome)
                outcome.status = "limit"
                return
            note = Message("tool", shortened(bad_calls[-1], _BAD_CALL_CHARACTERS))
            talk = replace(talk, notes=(*talk.notes, _BAD_CALL_TURN, note))

    def _offer(self, task: Task, steps: Sequence[Step]) -> _Offer:
        """Return what the next reply may call: nothing at the step limit or when the calls lead nowhere."""
        if calls_made(task, steps) >= task.limits.max_steps or _leads_nowhere(task, steps):
            return _Offer((), "none")
        if not steps and task.first_tools:
            return _Offer(task.first_tools, "required")
        return _Offer(self._toolbox.specs, "auto" if self._toolbox.specs else "none")

    async def _reply(self, task: Task, talk: Talk, offer: _Offer, outcome: Outcome) -> Reply:
        """Return one reply of the model, up to the end of its first call if there is one."""
        reader = ReplyReader(
            self._observer.said, offer.tools, calls_allowed=offer.choice != "none", programs=task.programs is not None
        )
        try:
            completion = await self._engine.generate(await self._request(task, talk, offer, outcome.steps), reader.feed)
        except PromptTooLongError as exc:
            logger.info("%s; it is cut to what is known now", exc.message)
            self._costs = TokenCosts(self._engine.count_tokens)
            completion = await self._engine.generate(await self._request(task, talk, offer, outcome.steps), reader.feed)
        _add_usage(outcome.usage, completion)
        if completion.warning is not None and completion.warning not in outcome.warnings:
            outcome.warnings.append(completion.warning)
        return reader.finish(cut=completion.reason in ("length", "context"))

    async def _request(self, task: Task, talk: Talk, offer: _Offer, steps: Sequence[Step]) -> GenerateRequest:
        """Return the request to the engine, cut to its window if that is known."""
        window = self._engine.info().context_tokens
        room = REPLY_TOKENS if window is None else min(REPLY_TOKENS, window // 4)
        messages = talk.messages if window is None else await fit(talk, window - room, self._costs)
        sampling = _sampling(task, steps, self._sampling)
        return GenerateRequest(
            task.conversation,
            messages,
            offer.tools if task.narrow is None else await task.narrow(offer.tools),
            offer.choice,
            max_tokens=room,
            temperature=sampling.temperature,
            seed=sampling.seed,
            # Unless it was cut, the opening is the common beginning of all conversations of a desk.
            common_messages=len(talk.opening) if messages[: len(talk.opening)] == talk.opening else 0,
        )

    async def _call(self, call: ToolCall, said: str, programs: Programs | None) -> Step:
        call = programs.completed(call) if programs else call
        self._observer.calling(call.name, call.arguments, said)
        started = time.monotonic()
        refused = programs.objection(call) if programs else None
        result = ToolResult(False, refused) if refused else await self._run(call)
        step: Step = {
            "tool": call.name,
            "arguments": call.arguments,
            "ok": result.ok,
            "output": result.text,
            "seconds": round(time.monotonic() - started, 3),
        }
        if displays := len(result.data.get("displays", ())):
            step["displays"] = displays
        if not result.valid:
            step["valid"] = False
        elif programs and not refused and (hint := programs.hint(step)):
            step["hint"] = hint
        self._observer.called(step)
        return step

    async def _run(self, call: ToolCall) -> ToolResult:
        return await self._toolbox.call(call.name, call.arguments, self._context)


@dataclass(frozen=True)
class _Offer:
    tools: tuple[ToolSpec, ...]
    choice: Literal["auto", "required", "none"]


def _objection(task: Task, offer: _Offer, reply: Reply, outcome: Outcome) -> str | None:
    """Return why a reply in words is not accepted as the answer, as long as the model may still do something about it."""
    if task.programs is None or offer.choice == "none" or reply.cut:
        return None
    return task.programs.reviewer.objection(without_thoughts(reply.text), outcome.steps)


def _failure_notes(task: Task, steps: Sequence[Step]) -> tuple[Message, ...]:
    """Return a message about the programs that failed since the last one with a result."""
    failed = failed_programs(steps) if task.programs else []
    return (Message("user", failures_text(failed)),) if failed else ()


def _leads_nowhere(task: Task, steps: Sequence[Step]) -> bool:
    """Return whether the model must answer with what it has.

    A program may fail once more in the same way, because the model then receives a hint; likewise one that looks for what the data does not have.
    """
    if task.programs and (failures := failed_in_a_row(steps)):
        return (
            failures >= MAX_FAILURES
            or (is_repeated(steps) and is_repeated(steps[:-1]))
            or (failures >= _MOST_LACKING and all(task.programs.lacking(step) for step in steps[-_MOST_LACKING:]))
        )
    return is_stuck(steps)


def _sampling(task: Task, steps: Sequence[Step], usual: Sampling) -> Sampling:
    """Return the sampling for the next reply: after a repeated failure, the likeliest reply would repeat it again."""
    if task.programs and fails_as_before(steps):
        return Sampling(max(usual.temperature, _TEMPERATURE_AFTER_REPETITION), usual.seed + len(steps))
    return usual


def _too_many_bad_calls(bad_calls: Sequence[str], outcome: Outcome) -> str:
    return f"The model made {len(bad_calls)} calls that were not valid, {found_by(outcome)}. The last: {bad_calls[-1]}"


def _add_usage(usage: Usage, completion: Completion) -> None:
    usage["prompt_tokens"] += completion.prompt_tokens
    usage["cached_tokens"] += completion.cached_tokens
    usage["completion_tokens"] += completion.completion_tokens
