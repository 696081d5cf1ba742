"""The agent: ask the model, run the one tool that it calls, give it the result, until it answers or a limit is reached."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from analystd.agent.context import fit, shortened
from analystd.agent.prompt import tool_result_message
from analystd.agent.repetition import repeated_tail
from analystd.agent.toolcalls import BadCall, Item, ToolCall, ToolCallParser, without_thoughts
from analystd.engine.base import LIKELIEST, Completion, Engine, GenerateRequest, Message, Sampling, ToolSpec
from analystd.errors import AnalystdError
from analystd.protocol import AgentStatus, Step, Usage
from analystd.tools.base import Toolbox, ToolContext

logger = logging.getLogger(__name__)

MAX_BAD_CALLS = 3
REPLY_TOKENS = 1024

_BAD_CALL_TURN = Message("assistant", "(a call that was not valid)")


@dataclass(frozen=True)
class Limits:
    """How far a run may go."""

    max_steps: int
    max_seconds: float


@dataclass(frozen=True)
class Task:
    """What to do: `messages` end with the question; `first_tools`, if any, are those of which the first reply has to call one."""

    conversation: str
    messages: tuple[Message, ...]
    limits: Limits
    first_tools: tuple[ToolSpec, ...] = ()


class Observer(Protocol):
    """Who hears of the run as it happens."""

    def said(self, text: str) -> None:
        """The model wrote text."""
        ...

    def calling(self, tool: str, arguments: dict[str, Any]) -> None:
        """A valid call is about to run."""
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
        messages = task.messages
        bad_calls: list[BadCall] = []
        while True:
            offer = self._offer(task, outcome.steps)
            reply = await self._reply(task, messages, offer, outcome)
            if reply.call is None:
                outcome.answer = without_thoughts(reply.text) or f"The model gave no answer in words, {_found(outcome)}"
                outcome.status = "limit" if reply.cut or len(outcome.steps) >= task.limits.max_steps else "done"
                return
            if isinstance(reply.call, BadCall):
                bad_calls.append(reply.call)
                logger.info("bad call %d of %d: %s", len(bad_calls), MAX_BAD_CALLS, reply.call.message)
                if len(bad_calls) == MAX_BAD_CALLS:
                    outcome.answer = _too_many_bad_calls(bad_calls, outcome)
                    outcome.status = "limit"
                    return
                messages = (*messages, _BAD_CALL_TURN, Message("tool", reply.call.message))
                continue
            step = await self._call(reply.call)
            outcome.steps.append(step)
            result = tool_result_message(step["tool"], step["ok"], shortened(step["output"]))
            messages = (*messages, Message("assistant", reply.text + reply.call.text), Message("tool", result))

    def _offer(self, task: Task, steps: Sequence[Step]) -> _Offer:
        """What the next reply may call: nothing at the step limit or after a call that only repeated the one before."""
        if len(steps) >= task.limits.max_steps or _is_repeated(steps):
            return _Offer((), "none")
        if not steps and task.first_tools:
            return _Offer(task.first_tools, "required")
        return _Offer(self._toolbox.specs, "auto" if self._toolbox.specs else "none")

    async def _reply(self, task: Task, messages: tuple[Message, ...], offer: _Offer, outcome: Outcome) -> _Reply:
        """One reply of the model, up to the end of its first call if there is one."""
        reader = _ReplyReader(self._observer.said, offer)
        window = self._engine.info().context_tokens
        room = REPLY_TOKENS if window is None else min(REPLY_TOKENS, window // 4)
        if window is not None:
            messages = await fit(messages, window - room, self._engine.count_tokens, keep=len(task.messages) - 1)
        request = GenerateRequest(
            task.conversation,
            messages,
            offer.tools,
            offer.choice,
            max_tokens=room,
            temperature=self._sampling.temperature,
            seed=self._sampling.seed,
        )
        completion = await self._engine.generate(request, reader.feed)
        _add_usage(outcome.usage, completion)
        return reader.finish(cut=completion.reason in ("length", "context"))

    async def _call(self, call: ToolCall) -> Step:
        self._observer.calling(call.name, call.arguments)
        started = time.monotonic()
        result = await self._toolbox.call(call.name, call.arguments, self._context)
        step: Step = {
            "tool": call.name,
            "arguments": call.arguments,
            "ok": result.ok,
            "output": result.text,
            "seconds": round(time.monotonic() - started, 3),
        }
        self._observer.called(step)
        return step


@dataclass(frozen=True)
class _Offer:
    tools: tuple[ToolSpec, ...]
    choice: Literal["auto", "required", "none"]


@dataclass(frozen=True)
class _Reply:
    text: str
    call: ToolCall | BadCall | None
    cut: bool


class _ReplyReader:
    """Reads a reply as it is generated: text goes to `say`, the first call ends the reply, and so does mere repetition.

    Where no call may be made, calls are passed over.
    """

    def __init__(self, say: Callable[[str], None], offer: _Offer) -> None:
        self._say = say
        self._calls_allowed = offer.choice != "none"
        self._parser = ToolCallParser(offer.tools)
        self._text = ""
        self._call: ToolCall | BadCall | None = None

    def feed(self, piece: str) -> bool:
        self._take(self._parser.feed(piece))
        return self._call is not None or repeated_tail(self._text) > 0

    def finish(self, *, cut: bool) -> _Reply:
        self._take(self._parser.finish())
        surplus = repeated_tail(self._text)
        return _Reply(self._text[: len(self._text) - surplus], self._call, cut or surplus > 0)

    def _take(self, items: Sequence[Item]) -> None:
        for item in items:
            if self._call is not None:
                return
            if isinstance(item, str):
                self._text += item
                self._say(item)
            elif self._calls_allowed:
                self._call = item


def _is_repeated(steps: Sequence[Step]) -> bool:
    """Whether the last call was the same as the one before."""
    return len(steps) > 1 and all(steps[-1][key] == steps[-2][key] for key in ("tool", "arguments"))


def _too_many_bad_calls(bad_calls: Sequence[BadCall], outcome: Outcome) -> str:
    return f"The model made {len(bad_calls)} calls that were not valid, {_found(outcome)}. The last: {bad_calls[-1].message}"


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
