from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.desk.desks import all_events

from analystd.desk.journal import Journal
from analystd.wire.names import EventKind

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")


def write_run(journal: Journal, run_id: str, title: str = "a question") -> None:
    about = {"client": "window", "client_id": "w", "session": "main"}
    journal.append(EventKind.RUN_QUEUED, run_id, **about, run_kind="agent", title=title, conversation="c")
    journal.append(EventKind.RUN_STARTED, run_id, **about)
    journal.append(EventKind.RUN_FINISHED, run_id, **about, status="done", result={})


@contextmanager
def full_disk(journal: Journal) -> Iterator[None]:
    """Make every write fail for lack of space."""
    real = journal._descriptor
    journal._descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield
    finally:
        os.close(journal._descriptor)
        journal._descriptor = real


async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert [entry.event["seq"] for entry in journal.append(EventKind.RUN_STARTED, "run_1")] == [1]
    journal.close()
    journal = Journal(tmp_path)
    assert [entry.event["seq"] for entry in journal.append(EventKind.RUN_STARTED, "run_1")] == [2]
    assert [event["seq"] for event in await all_events(journal)] == [1, 2]
    journal.close()


def test_an_event_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (entry,) = journal.append(EventKind.TEXT, "run_1", text="né\ud800\n")
    (line,) = next(tmp_path.glob("*.jsonl")).read_bytes().splitlines(keepends=True)
    assert line == entry.line
    assert json.loads(line) == entry.event
    journal.close()


async def test_events_of_a_run_are_found_across_segments_and_restarts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=400)
    for number in range(10):
        write_run(journal, f"run_{number}", f"question {number}")
    before = journal.runs.latest(100)
    journal.close()
    assert len(list(tmp_path.glob("*.jsonl"))) > 3
    journal = Journal(tmp_path, segment_bytes=400)
    assert [event["kind"] for event in (await journal.of_run("run_4")).events] == [
        "run_queued",
        "run_started",
        "run_finished",
    ]
    assert [(run["title"], run["status"], run["client_id"]) for run in journal.runs.latest(100)] == [
        (f"question {n}", "done", "w") for n in reversed(range(10))
    ]
    assert journal.runs.latest(100) == before
    journal.close()


async def test_a_half_written_last_line_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(EventKind.RUN_STARTED, "run_1")
    journal.close()
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"seq":2,"run_id":"run_1","kind":"te')
    journal = Journal(tmp_path)
    (entry,) = journal.append(EventKind.RUN_STARTED, "run_2")
    assert entry.event["seq"] == 2
    assert [event["run_id"] for event in await all_events(journal)] == ["run_1", "run_2"]
    journal.close()


def test_old_segments_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=500, keep_bytes=2000)
    for number in range(50):
        write_run(journal, f"run_{number}")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) < 4000
    assert journal.first_seq > 1
    assert journal.seq == 150
    assert journal.runs.get("run_0") is None
    assert [run["run_id"] for run in journal.runs.latest(1)] == ["run_49"]
    journal.close()


def test_segments_that_are_too_old_go(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=360, keep_days=1)
    write_run(journal, "run_old")
    os.utime(next(tmp_path.glob("*.jsonl")), (0, 0))
    write_run(journal, "run_new")
    write_run(journal, "run_newer")
    assert journal.runs.get("run_old") is None
    journal.close()


@pytest.mark.parametrize("size", [10, 3000], ids=["short lines", "long lines"])
async def test_any_event_is_sought_without_reading_what_is_before_it(tmp_path: Path, size: int) -> None:
    journal = Journal(tmp_path)
    for number in range(1, 1001):
        journal.append(EventKind.TEXT, "run_1", text=f"{number} " * (size if number % 7 else 1))
    for after in (0, 1, 6, 7, 500, 993, 998, 999):
        page = await journal.page(after, limit=2)
        assert [entry.event["seq"] for entry in page.entries] == [after + 1, after + 2][: 1000 - after]
        assert page.last == min(after + 2, 1000)
    assert (await journal.page(1000)).entries == ()
    journal.close()


async def test_pages_are_bounded_in_bytes_and_lose_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=20_000)
    for number in range(200):
        journal.append(EventKind.TEXT, "run_1", text=str(number) * 200)
    after, pages = 0, 0
    numbers: list[int] = []
    while after < journal.seq:
        page = await journal.page(after, max_bytes=2000)
        assert sum(len(entry.line) for entry in page.entries) < 2000 + 1000
        numbers += [entry.event["seq"] for entry in page.entries]
        after, pages = page.last, pages + 1
    assert numbers == list(range(1, 201))
    assert pages > 40
    journal.close()


async def test_a_line_that_is_no_event_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for text in "abc":
        journal.append(EventKind.TEXT, "run_1", text=text)
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"b"}', b'"b" '))
    assert [event["text"] for event in await all_events(journal)] == ["a", "c"]
    journal.close()


async def test_a_segment_that_somebody_deleted_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=300)
    for number in range(4):
        write_run(journal, f"run_{number}")
    sorted(tmp_path.glob("*.jsonl"))[1].unlink()
    told = [event["seq"] for event in await all_events(journal)]
    assert told[0] == 1
    assert told[-1] == 12
    assert len(told) < 12
    journal.close()


@needs_full
async def test_a_full_disk_delays_events_and_loses_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with full_disk(journal):
        assert journal.append(EventKind.TEXT, "run_1", text="while full") == []
        assert (journal.unwritten, journal.seq, journal.problem) == (1, 0, "No space left on device")
    written = journal.append(EventKind.TEXT, "run_1", text="after")
    assert [entry.event["text"] for entry in written] == ["while full", "after"]
    assert (journal.unwritten, journal.seq, journal.problem) == (0, 2, None)
    assert [event["text"] for event in await all_events(journal)] == ["while full", "after"]
    journal.close()


@needs_full
async def test_on_a_full_disk_only_so_much_output_is_kept_and_all_that_ends_runs(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_unwritten_bytes=100_000)
    with full_disk(journal):
        for _ in range(500):
            journal.append(EventKind.OUTPUT, "run_1", stream="stdout", text="x" * 1000)
        journal.append(EventKind.RUN_FINISHED, "run_1", status="done", result={})
        assert 100 >= journal.unwritten > 50
    kept = journal.unwritten - 1
    journal.flush()
    events = await all_events(journal)
    assert [event["seq"] for event in events] == list(range(1, kept + 3))
    assert [event["kind"] for event in events] == [*["output"] * kept, "run_finished", "limit"]
    assert events[-1]["text"] == f"The disk was full: {500 - kept} pieces of what runs put out meanwhile were not kept"
    journal.close()


async def test_half_a_line_on_a_full_disk_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:10]))
    assert journal.append(EventKind.TEXT, "run_1", text="cut") == []
    monkeypatch.undo()
    assert len(journal.append(EventKind.TEXT, "run_1", text="whole")) == 2
    assert [event["text"] for event in await all_events(journal)] == ["cut", "whole"]
    journal.close()


async def test_where_no_other_file_can_be_made_the_journal_goes_on_in_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, segment_bytes=360)
    write_run(journal, "run_1")
    real_open = os.open

    def no_room(path: Path, *how: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", no_room)
    write_run(journal, "run_2")
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    monkeypatch.setattr(os, "open", real_open)
    for number in range(3, 6):
        write_run(journal, f"run_{number}")
    assert len(list(tmp_path.glob("*.jsonl"))) > 1
    assert [event["seq"] for event in await all_events(journal)] == list(range(1, 16))
    journal.close()
