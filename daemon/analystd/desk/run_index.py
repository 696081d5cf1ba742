"""An index of every run in the journal: an SQLite file beside it, so that many runs neither fill the memory nor delay the start.

It holds nothing that the journal does not: if it is missing, damaged or belongs to another journal, it is rebuilt, and if its file cannot
be used, it is kept in memory.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analystd.desk.segments import MILESTONES, Event
from analystd.wire.events import RunSummary
from analystd.wire.names import EventKind

logger = logging.getLogger(__name__)

_VERSION = 2
"""The version of the tables below; an index of another version is rebuilt."""

_TABLES = f"""
CREATE TABLE runs (
    first INTEGER PRIMARY KEY, last INTEGER, run_id BLOB NOT NULL UNIQUE, conversation BLOB, summary TEXT NOT NULL
);
CREATE INDEX by_conversation ON runs (conversation) WHERE conversation IS NOT NULL;
CREATE TABLE taken (seq INTEGER NOT NULL);
INSERT INTO taken VALUES (0);
PRAGMA user_version = {_VERSION};
"""
"""`first` and `last` are the numbers of a run's first and last event; a run that has not ended has no last. The index covers all events
up to `taken`.

`run_id` and `conversation` are encoded by `_key`.
"""

_PRAGMAS = (
    # The journal is not synced to the disk either; damage by a power cut is found by the check on opening.
    "PRAGMA synchronous = OFF",
    # The desk's lock reserves it for one daemon, and without sharing no shared memory is needed.
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA cache_size = -1024",
)

_LOCK_SECONDS = 0.5
"""Seconds to wait for another process that has the file open."""

_PUT = "INSERT OR REPLACE INTO runs (first, last, run_id, conversation, summary) VALUES (?, ?, ?, ?, ?)"

_TITLE_CHARACTERS = 200
"""Maximum length of a title: one answer holds up to ten thousand, and earlier versions used paths of any length as titles."""

_SAVED_TOGETHER = 5000
"""Number of runs saved at a time while an index is rebuilt."""


@dataclass(frozen=True)
class _Row:
    first: int
    last: int | None
    summary: RunSummary

    @property
    def run_id(self) -> str:
        return self.summary["run_id"]

    @property
    def values(self) -> tuple[Any, ...]:
        """Return the values in the order of `_PUT`."""
        conversation = self.summary["conversation"]
        return (
            self.first,
            self.last,
            _key(self.run_id),
            None if conversation is None else _key(conversation),
            json.dumps(self.summary),
        )


class RunIndex:
    """The runs of one journal, by id, order and conversation. Only one thread may use it at a time, as with the journal's writer.

    `milestones` yields the events of the journal after a number that change what is known of a run; `seq` is the journal's last number.
    """

    def __init__(self, path: Path, milestones: Callable[[int], Iterable[Event]], seq: int) -> None:
        self._path = path
        self._milestones = milestones
        self._unsaved: dict[str, _Row] = {}
        """The current state of the runs that are not yet saved in the file."""
        self._is_failing = False
        self._is_closed = False
        self._db = _usable(path, seq) or _new(path)
        self._catch_up()

    def get(self, run_id: str) -> RunSummary | None:
        """Return a run's summary; None if there is no such run."""
        row = self._row(run_id)
        return None if row is None else row.summary

    def latest(self, limit: int) -> list[RunSummary]:
        """Return the summaries of the last `limit` runs, newest first."""
        rows = self._rows("TRUE ORDER BY first DESC LIMIT ?", limit, among=lambda row: True)
        return [row.summary for row in reversed(rows[-limit:])]

    def of_conversation(self, conversation: str) -> list[RunSummary]:
        """Return the summaries of a conversation's runs, oldest first."""
        rows = self._rows(
            "conversation = ?",
            _key(conversation),
            among=lambda row: row.summary["conversation"] == conversation,
        )
        return [row.summary for row in rows]

    def under_way(self) -> list[RunSummary]:
        """Return the summaries of the runs that have not ended, oldest first."""
        return [row.summary for row in self._rows("last IS NULL", among=lambda row: row.last is None)]

    def spans(self, run_ids: Iterable[str]) -> list[tuple[int, int | None]]:
        """Return the numbers of the first and the last event of each known run; None instead of the last for a run that has not ended."""
        return [(row.first, row.last) for run_id in run_ids if (row := self._row(run_id)) is not None]

    def note(self, event: Event) -> None:
        """Update the run of an event; `save` writes the changes."""
        if event["kind"] in MILESTONES and event["run_id"]:
            before = self._row(event["run_id"])
            self._unsaved[event["run_id"]] = _Row(
                event["seq"] if before is None else before.first,
                event["seq"] if event["kind"] == EventKind.RUN_FINISHED else None,
                summary_after(None if before is None else before.summary, event),
            )

    def save(self, seq: int) -> None:
        """Write the changes up to the number `seq`, which the journal has on disk. A failed write is repeated the next time."""
        if not self._unsaved:
            return
        try:
            with self._db:
                self._db.executemany(_PUT, [row.values for row in self._unsaved.values()])
                self._db.execute("UPDATE taken SET seq = ?", (seq,))
        except sqlite3.Error as exc:
            if not self._is_failing:
                logger.warning("%s cannot be written (%s); what it should have waits", self._path, exc)
            self._is_failing = True
        else:
            self._unsaved.clear()
            self._is_failing = False

    def forget_before(self, seq: int) -> None:
        """Remove the runs whose events all have smaller numbers."""
        with contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute("DELETE FROM runs WHERE last < ?", (seq,))

    def close(self) -> None:
        """Close the file; no run is known afterwards. Harmless when repeated."""
        self._is_closed = True
        self._db.close()

    def _row(self, run_id: str) -> _Row | None:
        if run_id in self._unsaved:
            return self._unsaved[run_id]
        return next(iter(self._saved("run_id = ?", _key(run_id))), None)

    def _rows(self, which: str, *values: object, among: Callable[[_Row], bool]) -> list[_Row]:
        """Return the rows that match the condition `which` in the file, or `among` in unsaved changes, in the order in which the runs began."""
        rows = [row for row in self._saved(which, *values) if row.run_id not in self._unsaved]
        rows += filter(among, self._unsaved.values())
        return sorted(rows, key=lambda row: row.first)

    def _saved(self, which: str, *values: object) -> list[_Row]:
        if self._is_closed:
            # The file may belong to another daemon by now.
            return []
        query = f"SELECT first, last, summary FROM runs WHERE {which}"
        try:
            found = self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as exc:
            logger.error(
                "%s cannot be read (%s); until the next start, the index of runs is in memory", self._path, exc
            )
            self._leave_file()
            found = self._db.execute(query, values).fetchall()
        return [_Row(first, last, json.loads(summary)) for first, last, summary in found]

    def _leave_file(self) -> None:
        self._db.close()
        _remove(self._path)
        self._db = _in_memory()
        unsaved, self._unsaved = self._unsaved, {}
        self._catch_up()
        self._unsaved |= unsaved

    def _catch_up(self) -> None:
        """Read the events of the journal that the index does not have yet."""
        (seq,) = self._db.execute("SELECT seq FROM taken").fetchone()
        for event in self._milestones(seq):
            self.note(event)
            seq = event["seq"]
            if len(self._unsaved) >= _SAVED_TOGETHER:
                self.save(seq)
        self.save(seq)


def summary_after(before: RunSummary | None, event: Event) -> RunSummary:
    """Return a run's summary updated by another of its events; applying the same event twice changes nothing."""
    summary: RunSummary = before or {
        "run_id": event["run_id"],
        "kind": event.get("run_kind", ""),
        "title": event.get("title", "")[:_TITLE_CHARACTERS],
        "status": "running",
        "client": event.get("client"),
        "client_id": event.get("client_id"),
        "session": event.get("session"),
        "conversation": event.get("conversation"),
        "started_at": event["at"],
        "seconds": None,
    }
    if event["kind"] == EventKind.RUN_QUEUED:
        return {**summary, "status": "queued"}
    if event["kind"] == EventKind.RUN_STARTED:
        return {**summary, "status": "running", "started_at": event["at"]}
    if event["kind"] == EventKind.RUN_FINISHED:
        return {**summary, "status": event["status"], "seconds": round(event["at"] - summary["started_at"], 3)}
    return summary


def _key(text: str) -> bytes:
    """Return the key of an id in the file; SQLite text cannot hold lone surrogates, which a client may send."""
    return text.encode("utf-8", "surrogatepass")


def _usable(path: Path, seq: int) -> sqlite3.Connection | None:
    """Return the index that an earlier daemon left, if it is intact and belongs to this journal, which ends with the number `seq`."""
    was_closed = not path.with_name(f"{path.name}-wal").exists()
    try:
        db = _connected(path)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == _VERSION and (was_closed or db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)):
            (taken,) = db.execute("SELECT seq FROM taken").fetchone()
            if taken <= seq:
                return db
        db.close()
    except (sqlite3.Error, OSError, TypeError) as exc:
        logger.warning("%s cannot be used (%s) and is made anew", path, exc)
    return None


def _new(path: Path) -> sqlite3.Connection:
    """Return an empty index; in memory if its file cannot be created."""
    try:
        _remove(path)
        path.touch(mode=0o600)
        db = _connected(path)
        db.executescript(_TABLES)
    except (sqlite3.Error, OSError) as exc:
        logger.warning("%s cannot be made (%s); until the next start, the index of runs is in memory", path, exc)
        return _in_memory()
    return db


def _in_memory() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.executescript(_TABLES)
    return db


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_LOCK_SECONDS, check_same_thread=False)
    for pragma in _PRAGMAS:
        db.execute(pragma)
    return db


def _remove(path: Path) -> None:
    """Delete the file, SQLite's auxiliary files, and the index files of earlier versions."""
    for left in (*path.parent.glob(f"{path.name}*"), *path.parent.glob("*.index.json")):
        with contextlib.suppress(OSError):
            left.unlink()
