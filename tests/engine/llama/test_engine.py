import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from analystd.agent.toolcalls import ToolCall, ToolCallParser
from analystd.engine.base import Completion, GenerateRequest, Message, ToolSpec
from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.worker_sandbox import worker_environment
from analystd.wire.errors import EngineUnavailableError

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SOON = 20.0
"""Far less than what is cancelled would take; how quick it is on a quiet machine is for `bench/` to say."""

VIEW = ToolSpec(
    "data_view",
    "Look at a file.",
    {
        "type": "object",
        "properties": {
            "path": {"type": "string", "maxLength": 40},
            "operation": {"enum": ["columns", "head", "shape"]},
            "n_rows": {"type": "integer", "minimum": 1},
        },
        "required": ["path", "operation"],
        "additionalProperties": False,
    },
)
LIST = ToolSpec(
    "list_files",
    "List files.",
    {"properties": {"path": {"type": "string", "maxLength": 20}}, "additionalProperties": False},
)
SCHEMAS = [
    VIEW,
    LIST,
    ToolSpec("nothing", "", {"type": "object", "properties": {}, "additionalProperties": False}),
    ToolSpec(
        "plot",
        "",
        {
            "type": "object",
            "properties": {
                "size": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                "title": {"type": ["string", "null"], "maxLength": 20},
                "log": {"type": "boolean"},
                "range": {
                    "type": "object",
                    "properties": {"low": {"type": "number"}, "high": {"type": "number"}},
                    "required": ["low", "high"],
                    "additionalProperties": False,
                },
            },
            "required": ["size", "log", "range"],
            "additionalProperties": False,
        },
    ),
]


# A model that has called this tool repeatedly continues to do so unless it is constrained.
HABIT = (
    *(
        message
        for name in ("a", "b", "c")
        for message in (
            Message("user", f"Show me {name}.csv"),
            Message("assistant", f'Here it is: <tool name="show_table">\n{{"file": "{name}.csv"}}\n</tool>'),
        )
    ),
    Message("user", "Show me d.csv"),
)


class Ear:
    """Hears a reply, and has enough after so many pieces."""

    def __init__(self, enough: int | None = None) -> None:
        self.pieces: list[str] = []
        self.heard = asyncio.Event()
        self._enough = enough

    def __call__(self, text: str) -> bool:
        self.pieces.append(text)
        self.heard.set()
        return len(self.pieces) == self._enough


def question(text: str, sequence: str = "test", **how: object) -> GenerateRequest:
    return GenerateRequest(sequence, (Message("user", text),), **{"max_tokens": 16, **how})  # type: ignore[arg-type]


def long_text(words: int) -> str:
    return "price " * words


async def ask(engine: LlamaEngine, request: GenerateRequest) -> Completion:
    return await engine.generate(request, lambda _: False)


def calls_in(text: str) -> list[ToolCall]:
    parser = ToolCallParser()
    return [item for item in parser.feed(text) + parser.finish() if isinstance(item, ToolCall)]


async def test_the_streamed_pieces_are_the_final_text(engine: LlamaEngine) -> None:
    ear = Ear()
    completion = await engine.generate(question("Tell me about Paris."), ear)
    assert "".join(ear.pieces) == completion.text != ""
    assert (completion.reason, completion.completion_tokens) == ("length", 16)


async def test_info_names_the_loaded_model(engine: LlamaEngine, gguf: Path) -> None:
    info = engine.info()
    assert (info.kind, info.model, info.loaded, info.context_tokens, info.note) == (
        "llama",
        str(gguf),
        True,
        1024,
        None,
    )


async def test_a_reply_ends_where_the_model_ends_it(engine: LlamaEngine) -> None:
    completion = await ask(engine, question("What is 2+2? Answer with one number.", max_tokens=60))
    assert completion.reason == "stop"
    assert "4" in completion.text


@pytest.mark.parametrize("temperature", [0.0, 0.8])
async def test_replies_do_not_depend_on_parallel_requests(engine: LlamaEngine, temperature: float) -> None:
    """Six conversations, two more than are kept at once, which begin with the same long words."""
    system = Message("system", f"You tell stories. You know these words: {long_text(600)}.")
    requests = [
        GenerateRequest(
            name, (system, Message("user", f"Tell me about {name}.")), max_tokens=24, temperature=temperature
        )
        for name in ("a fox", "the sea", "an owl", "winter", "the moon", "rain")
    ]
    alone = [(await ask(engine, request)).text for request in requests]
    for request in requests:
        engine.forget(request.sequence)
    company = await asyncio.gather(*(ask(engine, request) for request in requests))
    assert [each.text for each in company] == alone


async def test_one_conversation_sees_nothing_of_another(engine: LlamaEngine) -> None:
    words = ("walnut", "violin", "harbor")
    requests = [question(f"Repeat this word: {word}", f"spy-{word}") for word in words]
    for answer, own in zip(await asyncio.gather(*(ask(engine, request) for request in requests)), words, strict=True):
        assert [word for word in words if word in answer.text.lower()] == [own]


async def test_seeds_make_drawn_replies_repeatable(engine: LlamaEngine) -> None:
    drawn = [
        await ask(engine, question("Tell me a story.", f"drawn-{number}", temperature=1.2, seed=seed, max_tokens=12))
        for number, seed in enumerate((7, 8))
    ]
    assert drawn[0].text != drawn[1].text


async def test_on_text_can_end_a_reply(engine: LlamaEngine) -> None:
    ear = Ear(enough=3)
    completion = await engine.generate(question("Tell me a long story.", max_tokens=500), ear)
    assert (completion.reason, completion.text, len(ear.pieces)) == ("stopped", "".join(ear.pieces), 3)


async def test_the_second_turn_processes_only_what_is_new(engine: LlamaEngine) -> None:
    first = question(f"Remember: {long_text(100)}. What is 2+2?", "turns")
    reply = await ask(engine, first)
    messages = (*first.messages, Message("assistant", reply.text), Message("user", "And 3+3?"))
    second = await ask(engine, GenerateRequest("turns", messages, max_tokens=4))
    assert second.cached_tokens >= reply.prompt_tokens
    assert second.prompt_tokens - second.cached_tokens < 60


async def test_a_common_system_message_is_processed_once(engine: LlamaEngine) -> None:
    system = Message("system", f"You know this: {long_text(100)}")
    first, second = [
        await ask(engine, GenerateRequest(name, (system, Message("user", name)), max_tokens=1))
        for name in ("ann", "bob")
    ]
    assert first.cached_tokens < 100 < second.cached_tokens


async def test_a_forgotten_conversation_is_processed_again(engine: LlamaEngine) -> None:
    request = question(f"Forget {long_text(100)}", "forgotten", max_tokens=1)
    await ask(engine, request)
    engine.forget("forgotten")
    assert (await ask(engine, request)).cached_tokens < 100


async def test_idle_conversations_make_room_for_new_ones(small_engine: LlamaEngine) -> None:
    for number in range(4):
        request = question(f"{number} {long_text(100)}", f"big-{number}", max_tokens=1)
        assert (await ask(small_engine, request)).prompt_tokens > 100


async def test_more_conversations_than_are_kept_at_once_take_turns(small_engine: LlamaEngine) -> None:
    count = (small_engine.info().conversations or 0) + 3
    requests = [question(f"{number} {long_text(50)}", f"wide-{number}", max_tokens=100) for number in range(count)]
    completions = await asyncio.gather(*(small_engine.generate(request, Ear(enough=1)) for request in requests))
    assert all(completion.prompt_tokens > 50 for completion in completions)


async def test_two_requests_of_one_conversation_are_answered_in_order(engine: LlamaEngine) -> None:
    answers = await asyncio.gather(*(ask(engine, question(f"What is {n}+1?", "same", max_tokens=4)) for n in (1, 5)))
    assert [bool(answer.text) for answer in answers] == [True, True]


async def test_cancelling_reaches_prompt_processing(engine: LlamaEngine) -> None:
    task = asyncio.ensure_future(ask(engine, question(long_text(900), "long")))
    # By then the worker is processing the prompt, which takes many seconds in all.
    await asyncio.sleep(0.5)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.count_tokens((Message("user", "still there?"),))
    assert time.monotonic() - started < SOON


async def test_cancelling_reaches_generation_and_spares_others(engine: LlamaEngine) -> None:
    ear = Ear()
    task = asyncio.ensure_future(engine.generate(question("Tell me a long story.", "story", max_tokens=500), ear))
    other = asyncio.ensure_future(ask(engine, question("Tell me about Rome.", "other", max_tokens=30)))
    await ear.heard.wait()
    pid = engine.info().pid
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await other).completion_tokens > 0
    assert engine.info().pid == pid


async def test_a_prompt_longer_than_the_context_is_refused(engine: LlamaEngine) -> None:
    with pytest.raises(
        EngineUnavailableError, match=r"The conversation has \d+ tokens; the model's context holds 1024"
    ):
        await ask(engine, question(long_text(1100)))


async def test_a_full_context_ends_a_reply(small_engine: LlamaEngine) -> None:
    counting = " ".join(map(str, range(1, 60)))
    completion = await ask(small_engine, question(f"Go on counting to 9999: {counting}", "full", max_tokens=2000))
    assert (completion.reason, completion.prompt_tokens + completion.completion_tokens) == ("context", 256)


@pytest.mark.parametrize("tool", SCHEMAS, ids=lambda tool: tool.name)
async def test_a_required_call_is_always_valid(engine: LlamaEngine, tool: ToolSpec) -> None:
    request = question(
        "How many rows does a.csv have?", tool.name, tools=(tool,), tool_choice="required", max_tokens=160
    )
    completion = await ask(engine, request)
    (call,) = calls_in(completion.text)
    assert (call.name, call.raw, completion.reason) == (tool.name, completion.text, "stop")
    Draft202012Validator(tool.parameters).validate(call.arguments)


async def test_a_call_begun_in_free_text_is_held_to_the_grammar(engine: LlamaEngine) -> None:
    request = GenerateRequest("lazy", HABIT, tools=(VIEW,), max_tokens=80)
    completion = await ask(engine, request)
    (call,) = calls_in(completion.text)
    assert call.name == "data_view"
    assert completion.text.endswith("</tool>")
    Draft202012Validator(VIEW.parameters).validate(call.arguments)


async def test_a_reply_without_tool_choice_is_not_constrained(engine: LlamaEngine) -> None:
    completion = await ask(engine, GenerateRequest("none", HABIT, tools=(VIEW,), tool_choice="none", max_tokens=40))
    assert "show_table" in completion.text


async def test_characters_of_several_tokens_come_whole(engine: LlamaEngine) -> None:
    tool = ToolSpec(
        "say", "", {"type": "object", "properties": {"text": {"enum": ["🦔📈", "日本語の表"]}}, "required": ["text"]}
    )
    ear = Ear()
    request = question("Say it.", "emoji", tools=(tool,), tool_choice="required", max_tokens=60)
    completion = await engine.generate(request, ear)
    assert "".join(ear.pieces) == completion.text
    assert not any("\ufffd" in piece for piece in ear.pieces)
    assert calls_in(completion.text)[0].arguments["text"] in ("🦔📈", "日本語の表")


async def test_tokens_are_counted_as_the_template_renders_them(engine: LlamaEngine) -> None:
    messages = (Message("system", "Be brief."), Message("user", "Hello"))
    completion = await ask(engine, GenerateRequest("count", messages, max_tokens=1))
    assert await engine.count_tokens(messages) == completion.prompt_tokens


async def test_a_killed_worker_is_reported_and_replaced(gguf: Path) -> None:
    engine = LlamaEngine(lambda: gguf, context_tokens=512)
    try:
        await engine.load()
        pid = engine.info().pid
        assert pid is not None

        def kill(_: str) -> bool:
            os.kill(pid, signal.SIGKILL)
            return False

        with pytest.raises(EngineUnavailableError, match="The model worker was ended by SIGKILL"):
            await engine.generate(question("Tell me a story.", max_tokens=200), kill)
        assert (await ask(engine, question("Hello"))).text
        assert engine.info().pid != pid
    finally:
        await engine.aclose()


async def test_info_and_the_first_call_report_a_missing_model() -> None:
    def find_model() -> Path:
        raise EngineUnavailableError("There is no model yet", "Run `analystd model pull`.")

    engine = LlamaEngine(find_model)
    assert engine.info().note == "There is no model yet. Run `analystd model pull`."
    with pytest.raises(EngineUnavailableError, match="There is no model yet"):
        await engine.load()
    await engine.aclose()


async def test_the_worker_gets_no_secrets() -> None:
    environment = {
        "PATH": "/bin",
        "AGENT_MODEL_API_KEY": "secret",
        "CUDA_VISIBLE_DEVICES": "0",
        "GITHUB_TOKEN": "secret",
    }
    assert worker_environment(environment) == {"GOMP_SPINCOUNT": "1000", "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}
