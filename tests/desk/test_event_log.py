from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.desk.desks import Office, all_events, by
from tests.desk.test_journal import full_disk, needs_full

from analystd.desk.event_log import EventLog
from analystd.desk.journal import Journal
from analystd.desk.runs import AnyRun
from analystd.desk.segments import JournalEntry
from analystd.wire.arguments import ExecPython, RunAgent, WriteFile
from analystd.wire.errors import ResourceLimitError
from analystd.wire.names import EventKind

pytestmark = needs_full


@pytest.fixture
async def chronicle(tmp_path: Path) -> AsyncIterator[EventLog]:
    chronicle = EventLog(Journal(tmp_path))
    yield chronicle
    chronicle.close()


def say(chronicle: EventLog, text: str) -> None:
    chronicle.record(EventKind.TEXT, "run_1", by("window"), "main", text=text)


def lines_on_disk(chronicle: EventLog) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(chronicle.journal.folder.glob("*.jsonl")))


async def test_an_event_is_told_when_its_line_is_on_disk_and_not_before(chronicle: EventLog) -> None:
    told: list[str] = []

    def hear(entry: JournalEntry) -> None:
        assert entry.line in lines_on_disk(chronicle)
        told.append(entry.event["text"])

    chronicle.listen(hear)
    say(chronicle, "one")
    with full_disk(chronicle.journal):
        say(chronicle, "two")
        say(chronicle, "three")
        assert told == ["one"]
    say(chronicle, "four")
    assert told == ["one", "two", "three", "four"]


async def test_what_waits_is_written_and_told_as_soon_as_the_disk_takes_it(chronicle: EventLog) -> None:
    told = asyncio.Event()
    chronicle.listen(lambda _entry: told.set())
    with full_disk(chronicle.journal):
        say(chronicle, "while full")
    assert not told.is_set()
    await asyncio.wait_for(told.wait(), 20)
    assert [event["text"] for event in await all_events(chronicle.journal)] == ["while full"]


async def test_a_listener_that_stopped_hears_nothing(chronicle: EventLog) -> None:
    told: list[JournalEntry] = []
    stop = chronicle.listen(told.append)
    say(chronicle, "one")
    stop()
    stop()
    say(chronicle, "two")
    assert len(told) == 1


async def test_no_run_begins_while_its_events_cannot_be_written(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open(["Fine."])
    told: list[dict[str, Any]] = []
    desk.listen(lambda entry: told.append(entry.event))
    with full_disk(desk.journal):
        first = desk.start_agent(RunAgent(prompt="One?"), by("a"))
        with pytest.raises(ResourceLimitError, match=r"cannot be written \(No space left on device\)"):
            await first.result()
        starts: list[Callable[[], AnyRun]] = [
            lambda: desk.start_agent(RunAgent(prompt="Two?"), by("a")),
            lambda: desk.start_python(ExecPython(code="2"), by("a")),
            lambda: desk.start_write(WriteFile(path="t", content=""), by("a")),
        ]
        for start in starts:
            with pytest.raises(ResourceLimitError, match="2 events wait for it"):
                start()
        assert told == []
    second = desk.start_agent(RunAgent(prompt="Two?"), by("a"))
    assert (await second.result())["status"] == "done"
    assert [(event["run_id"], event["status"]) for event in told if event["kind"] == "run_finished"] == [
        (first.id, "failed"),
        (second.id, "done"),
    ]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    await desk.aclose()


async def test_a_run_under_way_ends_on_a_full_disk_and_is_answered(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path).open(["Fine."])
    told: list[dict[str, Any]] = []
    desk.listen(lambda entry: told.append(entry.event))
    run = desk.start_python(ExecPython(code="'out'"), by("a"))
    real = desk.journal._descriptor
    started = asyncio.Event()

    def fill(entry: JournalEntry) -> None:
        if entry.event["kind"] == "run_started":
            desk.journal._descriptor = os.open("/dev/full", os.O_WRONLY)
            started.set()

    desk.listen(fill)
    assert (await run.result())["status"] == "ok"
    assert started.is_set()
    assert [event["kind"] for event in told] == ["run_queued", "run_started"]
    os.close(desk.journal._descriptor)
    desk.journal._descriptor = real
    await desk.aclose()
    assert [event["kind"] for event in told] == ["run_queued", "run_started", "output", "run_finished"]
