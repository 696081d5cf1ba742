"""One file of the journal: a line of JSON for each event. A line that is no event is passed over."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from analystd.protocol import EventKind

Event = dict[str, Any]

MILESTONES = (EventKind.RUN_QUEUED, EventKind.RUN_STARTED, EventKind.RUN_FINISHED)
"""The kinds of events that change what is known of a run as a whole."""

_NUMBER = re.compile(rb'\{"seq":(\d+),')
"""How each line begins, as `Journal.append` writes it."""

_RUN = re.compile(rb'\{"seq":(\d+),"run_id":"(\w+)","kind":"(\w+)"')
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

    def events(
        self, *, of: Container[str] | None = None, kinds: Container[str] | None = None, after: int = 0
    ) -> Iterator[Entry]:
        """The events of runs with numbers above `after`: of some runs or (None) of all, of some kinds or of all. Only their lines are parsed."""
        with self.path.open("rb") as file:
            file.seek(_offset_before(file, after + 1))
            for line in file:
                begin = _RUN.match(line)
                if begin is None or int(begin[1]) <= after:
                    continue
                if (of is None or begin[2].decode() in of) and (kinds is None or begin[3].decode() in kinds):
                    with contextlib.suppress(ValueError):
                        yield Entry(json.loads(line), line)


def load_segments(folder: Path) -> list[Segment]:
    """The segments that an earlier journal left, oldest first; half a line at the end of the last one is cut off."""
    # Somebody's copies of them lie here too, perhaps.
    paths = sorted(path for path in folder.glob("*.jsonl") if path.stem.isascii() and path.stem.isdigit())
    firsts = [int(path.stem) for path in paths]
    segments = [Segment(path, first, after - 1) for path, first, after in zip(paths, firsts, firsts[1:], strict=False)]
    if paths:
        segments.append(Segment(paths[-1], firsts[-1], _cut_half_line(paths[-1]) or firsts[-1] - 1))
    return segments


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


def _cut_half_line(path: Path) -> int | None:
    """Drop what a crash left of an event at the end of the file; gives the number of the last one that is whole."""
    with path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
    return next((number for line in reversed(data.split(b"\n")[:-1]) if (number := _number_of(line)) is not None), None)
