"""Whatever happens to an agent's run, it ends once, honestly, and leaves nothing behind. The model is scripted."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from typing import Any

import pytest
from tests.e2e.stories import SECONDS, Story
from tests.station import Station

import analystd
from analystd.client import Client

PRINT = '<tool name="pyexe">\n{"code": "print(40 + 2)"}\n</tool>'
SLEEP = '<tool name="pyexe">\n{"code": "print(\'on\', flush=True)\\nimport time\\ntime.sleep(600)"}\n</tool>'
TIDY = (
    '<tool name="pyexe">\n{"code": "import time\\nprint(\'on\', flush=True)\\ntry:\\n    time.sleep(600)\\n'
    "finally:\\n    time.sleep(1)\\n    print('tidy', flush=True)\"}\n</tool>"
)
LOOK = '<tool name="data_view">\n{"path": "long.csv.gz", "operation": "shape"}\n</tool>'
TALK = {"say": " ".join(map(str, range(9000))), "delay": 0.01}


async def enter(station: Station, monkeypatch: pytest.MonkeyPatch, *replies: str | dict[str, Any]) -> Client:
    """A client of the station's desk, whose model says these replies in each conversation."""
    lines = [reply if isinstance(reply, dict) else {"say": reply} for reply in replies]
    (station.home / "script.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    station.environment["AGENT_MODEL_PATH"] = str(station.home / "script.jsonl")
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", *(each for each in station.environment if each[:6] == "AGENT_")):
        monkeypatch.setenv(name, station.environment[name])
    monkeypatch.chdir(station.project)
    return await analystd.connect()


async def assert_at_rest(client: Client) -> None:
    """Nothing runs any more, and Python answers."""
    (desk,) = (await client.status())["desks"]
    assert desk["runs"] == []
    assert all(session["state"] != "busy" for session in desk["sessions"])
    async with asyncio.timeout(SECONDS):
        assert (await client.exec_python("6 * 7"))["result"] == "42"


async def test_a_run_is_cancelled_while_it_waits_and_while_its_model_talks(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await enter(fresh_station, monkeypatch, TALK, "Again.") as client:
        talking = Story(client, "Talk.")
        conversation = (await talking.until_kind("run_queued"))["conversation"]
        await talking.until_kind("text")
        waiting = Story(client, "And then?", conversation=conversation)
        queued = await waiting.until_kind("run_queued")
        assert (queued["position"], queued["reason"]) == (1, "conversation")
        assert (await waiting.cancel())["status"] == "cancelled"
        assert not talking.task.done()
        assert (await talking.cancel())["status"] == "cancelled"
        await assert_at_rest(client)


async def test_a_run_is_cancelled_while_its_python_runs(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await enter(fresh_station, monkeypatch, SLEEP, "Never.") as client:
        story = Story(client, "Sleep.")
        await story.until_kind("output")
        result = await story.cancel()
        assert (result["status"], result["steps"]) == ("cancelled", [])
        await assert_at_rest(client)


async def test_a_run_that_is_cancelled_twice_ends_when_its_python_has(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await enter(fresh_station, monkeypatch, TIDY, "Never.") as client:
        story = Story(client, "Sleep, then tidy up.")
        run_id = (await story.until_kind("output"))["run_id"]
        await client.cancel_run(run_id)
        await asyncio.sleep(0.3)
        await client.cancel_run(run_id)
        assert (await story.end())["status"] == "cancelled"
        await assert_at_rest(client)
        events = (await client.get_run(run_id))["events"]
        printed = "".join(event["text"] for event in events if event["kind"] == "output")
        assert (events[-1]["kind"], printed) == ("run_finished", "on\ntidy\n")


async def test_a_run_is_cancelled_while_it_looks_at_a_long_table(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = gzip.compress(b"1234567\n" * 4_000_000)
    (fresh_station.workspace / "long.csv.gz").write_bytes(member * 400)
    async with await enter(fresh_station, monkeypatch, LOOK, "Never.") as client:
        story = Story(client, "How many rows?")
        await story.until_kind("tool_call")
        assert (await story.cancel())["status"] == "cancelled"
        await assert_at_rest(client)
        (fresh_station.workspace / "t.csv").write_text("a\n1\n")
        async with asyncio.timeout(SECONDS):
            assert (await client.view_data("t.csv", "shape"))["num_rows"] == 1


async def test_a_run_is_cancelled_between_two_steps(fresh_station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await enter(fresh_station, monkeypatch, PRINT, TALK) as client:
        story = Story(client, "Compute, then talk.")
        await story.until_kind("tool_result")
        result = await story.cancel()
        assert (result["status"], [step["output"] for step in result["steps"]]) == ("cancelled", ["42"])
        await assert_at_rest(client)


async def test_calls_that_cannot_be_run_are_told_and_the_run_goes_on(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    disabled = '<tool name="read_file">\n{"path": "t.csv"}\n</tool>'
    broken = '<tool name="pyexe">\n{"code": \n</tool>'
    fresh_station.environment["AGENT_ENABLE_FILES"] = "false"
    async with await enter(fresh_station, monkeypatch, disabled, broken, PRINT, "It is 42.") as client:
        result = await Story(client, "What is 40 + 2?").end()
        assert (result["status"], result["answer"]) == ("done", "It is 42.")
        assert [(step["tool"], step["ok"], step.get("valid")) for step in result["steps"]] == [
            ("read_file", False, False),
            ("pyexe", True, None),
        ]


async def test_a_call_with_a_megabyte_of_arguments_is_carried_out(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = json.dumps({"code": f"text = '{'a' * 1_000_000}'\nprint(len(text))"})
    big = f'<tool name="pyexe">\n{code}\n</tool>'
    async with await enter(fresh_station, monkeypatch, big, "A million.", "As I said.") as client:
        first = await Story(client, "How long is it?").end()
        assert [step["output"] for step in first["steps"]] == ["1000000"]
        second = await Story(client, "Sure?", conversation=first["conversation"]).end()
        assert (first["answer"], second["answer"]) == ("A million.", "As I said.")


async def test_twenty_runs_of_four_clients_all_end_once(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await enter(fresh_station, monkeypatch, PRINT, "It is 42.") as first:
        clients = [first, *[await analystd.connect() for _ in range(3)]]
        heard: list[Any] = []
        first.on_event(heard.append)
        async with asyncio.timeout(SECONDS):
            results = await asyncio.gather(
                *(client.run_agent(f"Question {number}?") for number in range(5) for client in clients)
            )
        assert {(result["status"], result["answer"]) for result in results} == {("done", "It is 42.")}
        await first.status()
        ends = Counter(event["run_id"] for event in heard if event["kind"] == "run_finished")
        assert ends == {result["run_id"]: 1 for result in results}
        reasons = {event.get("reason") for event in heard if event["kind"] in ("run_queued", "run_waiting")}
        assert "model" in reasons
        await assert_at_rest(first)
        await asyncio.gather(*(client.aclose() for client in clients[1:]))
