"""What was found out about filters and orders of files, so that the next page need not find it out again."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analystd.data.view_request import ViewRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_SELECTIONS = 64
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class SeenPart:
    """One part of a table, looked through for a filter."""

    number: int
    before: int
    """How many rows meet the filter in the parts before."""
    matches: int
    strange: int
    """How many values of the filter's columns do not fit their types, here and in the parts before."""

    @property
    def after(self) -> int:
        """How many rows meet the filter up to the end of this part."""
        return self.before + self.matches


class Matches:
    """How many rows of each part meet a filter, as far as the table was looked through. Several threads may add."""

    def __init__(self) -> None:
        self._parts: list[SeenPart] = []
        self._ends: list[int] = []
        self._lock = threading.Lock()
        self.complete = False
        """Whether the whole table was looked through."""

    @property
    def last(self) -> SeenPart | None:
        """The last part seen."""
        return self._parts[-1] if self._parts else None

    @property
    def total(self) -> int | None:
        """How many rows meet the filter, once that is known."""
        if not self.complete:
            return None
        return self._ends[-1] if self._ends else 0

    def last_before(self, match: int) -> SeenPart | None:
        """The last part seen that lies before the match of this number, counted from 0; None if it may be in the first."""
        at = bisect_right(self._ends, match)
        return self._parts[at - 1] if at else None

    def note(self, part: SeenPart) -> None:
        """Remember the part that comes after the last one; one that was noted before is passed over."""
        with self._lock:
            if not self._parts or part.number > self._parts[-1].number:
                self._parts.append(part)
                self._ends.append(part.after)


@dataclass(frozen=True)
class Ordered:
    """The first rows of a table in an order, or the last ones, the very last first."""

    numbers: NDArray[np.int64]
    total: int
    """How many rows meet the filter."""
    strange: int
    """How many values of the keys and the filter's columns do not fit their types, and count as missing."""

    def holds(self, count: int) -> bool:
        """Whether so many rows from the beginning are known."""
        return len(self.numbers) >= min(count, self.total)


@dataclass
class Selection:
    """What is known of one filter and order of one file."""

    matches: Matches = field(default_factory=Matches)
    first: Ordered | None = None
    last: Ordered | None = None

    @property
    def nbytes(self) -> int:
        """The memory that the row numbers take."""
        return sum(each.numbers.nbytes for each in (self.first, self.last) if each is not None)


class Selections:
    """What is known of the filters and orders that were asked for last. Several threads may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Selection] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, file: Hashable, question: ViewRequest) -> Selection:
        """What is known of the question's filter and order; `file` changes with the file's content."""
        key = (file, question.delimiter, repr(question.filter), question.sort)
        with self._lock:
            selection = self._known.setdefault(key, Selection())
            self._known.move_to_end(key)
            while len(self._known) > 1 and self._too_much():
                self._known.popitem(last=False)
            return selection

    def _too_much(self) -> bool:
        return len(self._known) > _MOST_SELECTIONS or sum(each.nbytes for each in self._known.values()) > _MOST_BYTES
