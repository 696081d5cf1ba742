"""The agent: ask the model, run the one tool that it calls, give it the result, until it answers or a limit is reached."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from analystd.agent.context import TokenCosts, fit
from analystd.agent.progress import is_stuck
from analystd.agent.replies import Reply, ReplyReader
from analystd.agent.toolcalls import BadCall, ToolCall, without_thoughts
from analystd.agent.turns import Talk, Turn, exchange, shortened
from analystd.engine.base import LIKELIEST, Completion, Engine, GenerateRequest, Message, Sampling, ToolSpec
from analystd.errors import AnalystdError
from analystd.protocol import AgentStatus, Step, Usage
from analystd.tools.base import Toolbox, ToolContext

logger = logging.getLogger(__name__)

MAX_BAD_CALLS = 3
"""A run ends with so many calls that could not be read or did not fit their tool's schema."""

REPLY_TOKENS = 1024

_BAD_CALL_TURN = Message("assistant", "(a call that was not valid)")
_BAD_CALL_CHARACTERS = 300


@dataclass(frozen=True)
class Limits:
    """How far a run may go."""

    max_steps: int
    max_seconds: float


@dataclass(frozen=True)
class Task:
    """What to do: `opening` is the system message and what examples follow it, `earlier` what was said before the question.

    `first_tools`, if any, are those of which the first reply has to call one.
    """

    conversation: str
    opening: tuple[Message, ...]
    question: str
    limits: Limits
    earlier: tuple[Turn, ...] = ()
    first_tools: tuple[ToolSpec, ...] = ()
    narrow: Callable[[tuple[ToolSpec, ...]], Awaitable[tuple[ToolSpec, ...]]] | None = None
    """Makes of the tools on offer those whose schemas hold the next reply to the names that there are."""


class Observer(Protocol):
    """Who hears of the run as it happens."""

    def said(self, text: str) -> None:
        """The model wrote text."""
        ...

    def calling(self, tool: str, arguments: dict[str, Any], said: str) -> None:
        """A call is about to run; `said` is all that the model wrote to make it."""
        ...

    def called(self, step: Step) -> None:
        """A call ended."""
        ...


@dataclass
class Outcome:
    """What came of a run, complete at any moment: a run that is cut short has what it found."""

    status: AgentStatus = "failed"
    answer: str = ""
    steps: list[Step] = field(default_factory=list)
    usage: Usage = field(
        default_factory=lambda: Usage(prompt_tokens=0, cached_tokens=0, completion_tokens=0, seconds=0.0)
    )
    error: AnalystdError | None = None


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
        """Carry out a task. Ends by itself in every case: an engine that fails gives `failed`, a cancelled task `cancelled`."""
        outcome = Outcome()
        started = time.monotonic()
        try:
            async with asyncio.timeout(task.limits.max_seconds):
                await self._converse(task, outcome)
        except TimeoutError:
            outcome.status = "limit"
            outcome.answer = outcome.answer or f"Stopped after {task.limits.max_seconds:g} s, {_found(outcome)}."
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
        while True:
            offer = self._offer(task, outcome.steps)
            reply = await self._reply(task, talk, offer, outcome)
            if reply.call is None:
                _end_with(reply, outcome, task.limits)
                return
            if isinstance(reply.call, BadCall):
                bad_calls.append(reply.call.message)
            else:
                step = await self._call(reply.call, reply.said)
                outcome.steps.append(step)
                if step.get("valid", True):
                    # What was not valid is forgotten: a small model takes whatever stands in a conversation for an example.
                    talk = replace(talk, exchanges=(*talk.exchanges, exchange(reply.said, step)), notes=())
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
        """What the next reply may call: nothing at the step limit or when the calls lead nowhere."""
        if len(steps) >= task.limits.max_steps or is_stuck(steps):
            return _Offer((), "none")
        if not steps and task.first_tools:
            return _Offer(task.first_tools, "required")
        return _Offer(self._toolbox.specs, "auto" if self._toolbox.specs else "none")

    async def _reply(self, task: Task, talk: Talk, offer: _Offer, outcome: Outcome) -> Reply:
        """One reply of the model, up to the end of its first call if there is one."""
        reader = ReplyReader(self._observer.said, offer.tools, calls_allowed=offer.choice != "none")
        window = self._engine.info().context_tokens
        room = REPLY_TOKENS if window is None else min(REPLY_TOKENS, window // 4)
        messages = talk.messages if window is None else await fit(talk, window - room, self._costs)
        request = GenerateRequest(
            task.conversation,
            messages,
            offer.tools if task.narrow is None else await task.narrow(offer.tools),
            offer.choice,
            max_tokens=room,
            temperature=self._sampling.temperature,
            seed=self._sampling.seed,
            # Unless it was cut, the opening is what all conversations of a desk begin with.
            common_messages=len(talk.opening) if messages[: len(talk.opening)] == talk.opening else 0,
        )
        completion = await self._engine.generate(request, reader.feed)
        _add_usage(outcome.usage, completion)
        return reader.finish(cut=completion.reason in ("length", "context"))

    async def _call(self, call: ToolCall, said: str) -> Step:
        self._observer.calling(call.name, call.arguments, said)
        started = time.monotonic()
        result = await self._toolbox.call(call.name, call.arguments, self._context)
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
        self._observer.called(step)
        return step


@dataclass(frozen=True)
class _Offer:
    tools: tuple[ToolSpec, ...]
    choice: Literal["auto", "required", "none"]


def _end_with(reply: Reply, outcome: Outcome, limits: Limits) -> None:
    """Take a reply without a call as the answer."""
    answer = without_thoughts(reply.text)
    outcome.answer = answer or f"The model gave no answer in words, {_found(outcome)}"
    is_whole = bool(answer) and not reply.cut and len(outcome.steps) < limits.max_steps
    outcome.status = "done" if is_whole else "limit"


def _too_many_bad_calls(bad_calls: Sequence[str], outcome: Outcome) -> str:
    return f"The model made {len(bad_calls)} calls that were not valid, {_found(outcome)}. The last: {bad_calls[-1]}"


def _add_usage(usage: Usage, completion: Completion) -> None:
    usage["prompt_tokens"] += completion.prompt_tokens
    usage["cached_tokens"] += completion.cached_tokens
    usage["completion_tokens"] += completion.completion_tokens


def _found(outcome: Outcome) -> str:
    if not outcome.steps:
        return "before any tool had run"
    last = outcome.steps[-1]
    return (
        f"with {len(outcome.steps)} tool calls made; the last, {last['tool']}, gave: {shortened(last['output'], 300)}"
    )
