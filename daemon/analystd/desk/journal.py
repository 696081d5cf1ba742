"""The journal: every event of a desk on disk, appended as a line of JSON before any client receives it.

Segments are named after the first sequence number that they contain.

    journal/000000000001.jsonl  000000004711.jsonl  runs.sqlite
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from analystd.desk.run_index import RunIndex
from analystd.desk.segments import (
    MILESTONES,
    Event,
    JournalEntry,
    Segment,
    bounded_entry,
    entries_between,
    load_segments,
)
from analystd.util.locks import is_at
from analystd.wire.arguments import PAGE_EVENTS
from analystd.wire.names import EventKind

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
KEEP_BYTES = 512 * 1024 * 1024
KEEP_DAYS = 180.0

MAX_UNWRITTEN_BYTES = 16 * 1024 * 1024
"""Bytes of events kept in memory while the disk cannot be written; of further output of runs, only the number of pieces is kept."""

PAGE_BYTES = 1024 * 1024
RUN_PAGE_BYTES = 16 * 1024 * 1024
"""Few runs have more; even with one event beyond it, a page is below the 64 MiB of a message."""

_OUTPUT = (EventKind.TEXT, EventKind.OUTPUT, EventKind.DISPLAY)


@dataclass(frozen=True)
class JournalPage:
    """Consecutive events of the journal, complete up to the number `last`."""

    entries: tuple[JournalEntry, ...]
    last: int


@dataclass(frozen=True)
class RunPage:
    """Consecutive events of a run, and whether more follow."""

    entries: tuple[JournalEntry, ...]
    more: bool

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, decoded."""
        return tuple(entry.event for entry in self.entries)


class Journal:
    """An append-only journal in `folder`, for one writer at a time (the desk holds a lock)."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        keep_bytes: int = KEEP_BYTES,
        keep_days: float = KEEP_DAYS,
        max_unwritten_bytes: int = MAX_UNWRITTEN_BYTES,
    ) -> None:
        self._folder = folder
        self._segment_bytes = self._roll_at = segment_bytes
        self._keep_bytes = keep_bytes
        self._keep_days = keep_days
        self._max_unwritten_bytes = max_unwritten_bytes
        self._unwritten: deque[JournalEntry] = deque()
        self._unwritten_bytes = 0
        self._left_out = 0
        self._problem: str | None = None
        self._is_torn = False
        """Whether the file may end with half a line."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._segments = load_segments(folder) or [Segment(self._path(1), 1, 0)]
        self._numbered = self.seq
        self._descriptor = _open(self._segments[-1].path)
        self._size = os.fstat(self._descriptor).st_size
        self.runs = RunIndex(folder / "runs.sqlite", self._milestones, self.seq)
        """Every run that has events in the journal."""
        self.runs.forget_before(self.first_seq)

    @property
    def folder(self) -> Path:
        """The folder of the segments."""
        return self._folder

    @property
    def seq(self) -> int:
        """The number of the last event on disk; 0 for a new journal."""
        return self._segments[-1].last

    @property
    def first_seq(self) -> int:
        """The lowest number that can still be read."""
        return self._segments[0].first

    @property
    def is_in_place(self) -> bool:
        """Whether the open file is still in its place, neither removed nor replaced."""
        return self._descriptor >= 0 and is_at(self._segments[-1].path, self._descriptor)

    @property
    def unwritten(self) -> int:
        """Number of events that are not on disk yet because writing failed."""
        return len(self._unwritten)

    @property
    def problem(self) -> str | None:
        """Why the disk cannot be written now, or None."""
        return self._problem

    def append(self, kind: EventKind, run_id: str | None, **content: object) -> list[JournalEntry]:
        """Number an event, stamp it (`at`, Unix seconds) and write it; return the events that this brought to disk, oldest first.

        Normally that is the event itself. While the disk cannot be written, it is kept for the next attempt, like those that follow it.
        """
        written = self.flush()
        if self._unwritten_bytes >= self._max_unwritten_bytes and kind in _OUTPUT:
            self._left_out += 1
            return written
        if self._size >= self._roll_at and not self._unwritten:
            self._roll()
        self._keep(kind, run_id, content)
        return written + self.flush()

    def flush(self) -> list[JournalEntry]:
        """Write the events that could not be written before; return those that are on disk now, oldest first."""
        written: list[JournalEntry] = []
        while self._unwritten and self._write(self._unwritten[0].line):
            entry = self._unwritten.popleft()
            self._unwritten_bytes -= len(entry.line)
            self._segments[-1].last = entry.seq
            written.append(entry)
            if self._left_out and not self._unwritten:
                self._tell_left_out()
        if written and not self._unwritten:
            self.runs.save(self.seq)
        return written

    async def page(self, after: int, *, limit: int = PAGE_EVENTS, max_bytes: int = PAGE_BYTES) -> JournalPage:
        """Read the events after a number, at most `limit` events and about `max_bytes`, but at least one event; in a thread.

        A page may be short, even empty, at the end of a file; all events are read when its `last` is the journal's `seq`.
        """
        segment = next((segment for segment in self._segments if segment.last > after), None)
        if segment is None:
            return JournalPage((), max(after, self.seq))
        last = segment.last
        try:
            # Opened at once, because an old segment may be deleted in the meantime.
            with segment.path.open("rb") as file:
                return await asyncio.to_thread(_read_page, file, after, last, limit, max_bytes)
        except OSError as exc:
            logger.error("A part of the journal is lost: %s", exc)
            return JournalPage((), last)

    async def of_run(self, run_id: str, after: int = 0, *, max_bytes: int = RUN_PAGE_BYTES) -> RunPage:
        """Read the events of one run after the number `after`, oldest first, up to `max_bytes` but at least one event; in a thread."""
        return await asyncio.to_thread(_read_run, self._segments_of([run_id], after), run_id, after, max_bytes)

    async def of_runs(self, run_ids: Sequence[str], kinds: Container[str]) -> dict[str, list[Event]]:
        """Read the events of these kinds for some runs, oldest first, by run in the order requested, with one pass over each segment."""
        return await asyncio.to_thread(_read_runs, self._segments_of(run_ids), run_ids, kinds)

    def _segments_of(self, run_ids: Sequence[str], after: int = 0) -> list[Segment]:
        spans = [(max(first, after + 1), last) for first, last in self.runs.spans(run_ids)]
        return [
            segment
            for segment in self._segments
            if any(first <= segment.last and (last is None or segment.first <= last) for first, last in spans)
        ]

    def close(self) -> None:
        """Write the waiting events and close the journal. Harmless when repeated."""
        if self._descriptor < 0:
            return
        self.flush()
        if self._unwritten:
            logger.error("%d events could not be written to %s and are lost", len(self._unwritten), self._folder)
        os.close(self._descriptor)
        self._descriptor = -1
        self.runs.close()

    def _keep(self, kind: EventKind, run_id: str | None, content: Mapping[str, object]) -> None:
        self._numbered += 1
        entry = bounded_entry(
            {"seq": self._numbered, "run_id": run_id, "kind": str(kind), "at": time.time(), **content}
        )
        self._unwritten.append(entry)
        self._unwritten_bytes += len(entry.line)
        self.runs.note(entry.event)

    def _milestones(self, after: int) -> Iterator[Event]:
        for segment in self._segments:
            if segment.last > after:
                # A file may be missing.
                with contextlib.suppress(OSError):
                    for entry in segment.events(kinds=MILESTONES, after=after):
                        yield entry.event

    def _tell_left_out(self) -> None:
        text = f"The disk was full: {self._left_out} pieces of what runs put out meanwhile were not kept"
        self._left_out = 0
        self._keep(EventKind.LIMIT, None, {"client": None, "client_id": None, "session": None, "text": text})

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:012d}.jsonl"

    def _write(self, line: bytes) -> bool:
        try:
            if self._is_torn:
                self._mend()
            written = os.write(self._descriptor, line)
            if written < len(line):
                self._is_torn = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as exc:
            self._complain(exc)
            with contextlib.suppress(OSError):
                self._mend()
            return False
        self._size += written
        if self._problem is not None:
            logger.warning("The journal in %s can be written again", self._folder)
            self._problem = None
        return True

    def _mend(self) -> None:
        """Remove half a line at the end of the file; the next event would be lost with it."""
        if self._is_torn:
            os.ftruncate(self._descriptor, self._size)
            self._is_torn = False

    def _complain(self, error: OSError) -> None:
        if self._problem is None:
            logger.error("The journal in %s cannot be written (%s); its events wait", self._folder, error)
        self._problem = error.strerror or str(error)

    def _roll(self) -> None:
        """Begin another file; if none can be created, continue in the current one."""
        closed = self._segments[-1]
        path = self._path(closed.last + 1)
        try:
            descriptor = _open(path)
        except OSError as exc:
            logger.error("%s cannot be made (%s); the journal goes on in %s", path, exc, closed.path.name)
            self._roll_at = self._size + self._segment_bytes
            return
        os.close(self._descriptor)
        self._segments.append(Segment(path, closed.last + 1, closed.last))
        self._descriptor, self._size, self._roll_at = descriptor, 0, self._segment_bytes
        self._drop_old()

    def _drop_old(self) -> None:
        """Delete closed segments that are too old, or that exceed the total size."""
        oldest = time.time() - self._keep_days * 86_400
        total = 0
        for position in range(len(self._segments) - 1, -1, -1):
            size, changed = _size_and_time(self._segments[position].path)
            total += size
            if position < len(self._segments) - 1 and (total > self._keep_bytes or changed < oldest):
                for segment in self._segments[: position + 1]:
                    segment.path.unlink(missing_ok=True)
                del self._segments[: position + 1]
                self.runs.forget_before(self.first_seq)
                return


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _size_and_time(path: Path) -> tuple[int, float]:
    try:
        about = path.stat()
    except OSError:
        return 0, 0.0
    return about.st_size, about.st_mtime


def _read_page(file: BufferedReader, after: int, last: int, limit: int, max_bytes: int) -> JournalPage:
    entries: list[JournalEntry] = []
    size = 0
    for entry in entries_between(file, after, last):
        entries.append(entry)
        size += len(entry.line)
        if len(entries) == limit or size >= max_bytes:
            return JournalPage(tuple(entries), entry.seq)
    return JournalPage(tuple(entries), last)


def _read_run(segments: Sequence[Segment], run_id: str, after: int, max_bytes: int) -> RunPage:
    entries: list[JournalEntry] = []
    size = 0
    for entry in _entries_of(segments, {run_id}, None, after):
        if entries and size + len(entry.line) > max_bytes:
            return RunPage(tuple(entries), more=True)
        entries.append(entry)
        size += len(entry.line)
    return RunPage(tuple(entries), more=False)


def _read_runs(segments: Sequence[Segment], run_ids: Sequence[str], kinds: Container[str]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {run_id: [] for run_id in run_ids}
    for entry in _entries_of(segments, found, kinds, 0):
        found[entry.event["run_id"]].append(entry.event)
    return found


def _entries_of(
    segments: Sequence[Segment], run_ids: Container[str], kinds: Container[str] | None, after: int
) -> Iterator[JournalEntry]:
    for segment in segments:
        # An old segment may be deleted in the meantime, and others may be missing.
        with contextlib.suppress(OSError):
            yield from segment.events(of=run_ids, kinds=kinds, after=after)
