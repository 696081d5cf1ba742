"""Random access to the records of a text."""

from __future__ import annotations

from collections.abc import Iterator

from analystd.data.text.content import Content
from analystd.data.text.dialect import NO_QUOTE, Dialect, strip_newlines
from analystd.data.text.record_chunks import RecordChunk
from analystd.data.text.record_index import RecordIndex, too_long

MAX_RECORD_BYTES = 64 * 1024 * 1024

_FIRST_READ_BYTES = 64 * 1024
_READ_BYTES = 1024 * 1024
_CHUNK_BLOCKS = 8
_FIRST_TAIL_BYTES = 64 * 1024
_MOST_TAIL_BYTES = 64 * 1024 * 1024


class TextRecords:
    """The records after the header, counted from 0, without their line ends. Several readers may share the index."""

    def __init__(self, content: Content, dialect: Dialect, index: RecordIndex) -> None:
        self._content = content
        self._dialect = dialect
        self._index = index

    @property
    def known(self) -> int | None:
        """The number of records, if they were counted before."""
        total = self._index.total
        return None if total is None else self._behind_header(total)

    @property
    def unclosed(self) -> bool:
        """Whether the text is known to end inside quotes."""
        return self._index.unclosed

    def count(self) -> int:
        """Return the number of records, reading the whole text once. Raises as `Content.read`."""
        return self._behind_header(self._index.count(self._content))

    def header(self) -> bytes | None:
        """Return the first record of the text, header or not; None if the text has none. Raises as `records`."""
        return next(iter(self._from(self._dialect.start, 1)), None)

    def records(self, offset: int, count: int) -> list[bytes]:
        """Return at most `count` records from number `offset`.

        Raises:
            WorkspaceError: for a record of more than 64 MiB, for example because a closing quote is missing; else as `Content.read`.
        """
        if count <= 0:
            return []
        if offset == 0:
            # The first records need no index.
            return self._from(self._dialect.start, count + self._dialect.header)[int(self._dialect.header) :]
        begin = self._index.seek(self._content, offset + self._dialect.header)
        return [] if begin is None else self._from(begin, count)

    def tail(self, count: int) -> list[bytes]:
        """Return the last `count` records, read from the end if it contains no quote, else from the beginning. Raises as `records`."""
        if self._index.total is None and (found := self._tail_from_the_back(count)) is not None:
            return found
        return self.records(max(0, self.count() - count), count)

    def chunks(self, start: int = 0) -> Iterator[RecordChunk]:
        """Yield all records from chunk number `start` on, in chunks of about 8 MiB; cancellation is checked between them. Raises as `records`."""
        here = self._chunk_begin(start)
        while here is not None:
            begin, record = here
            after = self._chunk_begin(start + 1)
            end, next_record = after or (self._end(), self.count() + self._dialect.header)
            if end - begin > MAX_RECORD_BYTES:
                raise too_long(self._content.name, MAX_RECORD_BYTES)
            if next_record > record:
                data = self._content.read(begin, end - begin)
                done = self._content.done(end)
                yield RecordChunk(start, self._behind_header(record), next_record - record, data, done)
            start, here = start + 1, after

    def _chunk_begin(self, number: int) -> tuple[int, int] | None:
        """Return the offset of a chunk and the number of its first record, counting the header."""
        if number == 0 and self._dialect.header:
            begin = self._index.seek(self._content, 1)
            return None if begin is None else (begin, 1)
        # The first chunks are short, because many searches end there.
        few = number < _CHUNK_BLOCKS
        return self._index.first_begin(self._content, number if few else (number - _CHUNK_BLOCKS + 1) * _CHUNK_BLOCKS)

    def _end(self) -> int:
        size = self._content.size
        # The records were counted, so the end was reached.
        assert size is not None
        return size

    def _from(self, begin: int, count: int) -> list[bytes]:
        """Return at most `count` records from `begin`, where a record begins."""
        found: list[bytes] = []
        length = _FIRST_READ_BYTES
        while len(found) < count:
            data = self._content.read(begin, length)
            records, consumed = self._dialect.split(data, count - len(found))
            found += records
            rest = strip_newlines(data[consumed:])
            begin += len(data) - len(rest)
            if len(found) < count and len(rest) > MAX_RECORD_BYTES:
                raise too_long(self._content.name, MAX_RECORD_BYTES)
            if len(found) < count and len(data) < length:
                return [*found, *filter(None, [rest])]
            if len(rest) < len(data):
                length = min(2 * length, _READ_BYTES)
            else:
                # All bytes belong to one record; leave room for its line end.
                length = min(4 * length, MAX_RECORD_BYTES + 1)
        return found

    def _tail_from_the_back(self, count: int) -> list[bytes] | None:
        """Return the last records if no quote occurs among the last bytes, so that each line is a record; else None."""
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
                # Drop the first one, which may be the header, incomplete, or one too many.
                return records[0 if first else 1 :][-count:]
            length *= 4
        return None

    def _behind_header(self, records: int) -> int:
        return max(0, records - self._dialect.header)
