from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analystd.agent.loop import Agent
from analystd.agent.outcome import Outcome
from analystd.agent.task import Limits, Task
from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message, Sampling, ToolSpec
from analystd.engine.scripted import ScriptedEngine
from analystd.tools.base import Tool, Toolbox, ToolContext, ToolResult
from analystd.wire.errors import ResourceLimitError
from analystd.wire.results import Step

ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)


def call(a: Any, b: Any) -> str:
    return f'<tool name="add">\n{json.dumps({"a": a, "b": b})}\n</tool>'


class Watcher:
    """An observer that records its calls."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.steps: list[Step] = []

    def said(self, text: str) -> None:
        self.text += text

    def calling(self, tool: str, arguments: dict[str, Any], said: str) -> None:
        self.calls.append((tool, arguments))

    def called(self, step: Step) -> None:
        self.steps.append(step)


class Listening(ScriptedEngine):
    """An engine that records its requests and may have a smaller window."""

    def __init__(self, engine: ScriptedEngine, window: int | None = None) -> None:
        super().__init__(engine._path)
        self.requests: list[GenerateRequest] = []
        self._window = window

    def info(self) -> EngineInfo:
        return replace(super().info(), context_tokens=self._window)

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        self.requests.append(request)
        return await super().generate(request, on_text)


class Desk:
    """A minimal desk: one tool, a scripted model, a watcher."""

    def __init__(self, folder: Path, *replies: str | dict[str, Any]) -> None:
        script = folder / "script.jsonl"
        lines = [reply if isinstance(reply, dict) else {"say": reply} for reply in replies]
        script.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.engine: ScriptedEngine = ScriptedEngine(script)
        self.watcher = Watcher()
        self.refusal: ResourceLimitError | None = None
        self.added = 0

    async def run(self, question: str = "What is 2 + 3?", *, max_steps: int = 5, max_seconds: float = 10.0) -> Outcome:
        toolbox = Toolbox([Tool(ADD, self._add)], self._check)
        context = ToolContext("main", lambda output: None)
        agent = Agent(self.engine, toolbox, context, self.watcher)
        opening = (Message("system", "You add."),)
        return await agent.run(Task("conv", opening, question, Limits(max_steps, max_seconds)))

    def _check(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    async def _add(self, arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        self.added += 1
        return ToolResult(True, str(arguments["a"] + arguments["b"]))


async def test_a_call_is_run_and_the_answer_follows(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"Let me add. {call(2, 3)}", {"say": "It is 5.", "expect": "5"})
    outcome = await desk.run()
    assert (outcome.status, outcome.answer) == ("done", "It is 5.")
    assert [(step["tool"], step["arguments"], step["ok"], step["output"]) for step in outcome.steps] == [
        ("add", {"a": 2, "b": 3}, True, "5")
    ]
    assert desk.watcher.text == "Let me add. It is 5."
    assert desk.watcher.calls == [("add", {"a": 2, "b": 3})]
    assert outcome.usage["completion_tokens"] > 0


class AttentiveEngine(ScriptedEngine):
    """A scripted model that remembers its last request."""

    asked: GenerateRequest | None = None

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        self.asked = request
        return await super().generate(request, on_text)


async def test_replies_are_drawn_as_the_settings_have_it(tmp_path: Path) -> None:
    (tmp_path / "script.jsonl").write_text('{"say": "Five."}\n')
    engine = AttentiveEngine(tmp_path / "script.jsonl")
    context = ToolContext("main", lambda output: None)
    agent = Agent(engine, Toolbox([], lambda: None), context, Watcher(), Sampling(temperature=0.7, seed=42))
    outcome = await agent.run(Task("conv", (Message("system", "You add."),), "What is 2 + 3?", Limits(5, 10.0)))
    assert outcome.answer == "Five."
    assert engine.asked is not None
    assert (engine.asked.temperature, engine.asked.seed) == (0.7, 42)


async def test_arguments_that_do_not_fit_the_schema_are_told_to_the_model(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call("2", 3), {"say": "Sorry.", "expect": "Invalid arguments: '2' is not of type 'integer'"})
    outcome = await desk.run()
    assert (outcome.status, outcome.steps[0]["ok"], desk.added) == ("done", False, 0)


async def test_an_unknown_tool_is_told_to_the_model(tmp_path: Path) -> None:
    desk = Desk(tmp_path, '<tool name="shell">\n{}\n</tool>', {"say": "Right.", "expect": "Unknown tool 'shell'"})
    assert (await desk.run()).answer == "Right."


async def test_a_limit_of_the_machine_refuses_the_call_and_not_the_run(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(2, 3), {"say": "There is no room.", "expect": "5.2 GB"})
    desk.refusal = ResourceLimitError("The workspace holds 5.2 GB; its limit is 5 GB")
    outcome = await desk.run()
    assert (outcome.status, outcome.answer, desk.added) == ("done", "There is no room.", 0)


async def test_only_the_first_call_of_a_reply_is_run(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"{call(1, 1)} and {call(2, 2)}", "Two.")
    outcome = await desk.run()
    assert [step["arguments"] for step in outcome.steps] == [{"a": 1, "b": 1}]


async def test_the_last_reply_before_the_step_limit_only_answers(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(1, 1), call(2, 2), "I found 2 and 4.")
    outcome = await desk.run(max_steps=2)
    assert (outcome.status, outcome.answer, len(outcome.steps)) == ("limit", "I found 2 and 4.", 2)


async def test_a_call_that_only_repeats_the_last_one_is_followed_by_an_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(2, 3), call(2, 3), f"It is 5. {call(2, 3)}")
    outcome = await desk.run()
    assert (outcome.status, outcome.answer, len(outcome.steps)) == ("done", "It is 5.", 2)


async def test_calls_that_only_take_turns_are_followed_by_an_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(1, 1), call(2, 2), call(1, 1), call(2, 2), "They are 2 and 4.")
    outcome = await desk.run(max_steps=10)
    assert (outcome.status, outcome.answer, len(outcome.steps)) == ("done", "They are 2 and 4.", 4)


async def test_calls_that_all_give_the_same_are_followed_by_an_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(1, 4), call(2, 3), call(3, 2), "It is always 5.")
    outcome = await desk.run(max_steps=10)
    assert (outcome.answer, len(outcome.steps)) == ("It is always 5.", 3)


async def test_a_model_that_never_stops_calling_ends_with_what_was_found(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[call(2, 3)] * 10)
    outcome = await desk.run()
    assert (outcome.status, len(outcome.steps)) == ("limit", 2)
    assert outcome.answer == "The model gave no answer in words, with 2 tool calls made; the last, add, gave: 5"


async def test_what_was_not_valid_is_forgotten_after_the_next_valid_call(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call("2", 3), call(2, 3), "It is 5.")
    seen = Listening(desk.engine)
    desk.engine = seen
    outcome = await desk.run()
    assert [step.get("valid", True) for step in outcome.steps] == [False, True]
    assert [message.content for message in seen.requests[1].messages[2:]] == [
        "(a call that was not valid)",
        "Invalid arguments: '2' is not of type 'integer'. Look at 'a'.",
    ]
    assert [message.content for message in seen.requests[2].messages[2:]] == [call(2, 3), "Result of add:\n5"]


async def test_calls_that_do_not_fit_end_the_run_after_a_few(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[call("x", number) for number in range(9)])
    outcome = await desk.run(max_steps=20)
    assert (outcome.status, len(outcome.steps), desk.added) == ("limit", 3, 0)
    assert "3 calls that were not valid" in outcome.answer


@pytest.mark.slow
async def test_a_megabyte_of_arguments_is_refused_in_a_short_note(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call("x" * 1_000_000, 3), "I see.")
    seen = Listening(desk.engine)
    desk.engine = seen
    outcome = await desk.run()
    assert (outcome.status, outcome.answer) == ("done", "I see.")
    assert sum(len(message.content) for message in seen.requests[-1].messages) < 1000


async def test_a_question_that_alone_is_too_long_is_a_clear_error(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "Never said.")
    desk.engine = Listening(desk.engine, window=400)
    outcome = await desk.run("What is this? " + "1 2 3 " * 1000)
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.message) == (
        "invalid_arguments",
        "The question is too long: with what the model has to be told it takes 1506 tokens, and 300 fit",
    )


async def test_each_prompt_begins_with_the_one_before_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"Let me see. {call(1, 1)}", call(2, 2), call(3, 3), "Done.")
    seen = Listening(desk.engine)
    desk.engine = seen
    await desk.run()
    for before, after in itertools.pairwise(request.messages for request in seen.requests):
        assert after[: len(before)] == before
    assert seen.requests[-1].messages[2].content == f"Let me see. {call(1, 1)}"


async def test_bad_calls_end_the_run_after_a_few(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *['<tool name="add">\n{"a": \n</tool>'] * 5)
    outcome = await desk.run()
    assert (outcome.status, outcome.steps) == ("limit", [])
    assert "3 calls that were not valid" in outcome.answer


async def test_the_time_limit_ends_the_run_with_what_was_found(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(2, 3), {"say": " ".join(map(str, range(2000))), "delay": 0.01})
    outcome = await desk.run(max_seconds=0.5)
    assert outcome.status == "limit"
    assert "Stopped after 0.5 s, with 1 tool calls made; the last, add, gave: 5" in outcome.answer


async def test_a_cancelled_run_keeps_its_steps(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(2, 3), {"say": " ".join(map(str, range(2000))), "delay": 0.01})
    task = asyncio.create_task(desk.run())
    async with asyncio.timeout(5):
        while not desk.watcher.steps:
            await asyncio.sleep(0.01)
    task.cancel()
    outcome = await task
    assert (outcome.status, len(outcome.steps)) == ("cancelled", 1)


async def test_a_model_that_fails_ends_the_run_honestly(tmp_path: Path) -> None:
    desk = Desk(tmp_path, call(2, 3))
    outcome = await desk.run()
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.answer.startswith("The run failed: ")
    assert len(outcome.steps) == 1


@pytest.mark.parametrize("thought", ["<think>I could call " + call(1, 1) + "</think>"])
async def test_what_is_only_thought_is_not_done(tmp_path: Path, thought: str) -> None:
    desk = Desk(tmp_path, thought + "Five.")
    outcome = await desk.run()
    assert (outcome.answer, outcome.steps) == ("Five.", [])


async def test_a_model_that_only_repeats_itself_is_stopped(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "Well. " + "The sum of two and three is five.\n" * 500)
    outcome = await desk.run()
    assert (outcome.status, outcome.answer) == ("limit", "Well. The sum of two and three is five.")
    assert len(desk.watcher.text) < 200
