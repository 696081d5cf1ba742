"""Arrow IPC files and streams as tables; Feather version 2 is an Arrow IPC file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase

import pyarrow as pa
import pyarrow.ipc as ipc

from analystd.data.lru import LruCache
from analystd.data.positioned_file import PositionedFile, PositionedStream
from analystd.data.table import Table
from analystd.data.typed.arrow_groups import RowGroup
from analystd.data.typed.arrow_messages import FILE_MAGIC, RecordBatchInfo, StreamLayout, file_batches, stream_layout
from analystd.data.typed.arrow_rows import GroupedTable
from analystd.wire.errors import WorkspaceError

_FEATHER_1_MAGIC = b"FEA1"


def open_arrow(file: PositionedFile, known: LruCache) -> Table:
    """Return the table in an Arrow IPC file or stream; `known` caches the location of its batches.

    Raises:
        WorkspaceError: for a damaged file, or one of another format.
    """
    magic = file.read(0, len(FILE_MAGIC))
    if magic.startswith(_FEATHER_1_MAGIC):
        raise WorkspaceError(
            f"{file.name} is Feather of version 1, which is not supported",
            "Save it again as Feather of version 2, as pandas and pyarrow do",
        )
    return ArrowFile(file, known) if magic == FILE_MAGIC else ArrowStream(file, known)


class _ArrowTable(GroupedTable):
    """The common part of files and streams: a group is a record batch, of which the requested columns are read whole."""

    kind = "Arrow"

    def __init__(self, file: PositionedFile) -> None:
        super().__init__(file.name, file.listener)
        self._file = file

    @abstractmethod
    def _batch(self, number: int, columns: Sequence[int]) -> pa.RecordBatch:
        """Return record batch `number`, with these of its columns in the file's order."""

    def _read(self, number: int, columns: Sequence[int], batch_rows: int) -> Iterator[list[pa.Array]]:
        wanted = sorted(set(columns))
        batch = self._batch(number, wanted)
        if batch.num_rows != self._groups[number].rows:
            raise WorkspaceError(f"{self.name} changed while it was read", "Try again when it is complete")
        arrays = [_validated(batch.column(wanted.index(at))) for at in columns]
        for begin in range(0, batch.num_rows, batch_rows):
            yield [array.slice(begin, batch_rows) for array in arrays]


class ArrowFile(_ArrowTable):
    """An open Arrow IPC file. Only the requested columns of the batches with requested rows are read."""

    def __init__(self, file: PositionedFile, known: LruCache) -> None:
        super().__init__(file)
        with self.translated():
            batches: tuple[RecordBatchInfo, ...] = known.learn(("arrow file", file.key), lambda: file_batches(file))
            reader = self._opened(ipc.IpcReadOptions(use_threads=False))
            if reader.num_record_batches != len(batches):
                raise ValueError("its metadata are damaged")
            self._set(reader.schema, _groups(batches))

    def _batch(self, number: int, columns: Sequence[int]) -> pa.RecordBatch:
        options = ipc.IpcReadOptions(use_threads=False, included_fields=list(columns))
        return self._opened(options).get_batch(number)

    def _opened(self, options: ipc.IpcReadOptions) -> ipc.RecordBatchFileReader:
        return ipc.open_file(pa.PythonFile(PositionedStream(self._file), mode="r"), options=options)


class ArrowStream(_ArrowTable):
    """An Arrow IPC stream in a file. Each batch is read on its own, after the schema and the dictionaries before it."""

    def __init__(self, file: PositionedFile, known: LruCache) -> None:
        super().__init__(file)
        with self.translated():
            self._layout: StreamLayout = known.learn(("arrow stream", file.key), lambda: stream_layout(file))
            self._set(self._opened([], None).schema, _groups(self._layout.batches))

    @property
    def warnings(self) -> list[str]:
        """A warning if the stream's end is missing."""
        if not self._layout.cut:
            return []
        return ["The last record batch is incomplete and left out: the file is cut or still being written"]

    def _batch(self, number: int, columns: Sequence[int]) -> pa.RecordBatch:
        batch = self._layout.batches[number]
        spans = [*self._layout.dictionaries[: batch.dictionaries], (batch.offset, batch.end)]
        return self._opened(spans, columns).read_next_batch()

    def _opened(self, spans: Sequence[tuple[int, int]], columns: Sequence[int] | None) -> ipc.RecordBatchStreamReader:
        options = ipc.IpcReadOptions(use_threads=False, included_fields=None if columns is None else list(columns))
        stream = _Spliced(self._file, [_Span(*span) for span in (self._layout.schema, *spans)])
        return ipc.open_stream(pa.PythonFile(stream, mode="r"), options=options)


@dataclass(frozen=True)
class _Span:
    begin: int
    end: int


class _Spliced(RawIOBase):
    """Ranges of a file as one stream."""

    def __init__(self, file: PositionedFile, spans: Sequence[_Span]) -> None:
        super().__init__()
        self._file = file
        self._spans = list(spans)

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end of the ranges."""
        wanted = sum(span.end - span.begin for span in self._spans) if size is None or size < 0 else size
        pieces = []
        while wanted > 0 and self._spans:
            span = self._spans.pop(0)
            piece = self._file.read(span.begin, min(wanted, span.end - span.begin))
            pieces.append(piece)
            wanted -= len(piece)
            if piece and span.begin + len(piece) < span.end:
                self._spans.insert(0, _Span(span.begin + len(piece), span.end))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _groups(batches: Sequence[RecordBatchInfo]) -> list[RowGroup]:
    return [RowGroup(batch.rows, batch.end - batch.offset) for batch in batches]


def _validated(array: pa.Array) -> pa.Array:
    """Return the array after checking that its offsets stay within its memory, which pyarrow does not check on reading."""
    binary = _BINARY_OF_TEXT.get(array.type)
    # Invalid UTF-8 in text is later shown with replacement characters.
    (array if binary is None else array.view(binary)).validate(full=True)
    return array


_BINARY_OF_TEXT = {
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}
