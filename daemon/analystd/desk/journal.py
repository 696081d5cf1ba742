"""The desk's memory on disk: every event, appended as a line of JSON before anyone hears of it.

Segments are named for the first sequence number that they hold; a closed one has an index beside it, so that opening reads only the last.

    journal/000000000001.jsonl  000000000001.index.json  000000004711.jsonl
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analystd.protocol import EventKind, RunSummary

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
KEEP_BYTES = 512 * 1024 * 1024
KEEP_DAYS = 180.0

Event = dict[str, Any]

_BEGIN = re.compile(rb'\{"seq":\d+,"run_id":"(\w+)"')
"""How the line of a run's event begins, as `Journal.append` writes it."""


@dataclass
class Segment:
    """One file of the journal: the sequence numbers in it, and the runs with events in it."""

    path: Path
    first: int
    last: int
    runs: dict[str, RunSummary] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Take an event into the index."""
        self.last = event["seq"]
        if run_id := event.get("run_id"):
            self.runs[run_id] = _summary_after(self.runs.get(run_id), event)

    def events_of(self, run_ids: Container[str]) -> Iterator[Event]:
        """The events of some runs; only their lines are parsed."""
        with self.path.open("rb") as lines:
            for line in lines:
                begin = _BEGIN.match(line)
                if begin is not None and begin[1].decode() in run_ids:
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)

    def events(self) -> Iterator[Event]:
        """All events, oldest first; a line that is no event is passed over."""
        with self.path.open("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)


class Journal:
    """An append-only journal in `folder`; one writer at a time (the desk holds a lock)."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        keep_bytes: int = KEEP_BYTES,
        keep_days: float = KEEP_DAYS,
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._keep_bytes = keep_bytes
        self._keep_days = keep_days
        self._unwritten: list[bytes] = []
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._segments = [_load_segment(path) for path in sorted(folder.glob("*.jsonl"))]
        if not self._segments:
            self._segments.append(Segment(self._path(1), 1, 0))
        self._descriptor = self._open_last()
        self._size = os.fstat(self._descriptor).st_size

    @property
    def folder(self) -> Path:
        """Where the segments are."""
        return self._folder

    @property
    def seq(self) -> int:
        """The last number that was given out; 0 for a new journal."""
        return self._segments[-1].last

    @property
    def first_seq(self) -> int:
        """The oldest number that can still be read."""
        return self._segments[0].first

    @property
    def unwritten(self) -> int:
        """Events that the disk has not taken yet (it was full); they are tried again with the next one."""
        return len(self._unwritten)

    def append(self, kind: EventKind, run_id: str | None, **content: Any) -> Event:
        """Number an event, stamp it (`at`, Unix seconds) and write it; gives it as it was written."""
        if self._size >= self._segment_bytes:
            self._roll()
        event: Event = {"seq": self.seq + 1, "run_id": run_id, "kind": str(kind), "at": time.time(), **content}
        self._unwritten.append(
            json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        )
        self._segments[-1].note(event)
        self._write()
        return event

    def after(self, seq: int, limit: int = 10_000) -> list[Event]:
        """Events with numbers above `seq`, oldest first, at most `limit`."""
        found: list[Event] = []
        for segment in self._segments:
            if segment.last > seq:
                for event in segment.events():
                    if event["seq"] > seq:
                        found.append(event)
                    if len(found) == limit:
                        return found
        return found

    def of_run(self, run_id: str) -> list[Event]:
        """All events of one run, oldest first."""
        return self.of_runs([run_id])[run_id]

    def of_runs(self, run_ids: Sequence[str]) -> dict[str, list[Event]]:
        """All events of some runs, oldest first, by run in the order asked for; every segment is read once at the most."""
        found: dict[str, list[Event]] = {run_id: [] for run_id in run_ids}
        for segment in self._segments:
            if not found.keys().isdisjoint(segment.runs):
                for event in segment.events_of(found):
                    found[event["run_id"]].append(event)
        return found

    def runs(self) -> dict[str, RunSummary]:
        """Every run that has events here, oldest first."""
        runs: dict[str, RunSummary] = {}
        for segment in self._segments:
            for run_id, summary in segment.runs.items():
                runs[run_id] = _later_summary(runs.get(run_id), summary)
        return runs

    def close(self) -> None:
        """Write what is left and close. Harmless when repeated."""
        if self._descriptor < 0:
            return
        self._write()
        os.close(self._descriptor)
        self._descriptor = -1

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:012d}.jsonl"

    def _open_last(self) -> int:
        return os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _write(self) -> None:
        while self._unwritten:
            line = self._unwritten[0]
            try:
                written = os.write(self._descriptor, line)
                if written < len(line):
                    raise OSError(28, "only a part of an event was written")
            except OSError as exc:
                # Half a line must not stay: what follows it would be lost with it.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
                logger.error(
                    "The journal in %s cannot be written (%s); %d events wait", self._folder, exc, len(self._unwritten)
                )
                return
            self._size += written
            del self._unwritten[0]

    def _roll(self) -> None:
        if self._unwritten:
            return
        closed = self._segments[-1]
        _save_index(closed)
        os.close(self._descriptor)
        self._segments.append(Segment(self._path(closed.last + 1), closed.last + 1, closed.last))
        self._descriptor = self._open_last()
        self._size = 0
        self._drop_old()

    def _drop_old(self) -> None:
        """Delete closed segments that are too old, or too many by their size."""
        oldest = time.time() - self._keep_days * 86_400
        total = 0
        for position in range(len(self._segments) - 1, -1, -1):
            about = self._segments[position].path.stat()
            total += about.st_size
            if position < len(self._segments) - 1 and (total > self._keep_bytes or about.st_mtime < oldest):
                for segment in self._segments[: position + 1]:
                    segment.path.unlink(missing_ok=True)
                    _index_path(segment.path).unlink(missing_ok=True)
                del self._segments[: position + 1]
                return


def _index_path(path: Path) -> Path:
    return path.with_suffix(".index.json")


def _save_index(segment: Segment) -> None:
    with contextlib.suppress(OSError):
        _index_path(segment.path).write_text(json.dumps({"last": segment.last, "runs": segment.runs}))


def _load_segment(path: Path) -> Segment:
    first = int(path.stem)
    segment = Segment(path, first, first - 1)
    try:
        index = json.loads(_index_path(path).read_text())
        segment.last, segment.runs = index["last"], index["runs"]
    except (OSError, ValueError, KeyError):
        _cut_half_line(path)
        for event in segment.events():
            segment.note(event)
    return segment


def _cut_half_line(path: Path) -> None:
    """Drop what a crash left of an event at the end of the file."""
    with path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)


def _summary_after(before: RunSummary | None, event: Event) -> RunSummary:
    summary: RunSummary = before or {
        "run_id": event["run_id"],
        "kind": event.get("run_kind", ""),
        "title": event.get("title", ""),
        "status": "running",
        "client": event.get("client"),
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


def _later_summary(before: RunSummary | None, after: RunSummary) -> RunSummary:
    """The summary of a run whose events lie in two segments."""
    if before is None:
        return {**after}
    seconds = (
        None if after["seconds"] is None else round(after["started_at"] + after["seconds"] - before["started_at"], 3)
    )
    return {**before, "status": after["status"], "seconds": seconds}
