"""Location and row counts of the record batches in an Arrow file or stream, found without reading their bodies.

The layout is specified at https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc; of its
flatbuffers (Message.fbs, File.fbs) only the needed fields are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from analystd.data.positioned_file import PositionedFile

FILE_MAGIC = b"ARROW1"
CONTINUATION = b"\xff\xff\xff\xff"
MAX_METADATA_BYTES = 64 * 1024 * 1024

_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_BLOCK = struct.Struct("<qixxxxq")
_INT = struct.Struct("<i")
_MESSAGE_HEADER_TYPE, _MESSAGE_HEADER, _MESSAGE_BODY_LENGTH = 1, 2, 3
_BATCH_LENGTH = 0
_FOOTER_BATCHES = 3


@dataclass(frozen=True)
class RecordBatchInfo:
    """The metadata of a record batch."""

    rows: int
    offset: int
    """The offset of its message."""
    end: int
    """The end of its body."""
    dictionaries: int = 0
    """The number of the stream's dictionary messages before it."""


@dataclass(frozen=True)
class StreamLayout:
    """The byte ranges of the messages in a stream."""

    schema: tuple[int, int]
    dictionaries: tuple[tuple[int, int], ...]
    batches: tuple[RecordBatchInfo, ...]
    cut: bool
    """Whether the stream ends in the middle of a message."""


def file_batches(file: PositionedFile) -> tuple[RecordBatchInfo, ...]:
    """Return the batches of an Arrow IPC file, from its footer and the messages that it points to.

    Raises:
        ValueError: when the file is damaged or truncated.
    """
    end = file.size - len(FILE_MAGIC) - _INT.size
    tail = file.read(max(0, end), file.size)
    if end <= 0 or not tail.endswith(FILE_MAGIC):
        raise ValueError("its end is missing: the file is cut or still being written")
    length = _INT.unpack_from(tail)[0]
    if not 0 < length <= min(end, MAX_METADATA_BYTES):
        raise ValueError(f"its footer has an invalid length of {length} bytes")
    footer = _Flat(file.read(end - length, length))
    blocks = footer.structs(footer.root, _FOOTER_BATCHES, _BLOCK)
    return tuple(_batch_at(file, offset) for offset, _metadata, _body in blocks)


def stream_layout(file: PositionedFile) -> StreamLayout:
    """Return the layout of an Arrow IPC stream, found by walking its messages.

    Raises:
        ValueError: when the stream is damaged, or ends before its schema does.
    """
    schema: tuple[int, int] | None = None
    dictionaries: list[tuple[int, int]] = []
    batches: list[RecordBatchInfo] = []
    cut = False
    for message in _messages(file):
        if message.end > file.size:
            cut = True
            break
        if message.kind == _SCHEMA and schema is None:
            schema = (message.offset, message.end)
        elif message.kind == _DICTIONARY:
            dictionaries.append((message.offset, message.end))
        elif message.kind == _BATCH:
            batches.append(RecordBatchInfo(message.rows, message.offset, message.end, len(dictionaries)))
        else:
            raise ValueError(f"a message of kind {message.kind} is not part of a table")
    if schema is None:
        raise ValueError("it ends before its schema does")
    return StreamLayout(schema, tuple(dictionaries), tuple(batches), cut)


@dataclass(frozen=True)
class _Message:
    kind: int
    rows: int
    offset: int
    end: int


def _messages(file: PositionedFile) -> Iterator[_Message]:
    offset = 0
    while offset < file.size:
        message = _message_at(file, offset)
        if message is None:
            return
        yield message
        offset = message.end


def _batch_at(file: PositionedFile, offset: int) -> RecordBatchInfo:
    message = _message_at(file, offset) if 0 < offset < file.size else None
    if message is None or message.kind != _BATCH or message.end > file.size:
        raise ValueError(f"there is no record batch at byte {offset}")
    return RecordBatchInfo(message.rows, offset, message.end)


def _message_at(file: PositionedFile, offset: int) -> _Message | None:
    """Return the message at an offset, with an end beyond the file's if it is truncated; None for the end-of-stream mark."""
    prefix = file.read(offset, 2 * _INT.size)
    # Before Arrow 0.15 there was no continuation mark.
    skip = _INT.size if prefix.startswith(CONTINUATION) else 0
    if len(prefix) < skip + _INT.size:
        return _Message(_BATCH, 0, offset, file.size + 1)
    length = _INT.unpack_from(prefix, skip)[0]
    if length == 0:
        return None
    if not 0 < length <= MAX_METADATA_BYTES:
        raise ValueError(f"the message at byte {offset} has an invalid metadata length of {length} bytes")
    begin = offset + skip + _INT.size
    metadata = file.read(begin, length)
    if len(metadata) < length:
        return _Message(_BATCH, 0, offset, file.size + 1)
    flat = _Flat(metadata)
    kind, body = flat.byte(flat.root, _MESSAGE_HEADER_TYPE), flat.long(flat.root, _MESSAGE_BODY_LENGTH)
    rows = flat.long(flat.table(flat.root, _MESSAGE_HEADER), _BATCH_LENGTH) if kind == _BATCH else 0
    if body < 0 or rows < 0:
        raise ValueError(f"the message at byte {offset} declares {rows} rows in {body} bytes")
    return _Message(kind, rows, offset, begin + length + body)


class _Flat:
    """A flatbuffer, whose tables are identified by their offsets. References out of the buffer raise ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.root = self._get("<I", 0)

    def byte(self, table: int, field: int) -> int:
        """Return a field of one byte, 0 if it is absent."""
        return self._get("<B", at) if (at := self._field(table, field)) else 0

    def long(self, table: int, field: int) -> int:
        """Return a field of eight bytes, 0 if it is absent."""
        return self._get("<q", at) if (at := self._field(table, field)) else 0

    def table(self, table: int, field: int) -> int:
        """Return the table that a field refers to."""
        at = self._field(table, field)
        if not at:
            raise ValueError("a part of its metadata is missing")
        return at + self._get("<I", at)

    def structs(self, table: int, field: int, kind: struct.Struct) -> list[tuple[int, ...]]:
        """Return the vector of structs that a field refers to, empty if it is absent."""
        at = self._field(table, field)
        if not at:
            return []
        vector = at + self._get("<I", at)
        count = self._get("<I", vector)
        data = self._data[vector + 4 : vector + 4 + count * kind.size]
        if len(data) != count * kind.size:
            raise ValueError("its metadata are damaged")
        return list(kind.iter_unpack(data))

    def _field(self, table: int, field: int) -> int:
        """Return the offset of a field, 0 if it is absent."""
        fields = table - self._get("<i", table)
        slot = 4 + 2 * field
        offset = self._get("<H", fields + slot) if slot < self._get("<H", fields) else 0
        return table + offset if offset else 0

    def _get(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            raise ValueError("its metadata are damaged")
        return int(struct.unpack_from(form, self._data, at)[0])
