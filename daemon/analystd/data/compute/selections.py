"""A cache of the results of filters and sort orders, for the next pages of the same view."""

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
class SeenChunk:
    """The result of a filter in one chunk of a table."""

    number: int
    before: int
    """The number of rows that meet the filter in the chunks before."""
    matches: int
    mismatches: int
    """The number of values of the filter's columns that do not match their types, in this chunk and those before."""

    @property
    def after(self) -> int:
        """The number of rows that meet the filter up to the end of this chunk."""
        return self.before + self.matches


class Matches:
    """The number of rows that meet a filter in each chunk read so far. Several threads may add."""

    def __init__(self) -> None:
        self._chunks: list[SeenChunk] = []
        self._ends: list[int] = []
        self._lock = threading.Lock()
        self.complete = False
        """Whether the whole table was read."""

    @property
    def last(self) -> SeenChunk | None:
        """The last chunk read."""
        return self._chunks[-1] if self._chunks else None

    @property
    def total(self) -> int | None:
        """The number of rows that meet the filter, once the whole table was read."""
        if not self.complete:
            return None
        return self._ends[-1] if self._ends else 0

    def last_before(self, match: int) -> SeenChunk | None:
        """Return the last chunk read that ends before match number `match`, from 0; None if the match may be in the first."""
        at = bisect_right(self._ends, match)
        return self._chunks[at - 1] if at else None

    def note(self, chunk: SeenChunk) -> None:
        """Record the chunk after the last one; a chunk that is already recorded is ignored."""
        with self._lock:
            if not self._chunks or chunk.number > self._chunks[-1].number:
                self._chunks.append(chunk)
                self._ends.append(chunk.after)


@dataclass(frozen=True)
class Ordered:
    """The first rows of a table in sort order, or the last ones, the very last first."""

    numbers: NDArray[np.int64]
    total: int
    """The number of rows that meet the filter."""
    mismatches: int
    """The number of values of the keys' and the filter's columns that do not match their types and count as missing."""

    def holds(self, count: int) -> bool:
        """Return whether the first `count` rows are known."""
        return len(self.numbers) >= min(count, self.total)


@dataclass
class Selection:
    """The cached results of one filter and sort order of one file."""

    matches: Matches = field(default_factory=Matches)
    first: Ordered | None = None
    last: Ordered | None = None

    @property
    def nbytes(self) -> int:
        """The size of the row numbers in bytes."""
        return sum(each.numbers.nbytes for each in (self.first, self.last) if each is not None)


class Selections:
    """The cached results of the most recent filters and sort orders. Several threads may use it."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Selection] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, file: Hashable, request: ViewRequest) -> Selection:
        """Return the cached results of the request's filter and sort order; `file` changes with the file's content."""
        key = (file, request.delimiter, repr(request.filter), request.sort)
        with self._lock:
            selection = self._known.setdefault(key, Selection())
            self._known.move_to_end(key)
            while len(self._known) > 1 and self._too_much():
                self._known.popitem(last=False)
            return selection

    def _too_much(self) -> bool:
        return len(self._known) > _MOST_SELECTIONS or sum(each.nbytes for each in self._known.values()) > _MOST_BYTES
