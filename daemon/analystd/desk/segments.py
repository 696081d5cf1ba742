"""One file of the journal, with an event as JSON on each line. Invalid lines are skipped."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

from analystd.util.strict_json import MAX_NESTING, EncodedJson, NotEncodableError, cut, encoded, is_nested_deeper
from analystd.wire.framing import MAX_MESSAGE_BYTES
from analystd.wire.names import EventKind

logger = logging.getLogger(__name__)

Event = dict[str, Any]

MAX_EVENT_BYTES = MAX_MESSAGE_BYTES - 4 * 1024 * 1024
"""Maximum size of an event's line, so that it fits into any message that may carry it."""

_MAX_NESTING = MAX_NESTING - 10
"""An event is part of a message, which must not nest deeper than clients can read."""

_MAX_LINE_BYTES = 256 * 1024 * 1024
"""Maximum size of a line of an earlier version that is read and then cut."""

_PIECE_BYTES = 1024 * 1024
_CHECKED_BYTES = 64 * 1024
_HEAD_BYTES = 4 * 1024

MILESTONES = (EventKind.RUN_QUEUED, EventKind.RUN_STARTED, EventKind.RUN_FINISHED)
"""The kinds of events that change what is known of a run as a whole."""

_NUMBER = re.compile(rb'\{"seq":(\d+),')
"""The beginning of each line, as `Journal.append` writes it."""

_RUN = re.compile(rb'\{"seq":(\d+),"run_id":"(\w+)","kind":"(\w+)"')
"""The beginning of the line of a run's event."""

_CLIENT = re.compile(rb'"client_id":(null|"[^"\\]*")')
"""The client id, near the beginning of a line; within a text, each quote would follow a backslash."""

_NEAR_BYTES = 64 * 1024
"""A range of at most this size is read line by line instead of being halved again."""


class JournalEntry:
    """An event and its line in the journal. An event that was read is decoded when its content is needed."""

    def __init__(self, line: bytes, event: Event | None = None) -> None:
        self.line = line
        if event is not None:
            self.event = event

    @cached_property
    def event(self) -> Event:
        """The decoded event."""
        event: Event = json.loads(self.line)
        return event

    @property
    def seq(self) -> int:
        """The event's number."""
        begin = _NUMBER.match(self.line)
        return int(begin[1]) if begin is not None else int(self.event["seq"])

    @property
    def run_id(self) -> str | None:
        """The id of the run that the event belongs to."""
        begin = _RUN.match(self.line)
        return None if begin is None else begin[2].decode()

    @property
    def client_id(self) -> str | None:
        """The id of the client that asked for that run."""
        found = _CLIENT.search(self.line, 0, _HEAD_BYTES)
        client_id: str | None = self.event.get("client_id") if found is None else json.loads(found[1])
        return client_id

    def to_json(self) -> EncodedJson:
        """Return the event in a form that can be embedded in a message."""
        return EncodedJson(self.line.rstrip(b"\n"))


def bounded_entry(event: Event) -> JournalEntry:
    """Return the entry of an event; large parts are cut if its line would exceed `MAX_EVENT_BYTES` or it cannot be encoded.

    In a cut event `truncated` is true and `original_bytes` is the original size of its line (null if it could not be encoded).
    """
    size = None
    try:
        line = encoded(event) + b"\n"
        size = len(line)
        if size <= MAX_EVENT_BYTES and not _is_too_deep(event, line):
            return JournalEntry(line, event)
    except NotEncodableError as exc:
        logger.warning("an event of the kind %s cannot be encoded and is cut: %s", event["kind"], exc)
    event = {**cut(event, MAX_EVENT_BYTES // 2), "truncated": True, "original_bytes": size}
    return JournalEntry(encoded(event) + b"\n", event)


def _is_too_deep(event: Event, line: bytes) -> bool:
    return line.count(b"[") + line.count(b"{") > _MAX_NESTING and is_nested_deeper(event, _MAX_NESTING)


@dataclass
class Segment:
    """A file of consecutive events numbered from `first` to `last`."""

    path: Path
    first: int
    last: int
    """The number of the last event on disk."""

    def events(
        self, *, of: Container[str] | None = None, kinds: Container[str] | None = None, after: int = 0
    ) -> Iterator[JournalEntry]:
        """Yield the events of runs after the number `after`: of some runs, or all (None), and of some kinds, or all. Other lines are not parsed."""
        with self.path.open("rb") as file:
            file.seek(_offset_before(file, after + 1))
            for line in _lines(file):
                begin = _RUN.match(line)
                if begin is None or int(begin[1]) <= after:
                    continue
                if (of is None or begin[2].decode() in of) and (kinds is None or begin[3].decode() in kinds):
                    with contextlib.suppress(ValueError, RecursionError):
                        yield _entry(line)


def load_segments(folder: Path) -> list[Segment]:
    """Return the segments that an earlier journal left, oldest first; half a line at the end of the last one is removed."""
    # The folder may contain copies that a user made.
    paths = sorted(path for path in folder.glob("*.jsonl") if path.stem.isascii() and path.stem.isdigit())
    firsts = [int(path.stem) for path in paths]
    segments = [Segment(path, first, after - 1) for path, first, after in zip(paths, firsts, firsts[1:], strict=False)]
    if paths:
        segments.append(Segment(paths[-1], firsts[-1], _cut_half_line(paths[-1]) or firsts[-1] - 1))
    return segments


def entries_between(file: BufferedReader, after: int, last: int) -> Iterator[JournalEntry]:
    """Yield the events with numbers above `after` and up to `last`; earlier lines are skipped by seeking."""
    file.seek(_offset_before(file, after + 1))
    for line in _lines(file):
        number = _number_of(line)
        if number is not None and number > last:
            return
        if number is not None and number > after:
            with contextlib.suppress(ValueError, RecursionError):
                yield _entry(line)


def _lines(file: BufferedReader) -> Iterator[bytes]:
    """Yield the lines of a file; a line longer than any that was ever written deliberately is skipped."""
    while line := file.readline(_MAX_LINE_BYTES):
        if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
            logger.error("a line of over %d bytes in %s is passed over", _MAX_LINE_BYTES, file.name)
            _pass_line(file)
            continue
        yield line


def _entry(line: bytes) -> JournalEntry:
    """Return the entry of a line; earlier versions wrote lines of any length, which are cut.

    Raises:
        ValueError: if the line is invalid.
    """
    if len(line) > MAX_EVENT_BYTES:
        return bounded_entry(json.loads(line))
    if len(line) <= _CHECKED_BYTES:
        return JournalEntry(line, json.loads(line))
    # The line was written in one piece and is complete; decoding all of it would delay every client.
    if not line.endswith(b"}\n"):
        raise ValueError("half a line")
    return JournalEntry(line)


def _offset_before(file: BufferedReader, number: int) -> int:
    """Return the offset of a line at or shortly before that of `number`, found by bisection."""
    low, high = 0, file.seek(0, 2)
    while high - low > _NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        _pass_line(file)
        start = file.tell()
        found = _number_of(file.readline(32)) if start < high else None
        if found is None or found >= number:
            high = middle
        else:
            low = start
    return low


def _pass_line(file: BufferedReader) -> None:
    while (line := file.readline(_PIECE_BYTES)) and not line.endswith(b"\n"):
        pass


def _number_of(line: bytes) -> int | None:
    begin = _NUMBER.match(line)
    return None if begin is None else int(begin[1])


def _cut_half_line(path: Path) -> int | None:
    """Remove an incomplete event that a crash left at the end of the file; return the number of the last complete one."""
    with path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
    return next((number for line in reversed(data.split(b"\n")[:-1]) if (number := _number_of(line)) is not None), None)
