"""The real model through the whole stack: what it reads again, and what comes of a run whose model is cancelled or killed in each phase."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest
from tests.e2e.stories import SECONDS, Story
from tests.station import Station

import analystd
from analystd.client import Client
from analystd.models.embedded import pull_embedded

pytestmark = pytest.mark.timeout(600)

LOOK = "What is the mean price in t.csv?"
TALK = "Tell me a very long story about the number seven."
READ = "Here are many numbers. " + " ".join(str(number * 7919 % 10_007) for number in range(600))


@pytest.fixture(scope="module")
def model_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A station whose model is the real one, and has to call Python when a question names a file."""
    switched_off = {"AGENT_ENABLE_DATA_VIEW": "false", "AGENT_ENABLE_FILES": "false"}
    station = Station(tmp_path_factory.mktemp("s"), AGENT_MODEL_PATH=str(pull_embedded()), **switched_off)
    (station.workspace / "t.csv").write_text("price\n17\n18\n")
    yield station
    station.stop()


@pytest.fixture
async def client(model_station: Station, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    for name in (
        "XDG_STATE_HOME",
        "XDG_CONFIG_HOME",
        *(each for each in model_station.environment if each[:6] == "AGENT_"),
    ):
        monkeypatch.setenv(name, model_station.environment[name])
    monkeypatch.chdir(model_station.project)
    async with await analystd.connect() as client:
        yield client


async def model_process(client: Client) -> psutil.Process:
    """The innermost process of the model's worker, once there is one."""
    daemon = psutil.Process((await client.status())["pid"])
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(psutil.NoSuchProcess):
                for each in daemon.children(recursive=True):
                    if "analystd.engine.llama.worker" in each.cmdline() and not each.children():
                        return each
            await asyncio.sleep(0.01)


def seconds_worked(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def until_it_works(process: psutil.Process, story: Story) -> None:
    """Until the process has worked for a while on a run."""
    before = seconds_worked(process)
    async with asyncio.timeout(SECONDS):
        while seconds_worked(process) - before < 0.2:
            assert not story.task.done(), story.events
            await asyncio.sleep(0.01)


async def until_it_rests(process: psutil.Process) -> None:
    """Until the process does nothing for a moment."""
    async with asyncio.timeout(SECONDS):
        while True:
            before = seconds_worked(process)
            await asyncio.sleep(0.3)
            if seconds_worked(process) - before < 0.05:
                return


async def load(client: Client) -> psutil.Process:
    """The model, loaded and at rest."""
    await Story(client, "Are you there?", max_steps=1).end()
    process = await model_process(client)
    await until_it_rests(process)
    return process


async def unload(client: Client) -> None:
    """Have the next question load the model."""
    (await model_process(client)).kill()
    async with asyncio.timeout(SECONDS):
        while (await client.status())["engine"]["pid"] is not None:
            await asyncio.sleep(0.01)


async def assert_model_answers(client: Client) -> None:
    result = await Story(client, "Are you there?", max_steps=1).end()
    assert result["status"] in ("done", "limit")
    (desk,) = (await client.status())["desks"]
    assert desk["runs"] == []


async def test_a_conversation_is_hardly_read_again(client: Client) -> None:
    first = await Story(client, LOOK, max_steps=1).end()
    again = await Story(client, "And what is the highest?", conversation=first["conversation"], max_steps=1).end()
    replies = 1 + len(again["steps"])
    fresh = again["usage"]["prompt_tokens"] - again["usage"]["cached_tokens"]
    read = first["usage"]["prompt_tokens"] / (1 + len(first["steps"]))
    # Of each prompt only the last answer, the question, and this run's own calls and results are new.
    assert again["usage"]["cached_tokens"] > 0.9 * read * replies
    assert fresh < 0.5 * read, (first["usage"], again["usage"])


async def test_a_run_is_cancelled_while_the_model_loads(client: Client) -> None:
    await load(client)
    await unload(client)
    story = Story(client, TALK)
    await story.until_kind("run_queued")
    await model_process(client)
    assert (await story.cancel())["status"] == "cancelled"
    assert "run_started" not in [event["kind"] for event in story.events]
    await assert_model_answers(client)


async def test_a_run_is_cancelled_while_the_model_reads(client: Client) -> None:
    model = await load(client)
    story = Story(client, READ)
    await story.until_kind("run_started")
    await until_it_works(model, story)
    assert (await story.cancel())["status"] == "cancelled"
    await until_it_rests(model)
    await assert_model_answers(client)


async def test_a_run_is_cancelled_while_the_model_writes(client: Client) -> None:
    model = await load(client)
    story = Story(client, TALK)
    await story.until_kind("text")
    assert (await story.cancel())["status"] == "cancelled"
    await until_it_rests(model)
    await assert_model_answers(client)


async def test_a_model_that_dies_while_it_loads_fails_the_run(client: Client) -> None:
    await load(client)
    await unload(client)
    story = Story(client, TALK)
    (await model_process(client)).kill()
    result = await story.end()
    assert (result["status"], result["error"]["kind"]) == ("failed", "engine_unavailable")
    await assert_model_answers(client)


@pytest.mark.parametrize(("question", "phase"), [(READ, "run_started"), (TALK, "text")], ids=["reads", "writes"])
async def test_a_model_that_dies_at_work_fails_the_run(client: Client, question: str, phase: str) -> None:
    model = await load(client)
    story = Story(client, question)
    await story.until_kind(phase)
    if phase == "run_started":
        await until_it_works(model, story)
    model.kill()
    result = await story.end()
    assert (result["status"], result["error"]["kind"]) == ("failed", "engine_unavailable")
    assert "model" in result["error"]["message"]
    assert [event["kind"] for event in story.events].count("run_finished") == 1
    await assert_model_answers(client)


async def test_a_model_that_dies_while_a_tool_runs_is_loaded_again(client: Client) -> None:
    model = await load(client)
    holder = asyncio.create_task(client.exec_python("print('on')\nimport time\nwhile True: time.sleep(0.1)"))
    async with asyncio.timeout(SECONDS):
        async for event in client.follow():
            if event["kind"] == "output":
                break
    story = Story(client, LOOK, max_steps=1)
    await story.until_kind("tool_call")
    model.kill()
    await client.interrupt()
    assert (await holder)["status"] == "interrupted"
    result = await story.end()
    assert result["status"] in ("done", "limit")
    assert len(result["steps"]) == 1
    await assert_model_answers(client)
