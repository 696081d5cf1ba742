"""Chunks of JSON Lines as arrays, parsed by pyarrow where its result is the same, and line by line otherwise."""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.json as pa_json

from analystd.data.column_chunks import ColumnChunk
from analystd.data.positioned_file import ProgressListener
from analystd.data.prefetch import ahead
from analystd.data.text.dialect import Dialect, strip_newlines
from analystd.data.text.json_records import ExactInteger, ExactNumber, parse_records
from analystd.data.text.record_chunks import RecordChunk
from analystd.wire.results import ColumnInfo

_QUICK = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "text": pa.string()}
_MOST_DIGITS = 38
_LARGEST = 2**63
_encode = json.JSONEncoder(ensure_ascii=False).encode


def column_chunks(
    chunks: Iterator[RecordChunk], columns: Sequence[ColumnInfo], dialect: Dialect, listener: ProgressListener
) -> Iterator[ColumnChunk]:
    """Yield the columns of each chunk, in order, parsing two chunks ahead.

    Integers are `int64`, `decimal128(38, 0)` in a chunk with larger ones, or doubles in one with fractions; other numbers
    are doubles. Everything else is UTF-8 as `binary`: text as it is, other values as JSON.

    Raises:
        AnalystdError: if iterating over `chunks` raises it, for example because the request was cancelled.
    """
    pairs = ((_part(chunk, columns, dialect), chunk.done) for chunk in chunks)
    with closing(ahead(pairs)) as parts:
        for part, done in parts:
            yield part
            listener.report(done)


def _part(chunk: RecordChunk, columns: Sequence[ColumnInfo], dialect: Dialect) -> ColumnChunk:
    found = {name: (array, 0) for name, array in _quick(chunk, columns).items()}
    rest = {each["name"]: each["type"] for each in columns if each["name"] not in found}
    if rest:
        values: dict[str, list[Any]] = {name: [] for name in rest}
        for record in parse_records(_lines(chunk, dialect)):
            for name, column in values.items():
                column.append(record.values.get(name))
        found |= {name: _array(values[name], kind) for name, kind in rest.items()}
    arrays = [found[each["name"]] for each in columns]
    return ColumnChunk(
        chunk.number,
        chunk.first_row,
        chunk.num_rows,
        [array for array, _ in arrays],
        [mismatches for _, mismatches in arrays],
    )


def _lines(chunk: RecordChunk, dialect: Dialect) -> list[bytes]:
    """Return the `num_rows` lines of a chunk."""
    lines, consumed = dialect.split(chunk.data, chunk.num_rows)
    return [*lines, *filter(None, [strip_newlines(chunk.data[consumed:])])]


def _quick(chunk: RecordChunk, columns: Sequence[ColumnInfo]) -> dict[str, pa.Array]:
    """Return the columns that pyarrow can parse; none if it finds another number of objects, or values of other types."""
    # A replacement character in a name stands for invalid UTF-8, so pyarrow would not find the name.
    plain = [each for each in columns if each["type"] in _QUICK and "\ufffd" not in each["name"]]
    schema = pa.schema([(each["name"], _QUICK[each["type"]]) for each in plain])
    if not len(schema):
        return {}
    try:
        table = pa_json.read_json(
            pa.BufferReader(chunk.data),
            # Parse everything as one block, so that each column is one array.
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(chunk.data) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeEncodeError):
        return {}
    if table.num_rows != chunk.num_rows:
        return {}
    return {name: _settled(table.column(name).combine_chunks()) for name in schema.names}


def _settled(array: pa.Array) -> pa.Array:
    return array if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) else _bytes(array)


def _bytes(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()).view(pa.binary())


def _array(values: Sequence[Any], kind: str) -> tuple[pa.Array, int]:
    """Return the values of one column, and how many values of a numeric column are not numbers."""
    if kind not in ("integer", "number"):
        return pa.array([_text(value) for value in values], pa.binary()), 0
    numbers = [value if _is_number(value) else None for value in values]
    mismatches = sum(value is not None for value in values) - sum(number is not None for number in numbers)
    if kind == "integer" and not any(isinstance(number, (float, ExactNumber)) for number in numbers):
        integers = [None if number is None or len(str(number)) > _MOST_DIGITS else int(number) for number in numbers]
        mismatches += integers.count(None) - numbers.count(None)
        large = any(number is not None and not -_LARGEST <= number < _LARGEST for number in integers)
        if large:
            return pa.array(map(_decimal, integers), pa.decimal128(_MOST_DIGITS, 0)), mismatches
        return pa.array(integers, pa.int64()), mismatches
    return pa.array([None if number is None else float(number) for number in numbers], pa.float64()), mismatches


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, ExactInteger, ExactNumber)) and not isinstance(value, bool)


def _decimal(number: int | None) -> decimal.Decimal | None:
    return None if number is None else decimal.Decimal(number)


def _text(value: Any) -> bytes | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else _encode(value)
    return text.encode("utf-8", "replace")
