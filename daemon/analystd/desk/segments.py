"""One file of the journal: its events, and the runs that have events in it. A line that is no event is passed over."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from analystd.protocol import EventKind, RunSummary

Event = dict[str, Any]

UNDER_WAY = ("queued", "running")
"""The statuses of a run that has not ended."""

_NUMBER = re.compile(rb'\{"seq":(\d+),')
"""How each line begins, as `Journal.append` writes it."""

_RUN = re.compile(rb'\{"seq":\d+,"run_id":"(\w+)"')
"""How the line of a run's event begins."""

_NEAR_BYTES = 64 * 1024
"""So little is read through rather than halved again."""


@dataclass(frozen=True, eq=False)
class Entry:
    """An event and the line that it is in the journal."""

    event: Event
    line: bytes


@dataclass
class Segment:
    """A file of events whose numbers rise by one from `first` to `last`."""

    path: Path
    first: int
    last: int
    """The number of the last event that is on disk."""
    runs: dict[str, RunSummary] = field(default_factory=dict)

    def note(self, event: Event) -> RunSummary | None:
        """Take what an event tells of its run, if it has one, into the index; gives the run's summary there."""
        run_id = event.get("run_id")
        if not run_id:
            return None
        self.runs[run_id] = summary_after(self.runs.get(run_id), event)
        return self.runs[run_id]

    def events_of(self, run_ids: Container[str]) -> Iterator[Event]:
        """The events of some runs; only their lines are parsed."""
        with self.path.open("rb") as lines:
            for line in lines:
                begin = _RUN.match(line)
                if begin is not None and begin[1].decode() in run_ids:
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)

    def save_index(self) -> None:
        """Keep the index beside the file, so that it need not be read to know what is in it."""
        with contextlib.suppress(OSError):
            index_path(self.path).write_text(json.dumps({"last": self.last, "runs": self.runs}))

    def remove(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)
        index_path(self.path).unlink(missing_ok=True)


def load_segment(path: Path) -> Segment:
    """A segment as an earlier journal left it, by its index or by its lines."""
    first = int(path.stem)
    segment = Segment(path, first, first - 1)
    try:
        index = json.loads(index_path(path).read_text())
        segment.last, segment.runs = index["last"], index["runs"]
    except (OSError, ValueError, KeyError):
        _cut_half_line(path)
        for event in _events(path):
            segment.note(event)
            segment.last = event["seq"]
    for summary in segment.runs.values():
        # Indexes of earlier versions do not tell it.
        summary.setdefault("client_id", None)
    return segment


def index_path(path: Path) -> Path:
    """Where a segment's index is kept."""
    return path.with_suffix(".index.json")


def entries_between(file: BufferedReader, after: int, last: int) -> Iterator[Entry]:
    """The events with numbers above `after` and up to `last`; what comes before is sought past, not read."""
    file.seek(_offset_before(file, after + 1))
    for line in file:
        number = _number_of(line)
        if number is not None and number > last:
            return
        if number is not None and number > after:
            with contextlib.suppress(ValueError):
                yield Entry(json.loads(line), line)


def _offset_before(file: BufferedReader, number: int) -> int:
    """The beginning of some line at or shortly before that of `number`, found by halving."""
    low, high = 0, file.seek(0, 2)
    while high - low > _NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        start = file.tell()
        found = _number_of(file.readline(32)) if start < high else None
        if found is None or found >= number:
            high = middle
        else:
            low = start
    return low


def _number_of(line: bytes) -> int | None:
    begin = _NUMBER.match(line)
    return None if begin is None else int(begin[1])


def _events(path: Path) -> Iterator[Event]:
    """All events, oldest first."""
    with path.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _cut_half_line(path: Path) -> None:
    """Drop what a crash left of an event at the end of the file."""
    with path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)


def summary_after(before: RunSummary | None, event: Event) -> RunSummary:
    """What is known of a run after one more of its events: `before` itself, changed; the same event again changes nothing."""
    summary: RunSummary = before or {
        "run_id": event["run_id"],
        "kind": event.get("run_kind", ""),
        "title": event.get("title", ""),
        "status": "running",
        "client": event.get("client"),
        "client_id": event.get("client_id"),
        "session": event.get("session"),
        "conversation": event.get("conversation"),
        "started_at": event["at"],
        "seconds": None,
    }
    if event["kind"] == EventKind.RUN_QUEUED:
        summary["status"] = "queued"
    elif event["kind"] == EventKind.RUN_STARTED:
        summary["status"] = "running"
        summary["started_at"] = event["at"]
    elif event["kind"] == EventKind.RUN_FINISHED:
        summary["status"] = event["status"]
        summary["seconds"] = round(event["at"] - summary["started_at"], 3)
    return summary


def later_summary(before: RunSummary | None, after: RunSummary) -> RunSummary:
    """The summary of a run whose events lie in two segments; `after` itself when there is none before."""
    if before is None:
        return after
    seconds = (
        None if after["seconds"] is None else round(after["started_at"] + after["seconds"] - before["started_at"], 3)
    )
    return {**before, "status": after["status"], "seconds": seconds}
