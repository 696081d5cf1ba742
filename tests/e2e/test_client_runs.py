"""Handles of runs against a real daemon: their events, results and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.e2e.users import become_user
from tests.station import Station

import analystd
from analystd.client import AgentResult, PythonResult, RequestTimeoutError, Run
from analystd.wire.errors import EngineUnavailableError, InvalidArgumentsError
from analystd.wire.names import Command

SECONDS = 60.0
SHOW_MUCH = "from IPython.display import display\nfor i in range(8): display({'image/png': 'x' * 3_900_000}, raw=True)"
WAIT = "import time\nprint('waits', flush=True)\nwhile True: time.sleep(0.05)"


@pytest.fixture(autouse=True)
def as_the_stations_user(station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    become_user(station, monkeypatch)
    yield


async def kinds_of(run: Run[PythonResult] | Run[AgentResult]) -> list[str]:
    return [event.kind async for event in run.events(timeout=SECONDS)]


async def until_it_waits(run: Run[PythonResult]) -> None:
    async for event in run.events(timeout=SECONDS):
        if event.kind == "output":
            return


async def test_a_run_is_started_and_its_result_fetched_later() -> None:
    async with analystd.connect() as desk:
        run = await desk.start_python("print('hello')\n6 * 7")
        result = await run.result(timeout=SECONDS)
        assert (result.run_id, result.result, result.stdout) == (run.id, "42", "hello\n")
        assert await run.result() is not None
        assert (await run.summary()).status == "ok"


async def test_the_events_of_a_run_are_whole_though_it_ended_before_they_were_asked_for() -> None:
    async with analystd.connect() as desk:
        run = await desk.start_python("print('hello')")
        await run.result(timeout=SECONDS)
        for _ in range(2):
            assert await kinds_of(run) == ["run_queued", "run_started", "output", "run_finished"]


async def test_the_events_of_a_run_come_as_they_happen_and_those_of_others_do_not() -> None:
    async with analystd.connect() as desk, desk.start_python(WAIT, session="a") as run:
        await until_it_waits(run)
        await desk.exec_python("print('another')", session="b")
        await run.cancel()
        texts = [event.text async for event in run.events(timeout=SECONDS) if event.kind == "output"]
        assert texts == ["waits\n"]
        assert (await run.result(timeout=SECONDS)).status == "interrupted"


async def test_many_runs_at_once_are_told_apart() -> None:
    async with analystd.connect() as desk:
        runs = [await desk.start_python(f"print({number})\n{number}", session=f"s{number % 3}") for number in range(9)]
        results = await asyncio.gather(*(run.result(timeout=SECONDS) for run in runs))
        assert [result.result for result in results] == [str(number) for number in range(9)]


async def test_leaving_the_block_cancels_what_is_left_of_the_run() -> None:
    async with analystd.connect() as desk:
        async with desk.start_python(WAIT, session="left") as run:
            await until_it_waits(run)
        assert (await run.result(timeout=SECONDS)).status == "interrupted"


async def test_leaving_the_block_leaves_a_run_that_ended_as_it_is() -> None:
    async with analystd.connect() as desk:
        async with desk.start_python("1") as run:
            await run.result(timeout=SECONDS)
        assert (await run.summary()).status == "ok"


async def test_waiting_in_vain_for_a_result_leaves_the_run_alone() -> None:
    async with analystd.connect() as desk, desk.start_python(WAIT, session="vain") as run:
        with pytest.raises(RequestTimeoutError, match=f"The end of {run.id} did not come within 0.2 s"):
            await run.result(timeout=0.2)
        assert not (await run.summary()).is_over


async def test_a_run_goes_on_when_its_client_leaves_and_another_has_its_result() -> None:
    async with analystd.connect() as desk:
        run = await desk.start_python("import time\ntime.sleep(0.3)\n'made it'", session="goes on")
    async with analystd.connect() as desk:
        theirs = desk.run(run.id)
        result = await theirs.result(timeout=SECONDS)
        assert isinstance(result, PythonResult)
        assert (result.result, theirs.is_own) == ("'made it'", False)


async def test_a_run_of_another_client_is_watched_and_cancelled() -> None:
    async with analystd.connect() as one, analystd.connect() as two, one.start_python(WAIT, session="theirs") as run:
        watched = two.run(run.id)
        async for event in watched.events(timeout=SECONDS):
            if event.kind == "output":
                assert await watched.cancel() == "cancelling"
        assert (await run.result(timeout=SECONDS)).status == "interrupted"
        assert await watched.cancel() == "interrupted"


async def test_a_run_of_days_ago_is_read_after_the_daemon_was_replaced(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    with pytest.MonkeyPatch.context() as patch:
        become_user(station, patch)
        async with analystd.connect() as desk:
            written = await desk.write_file("a.txt", "hello")
        station.stop()
        async with analystd.connect() as desk:
            assert await desk.run(written.run_id).result(timeout=SECONDS) == written


async def test_a_run_that_is_not_there_says_so() -> None:
    async with analystd.connect() as desk:
        with pytest.raises(InvalidArgumentsError, match="There is no run 'run_0_none' here"):
            await desk.run("run_0_none").result(timeout=SECONDS)


async def test_what_cannot_be_started_says_so_at_once() -> None:
    async with analystd.connect() as desk:
        with pytest.raises(InvalidArgumentsError, match="There is no conversation 'none' here"):
            await desk.start_agent("And by month?", conversation="none")


async def test_a_question_is_followed_step_by_step(fresh_station: Station) -> None:
    call = '<tool name="pyexe">\n{"code": "print(40 + 2)"}\n</tool>'
    fresh_station.play([f"Let me see. {call}", "It is 42."])
    with pytest.MonkeyPatch.context() as patch:
        become_user(fresh_station, patch)
        async with analystd.connect() as desk, desk.start_agent("What is 40 + 2?") as run:
            events = [event async for event in run.events(timeout=SECONDS)]
            result = await run.result(timeout=SECONDS)
    assert [event.tool for event in events if event.kind == "tool_call"] == ["pyexe"]
    assert [event.text for event in events if event.kind == "tool_result"] == ["42"]
    assert (result.answer, result.steps[0].output) == ("It is 42.", "42")


async def test_a_run_that_never_started_raises_why(fresh_station: Station) -> None:
    fresh_station.environment["AGENT_MODEL_PATH"] = str(fresh_station.home / "none.gguf")
    with pytest.MonkeyPatch.context() as patch:
        become_user(fresh_station, patch)
        async with analystd.connect() as desk:
            run = await desk.start_agent("Hello?")
            with pytest.raises(EngineUnavailableError, match=r"none\.gguf does not exist") as caught:
                await run.result(timeout=SECONDS)
            assert caught.value.run_id == run.id
            assert (await kinds_of(run))[-1] == "run_finished"


async def test_a_run_of_many_megabytes_is_read_in_pages_and_whole() -> None:
    async with analystd.connect() as desk:
        run = await desk.start_python(SHOW_MUCH)
        result = await run.result(timeout=SECONDS)
        assert (result.status, result.truncated, len(result.displays)) == ("ok", False, 8)
        page = await desk.command(Command.GET_RUN, run_id=run.id)
        assert page["more"]
        assert 0 < len(page["events"]) < 11
        record = await desk.get_run(run.id)
        assert [event.kind for event in record.events] == await kinds_of(run)
        assert [event.kind for event in record.events[-9:]] == ["display"] * 8 + ["run_finished"]
        assert (await desk.run(run.id).result(timeout=SECONDS)).wire == result.wire


@pytest.mark.parametrize(("character", "length"), [("漢", 6), ("\\x01", 6), ("\\U0001f600", 12)])
async def test_what_code_shows_is_bounded_by_what_a_message_holds(character: str, length: int) -> None:
    code = f"from IPython.display import display\nfor i in range(12): display({{'text/html': '{character}' * {4_190_000 // length}}}, raw=True)"
    code += f"\nprint('{character}' * 2_000_000, end='')"
    async with analystd.connect() as desk, analystd.connect() as other:
        result = await desk.exec_python(code, timeout=SECONDS)
        assert (result.status, result.truncated, len(result.displays)) == ("ok", True, 8)
        assert (await desk.status()).pid == (await other.status()).pid
        assert (await other.exec_python("1")).result == "1"


async def test_events_after_the_end_of_a_run_are_none() -> None:
    async with analystd.connect() as desk:
        run = await desk.start_python("1")
        events = run.events(timeout=SECONDS)
        assert [event.kind async for event in events][-1] == "run_finished"
        assert [event async for event in run.events(after=events.seq, timeout=SECONDS)] == []
        assert [event async for event in desk.run(run.id).events(after=10**9, timeout=SECONDS)] == []


async def test_code_too_long_to_tell_everybody_is_refused() -> None:
    async with analystd.connect() as desk:
        with pytest.raises(InvalidArgumentsError, match=r"is of 17\.0 MB in JSON, and 16\.8 MB are the most"):
            await desk.exec_python("#" * 17_000_000)
        assert (await desk.exec_python("1 + 1")).result == "2"
