"""No event exceeds the size that clients can read, whichever field is large; larger ones of earlier versions are cut on reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.desk.desks import all_events

from analystd.desk.journal import Journal
from analystd.desk.segments import MAX_EVENT_BYTES
from analystd.wire.names import EventKind

ABOUT = {"client": None, "client_id": None, "session": "main"}
MUCH = MAX_EVENT_BYTES + 1


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LARGE: dict[str, tuple[EventKind, dict[str, Any]]] = {
    "a text": (EventKind.OUTPUT, {"stream": "stdout", "text": "x" * MUCH}),
    "a MIME type": (EventKind.DISPLAY, {"data": {"x" * MUCH: ""}}),
    "the name of an exception": (
        EventKind.RUN_FINISHED,
        {"status": "error", "result": {"error": {"name": "E" * MUCH}}},
    ),
    "many small ones": (EventKind.DISPLAY, {"data": {"a/b": [["x" * 5]] * (MUCH // 8)}}),
    "a field of a later version": (EventKind.LIMIT, {"text": "", "of_tomorrow": {"x": ["y" * MUCH]}}),
}
DEEP: dict[str, tuple[EventKind, dict[str, Any]]] = {
    "deeper than clients read": (EventKind.DISPLAY, {"data": {"a/b": nested(400)}}),
    "deeper than can be encoded": (EventKind.DISPLAY, {"data": {"a/b": nested(100_000)}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", [*LARGE, *DEEP])
async def test_an_event_that_no_client_could_read_is_cut_and_says_so(tmp_path: Path, what: str) -> None:
    kind, content = {**LARGE, **DEEP}[what]
    journal = Journal(tmp_path)
    journal.append(EventKind.RUN_STARTED, "run_1", **ABOUT, sandbox="full")
    (entry,) = journal.append(kind, "run_1", **ABOUT, **content)
    journal.append(EventKind.RUN_FINISHED, "run_1", **ABOUT, status="ok", result={})
    assert len(entry.line) <= MAX_EVENT_BYTES
    assert (entry.event["kind"], entry.event["run_id"], entry.event["seq"]) == (kind, "run_1", 2)
    assert entry.event.keys() >= {*ABOUT, *content}
    assert entry.event["truncated"] is True
    assert (entry.event["original_bytes"] or MUCH) >= (MUCH if what in LARGE else 400)
    assert json.loads(entry.line) == entry.event
    assert [event["seq"] for event in await all_events(journal)] == [1, 2, 3]
    assert [event["seq"] for event in (await journal.of_run("run_1")).events] == [1, 2, 3]
    journal.close()


async def test_an_event_that_fits_is_left_as_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (entry,) = journal.append(EventKind.DISPLAY, None, **ABOUT, data={"a/b": nested(100), "t": "x" * 10_000_000})
    assert "truncated" not in entry.event
    assert entry.event["data"]["t"] == "x" * 10_000_000
    journal.close()


@pytest.mark.slow
async def test_what_an_earlier_version_wrote_too_large_is_cut_when_it_is_read(tmp_path: Path) -> None:
    def line(seq: int, text: str) -> bytes:
        event = {"seq": seq, "run_id": "run_1", "kind": "output", "at": 1.0, **ABOUT, "stream": "stdout", "text": text}
        return json.dumps(event, separators=(",", ":")).encode() + b"\n"

    (tmp_path / "000000000001.jsonl").write_bytes(line(1, "a") + line(2, "x" * MUCH) + line(3, "b"))
    journal = Journal(tmp_path)
    first, second, third = await all_events(journal)
    assert (first["text"], third["text"]) == ("a", "b")
    assert second["truncated"] is True
    assert second["original_bytes"] == len(line(2, "x" * MUCH))
    assert len(second["text"]) < MUCH
    journal.close()
