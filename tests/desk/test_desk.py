from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.desk.desks import Attentive, Office, all_events, by

from analystd.desk.desk import AGENTS_AT_ONCE, Desk
from analystd.wire.arguments import ExecPython, RunAgent
from analystd.wire.errors import InvalidArgumentsError, StoppingError
from analystd.wire.results import AgentResult


def call(tool: str, arguments: str) -> str:
    return f'<tool name="{tool}">\n{arguments}\n</tool>'


PRINT = call("pyexe", '{ "code":  "total = 42" }')
"""JSON formatted as no serialiser would."""


async def ask(desk: Desk, prompt: str, client: str = "window", **options: Any) -> AgentResult:
    return await desk.start_agent(RunAgent(prompt=prompt, **options), by(client)).result()


def assert_each_begins_with_the_one_before(engine: Attentive, *more: Attentive) -> None:
    requests = [request.messages for each in (engine, *more) for request in each.requests]
    for before, after in itertools.pairwise(requests):
        assert after[: len(before)] == before


async def test_the_next_run_begins_with_the_very_messages_of_the_one_before(tmp_path: Path) -> None:
    desk, engine = Office(tmp_path, "t.csv").open([f"Let me see. {PRINT}", "It is 42.", "Yes, 42."])
    first = await ask(desk, "What is the total?")
    second = await ask(desk, "Sure?", conversation=first["conversation"])
    await desk.aclose()
    assert (first["answer"], second["answer"]) == ("It is 42.", "Yes, 42.")
    assert_each_begins_with_the_one_before(engine)
    said = [message.content for message in engine.requests[-1].messages]
    assert said[-5:] == [
        "What is the total?",
        f"Let me see. {PRINT}",
        "Result of pyexe:\ntotal = 42",
        "It is 42.",
        "Sure?",
    ]


async def test_a_restart_changes_nothing_in_what_was_said(tmp_path: Path) -> None:
    office = Office(tmp_path, "t.csv")
    desk, before = office.open([f"Let me see. {PRINT}", "It is 42."])
    first = await ask(desk, "What is the total?")
    await desk.aclose()
    desk, after = office.open(["Yes, 42."])
    await ask(desk, "Sure?", conversation=first["conversation"])
    await desk.aclose()
    assert_each_begins_with_the_one_before(before, after)
    assert "Result of pyexe:\ntotal = 42" in [message.content for message in after.requests[0].messages]


async def test_files_that_came_since_are_told_with_the_question(tmp_path: Path) -> None:
    office = Office(tmp_path, "t.csv")
    write = call("write_file", '{"path": "out.txt", "content": "42"}')
    desk, engine = office.open([write, "Written.", "It holds 42.", "Still."])
    first = await ask(desk, "Write it down.")
    await ask(desk, "What did you write?", conversation=first["conversation"])
    await ask(desk, "And now?", conversation=first["conversation"])
    await desk.aclose()
    assert_each_begins_with_the_one_before(engine)
    assert "Files: t.csv." in engine.requests[-1].messages[0].content
    assert engine.requests[2].messages[-1].content == "What did you write?\n\n(New files: out.txt.)"
    assert engine.requests[3].messages[-1].content == "And now?"


async def test_calls_that_were_not_valid_do_not_come_back(tmp_path: Path) -> None:
    bad = [call("pyexe", '{"code": 5}'), call("pyexe", "{ nothing"), call("shell", "{}")]
    desk, engine = Office(tmp_path).open([*bad[:2], PRINT, "It is 42.", "Yes."])
    first = await ask(desk, "What is the total?")
    await ask(desk, "Sure?", conversation=first["conversation"])
    await desk.aclose()
    assert [step.get("valid", True) for step in first["steps"]] == [False, True]
    said = " ".join(message.content for message in engine.requests[-1].messages)
    assert "not valid" not in said
    assert '"code": 5' not in said
    assert engine.requests[-1].messages[: len(engine.requests[3].messages)] == engine.requests[3].messages


async def test_a_conversation_that_is_not_there_is_refused(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open([])
    with pytest.raises(InvalidArgumentsError, match="There is no conversation 'conv_x' here"):
        desk.start_agent(RunAgent(prompt="And?", conversation="conv_x"), by("window"))
    await desk.aclose()


async def test_what_a_step_shows_carries_its_number(tmp_path: Path) -> None:
    plot = call("pyexe", '{"code": "plot"}')
    desk, engine = Office(tmp_path).open([PRINT, plot, "See the plot."])
    result = await ask(desk, "Draw it.")
    events = (await desk.journal.of_run(result["run_id"])).events
    await desk.aclose()
    assert [step.get("displays") for step in result["steps"]] == [None, 1]
    assert [(event["kind"], event.get("step")) for event in events if event["kind"] in ("output", "display")] == [
        ("output", 1),
        ("output", 2),
        ("display", 2),
    ]
    assert [event.get("displays") for event in events if event["kind"] == "tool_result"] == [None, 1]
    assert engine.requests[-1].messages[-1].content == "Result of pyexe:\nplot\n[1 plot was shown to the user]"


async def test_twenty_runs_of_four_clients_share_the_model_fairly_and_end_once(tmp_path: Path) -> None:
    desk, engine = Office(tmp_path).open([PRINT, "It is 42."])
    events: list[dict[str, Any]] = []
    desk.listen(lambda entry: events.append(entry.event))
    clients = [client for client in "abcd" for _ in range(5)]
    runs = [
        desk.start_agent(RunAgent(prompt=f"Question {number}?"), by(client)) for number, client in enumerate(clients)
    ]
    results = await asyncio.gather(*(run.result() for run in runs))
    await desk.aclose()
    assert {result["status"] for result in results} == {"done"}
    assert engine.most_at_once == AGENTS_AT_ONCE
    ends = Counter(event["run_id"] for event in events if event["kind"] == "run_finished")
    assert ends == {run.id: 1 for run in runs}
    # The first four get the idle model at once; then the clients take turns.
    started = [event["client"] for event in events if event["kind"] == "run_started"]
    assert started[:4] == ["a"] * 4
    assert sorted(started[4:8]) == ["a", "b", "c", "d"]


async def test_a_waiting_run_tells_each_new_place_and_what_it_waits_for(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open(["One.", "Two.", "Three."])
    first = desk.start_agent(RunAgent(prompt="One?"), by("a"))
    conversation = first.request.conversation
    second = desk.start_agent(RunAgent(prompt="Two?", conversation=conversation), by("a"))
    third = desk.start_agent(RunAgent(prompt="Three?", conversation=conversation), by("a"))
    await asyncio.gather(first.result(), second.result(), third.result())
    told = [
        (event["kind"], event.get("position"), event.get("reason"))
        for event in (await desk.journal.of_run(third.id)).events
        if event["kind"] in ("run_queued", "run_waiting", "run_started")
    ]
    await desk.aclose()
    assert told == [
        ("run_queued", 2, "conversation"),
        ("run_waiting", 1, "conversation"),
        ("run_started", None, None),
    ]


async def test_what_someone_waits_for_goes_before_a_batch(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open([PRINT, "Done."])
    batches = [desk.start_agent(RunAgent(prompt="b", priority="batch"), by("script")) for _ in range(8)]
    window = desk.start_agent(RunAgent(prompt="w"), by("window"))
    assert (await desk.journal.of_run(window.id)).events[0]["position"] == 0
    await asyncio.gather(*(run.result() for run in (*batches, window)))
    ends = [event["client"] for event in await all_events(desk.journal) if event["kind"] == "run_finished"]
    await desk.aclose()
    assert "window" in ends[:4]


async def test_a_run_that_is_cancelled_before_it_began_ends_all_the_same(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open(["Done.", "Again."])
    run = desk.start_agent(RunAgent(prompt="One?"), by("a"))
    run.cancel()
    assert (await run.result())["status"] == "cancelled"
    assert (await ask(desk, "Two?"))["status"] == "done"
    assert [run.id for run in desk.runs.active] == []
    await desk.aclose()


async def test_a_desk_that_is_given_up_takes_no_more_runs(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open([])
    closing = asyncio.create_task(desk.aclose())
    await asyncio.sleep(0)
    with pytest.raises(StoppingError, match="gives up this desk"):
        desk.start_python(ExecPython(code="1"), by("window"))
    await closing
