"""The records of a text, read at any place: what tables of text are made of."""

from __future__ import annotations

from collections.abc import Iterator

from analystd.data.text.content import Content
from analystd.data.text.dialect import NO_QUOTE, Dialect, strip_newlines
from analystd.data.text.record_chunks import RecordChunk
from analystd.data.text.record_index import RecordIndex, too_long

MAX_RECORD_BYTES = 64 * 1024 * 1024

_FIRST_CHUNK_BYTES = 64 * 1024
_CHUNK_BYTES = 1024 * 1024
_STRETCH_BLOCKS = 8
_FIRST_TAIL_BYTES = 64 * 1024
_MOST_TAIL_BYTES = 64 * 1024 * 1024


class TextRecords:
    """The records behind the header, counted from 0, without their line ends. The index may be shared with others who read the same text."""

    def __init__(self, content: Content, dialect: Dialect, index: RecordIndex) -> None:
        self._content = content
        self._dialect = dialect
        self._index = index

    @property
    def known(self) -> int | None:
        """How many there are, if they were counted before."""
        total = self._index.total
        return None if total is None else self._behind_header(total)

    @property
    def unclosed(self) -> bool:
        """Whether the text is known to end inside quotes."""
        return self._index.unclosed

    def count(self) -> int:
        """How many there are; reads the whole text once. Raises as `Content.read`."""
        return self._behind_header(self._index.count(self._content))

    def header(self) -> bytes | None:
        """The first record of the text, whatever it is; None if there is none. Raises as `records`."""
        return next(iter(self._from(self._dialect.start, 1)), None)

    def records(self, offset: int, count: int) -> list[bytes]:
        """At most `count` records from number `offset`.

        Raises:
            WorkspaceError: for a record of more than 64 MiB, as an opening quote without a closing one makes; else as `Content.read`.
        """
        if count <= 0:
            return []
        if offset == 0:
            # No index is needed behind the header.
            return self._from(self._dialect.start, count + self._dialect.header)[int(self._dialect.header) :]
        begin = self._index.seek(self._content, offset + self._dialect.header)
        return [] if begin is None else self._from(begin, count)

    def tail(self, count: int) -> list[bytes]:
        """The last `count` records: from the back as long as no quote is met, from the front otherwise. Raises as `records`."""
        if self._index.total is None and (found := self._tail_from_the_back(count)) is not None:
            return found
        return self.records(max(0, self.count() - count), count)

    def stretches(self, start: int = 0) -> Iterator[RecordChunk]:
        """All records from stretch number `start` on, about 8 MiB at a time; cancelling is noticed in between. Raises as `records`."""
        here = self._stretch_begin(start)
        while here is not None:
            begin, record = here
            after = self._stretch_begin(start + 1)
            end, next_record = after or (self._end(), self.count() + self._dialect.header)
            if end - begin > MAX_RECORD_BYTES:
                raise too_long(self._content.name, MAX_RECORD_BYTES)
            if next_record > record:
                data = self._content.read(begin, end - begin)
                done = self._content.done(end)
                yield RecordChunk(start, self._behind_header(record), next_record - record, data, done)
            start, here = start + 1, after

    def _stretch_begin(self, number: int) -> tuple[int, int] | None:
        """Where a stretch begins, and the number of its first record, the header counted too."""
        if number == 0 and self._dialect.header:
            begin = self._index.seek(self._content, 1)
            return None if begin is None else (begin, 1)
        # The first stretches are short: many a search ends there.
        few = number < _STRETCH_BLOCKS
        return self._index.first_begin(
            self._content, number if few else (number - _STRETCH_BLOCKS + 1) * _STRETCH_BLOCKS
        )

    def _end(self) -> int:
        size = self._content.size
        # The records were counted, so the end was met.
        assert size is not None
        return size

    def _from(self, begin: int, count: int) -> list[bytes]:
        """At most `count` records from a place where one begins."""
        found: list[bytes] = []
        chunk = _FIRST_CHUNK_BYTES
        while len(found) < count:
            data = self._content.read(begin, chunk)
            records, consumed = self._dialect.split(data, count - len(found))
            found += records
            rest = strip_newlines(data[consumed:])
            begin += len(data) - len(rest)
            if len(found) < count and len(rest) > MAX_RECORD_BYTES:
                raise too_long(self._content.name, MAX_RECORD_BYTES)
            if len(found) < count and len(data) < chunk:
                return [*found, *filter(None, [rest])]
            if len(rest) < len(data):
                chunk = min(2 * chunk, _CHUNK_BYTES)
            else:
                # All of it is the beginning of one record, for whose line end there is room, too.
                chunk = min(4 * chunk, MAX_RECORD_BYTES + 1)
        return found

    def _tail_from_the_back(self, count: int) -> list[bytes] | None:
        """With no quote between here and the end, every line on the way is a record; None where only the way from the front is exact."""
        size, start = self._content.size, self._dialect.start
        if size is None:
            return None
        length = _FIRST_TAIL_BYTES
        while length <= _MOST_TAIL_BYTES:
            begin = max(start, size - length)
            data = self._content.read(begin, size - begin)
            if self._dialect.quote != NO_QUOTE and self._dialect.quote in data:
                return None
            records = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line]
            first = begin == start and not self._dialect.header
            if begin == start or len(records) > count:
                # The first one may be the header, or cut, or one too many.
                return records[0 if first else 1 :][-count:]
            length *= 4
        return None

    def _behind_header(self, records: int) -> int:
        return max(0, records - self._dialect.header)
