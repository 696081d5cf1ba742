"""Stretches of JSON Lines as arrays: by pyarrow where it reads them as we do, line by line otherwise."""

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
from analystd.data.text.dialect import Dialect, strip_newlines
from analystd.data.text.json_records import ExactInteger, ExactNumber, parse_records
from analystd.data.text.record_chunks import RecordChunk
from analystd.data.typed.prefetch import ahead
from analystd.wire.results import ColumnInfo

_QUICK = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "text": pa.string()}
_MOST_DIGITS = 38
_LARGEST = 2**63
_encode = json.JSONEncoder(ensure_ascii=False).encode


def column_parts(
    stretches: Iterator[RecordChunk], columns: Sequence[ColumnInfo], dialect: Dialect, caller: ProgressListener
) -> Iterator[ColumnChunk]:
    """The columns of each stretch, in order, two stretches ahead.

    Integers are `int64`, or `decimal128(38, 0)` in a part that has larger ones, or doubles in one that has fractions; other
    numbers are doubles. Everything else is UTF-8 as `binary`: texts as they are, other values as their JSON.

    Raises:
        AnalystdError: what `stretches` raises, as when the request was cancelled.
    """
    pairs = ((_part(stretch, columns, dialect), stretch.done) for stretch in stretches)
    with closing(ahead(pairs)) as parts:
        for part, done in parts:
            yield part
            caller.report(done)


def _part(stretch: RecordChunk, columns: Sequence[ColumnInfo], dialect: Dialect) -> ColumnChunk:
    found = {name: (array, 0) for name, array in _quick(stretch, columns).items()}
    rest = {each["name"]: each["type"] for each in columns if each["name"] not in found}
    if rest:
        values: dict[str, list[Any]] = {name: [] for name in rest}
        for record in parse_records(_lines(stretch, dialect)):
            for name, column in values.items():
                column.append(record.values.get(name))
        found |= {name: _array(values[name], kind) for name, kind in rest.items()}
    arrays = [found[each["name"]] for each in columns]
    return ColumnChunk(
        stretch.number,
        stretch.first_row,
        stretch.num_rows,
        [array for array, _ in arrays],
        [strange for _, strange in arrays],
    )


def _lines(stretch: RecordChunk, dialect: Dialect) -> list[bytes]:
    """The lines of a stretch, `num_rows` of them."""
    lines, consumed = dialect.split(stretch.data, stretch.num_rows)
    return [*lines, *filter(None, [strip_newlines(stretch.data[consumed:])])]


def _quick(stretch: RecordChunk, columns: Sequence[ColumnInfo]) -> dict[str, pa.Array]:
    """The columns that pyarrow can parse; none where it finds something else than so many objects with such values."""
    # A name with a mark in it stands for bytes that were no UTF-8, which pyarrow would not find under that name.
    plain = [each for each in columns if each["type"] in _QUICK and "\ufffd" not in each["name"]]
    schema = pa.schema([(each["name"], _QUICK[each["type"]]) for each in plain])
    if not len(schema):
        return {}
    try:
        table = pa_json.read_json(
            pa.BufferReader(stretch.data),
            # All is one block, so that each column is one array.
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(stretch.data) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeEncodeError):
        return {}
    if table.num_rows != stretch.num_rows:
        return {}
    return {name: _settled(table.column(name).combine_chunks()) for name in schema.names}


def _settled(array: pa.Array) -> pa.Array:
    return array if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) else _bytes(array)


def _bytes(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()).view(pa.binary())


def _array(values: Sequence[Any], kind: str) -> tuple[pa.Array, int]:
    """The values of one column, and how many of them are no numbers though the column is one of numbers."""
    if kind not in ("integer", "number"):
        return pa.array([_text(value) for value in values], pa.binary()), 0
    numbers = [value if _is_number(value) else None for value in values]
    strange = sum(value is not None for value in values) - sum(number is not None for number in numbers)
    if kind == "integer" and not any(isinstance(number, (float, ExactNumber)) for number in numbers):
        integers = [None if number is None or len(str(number)) > _MOST_DIGITS else int(number) for number in numbers]
        strange += integers.count(None) - numbers.count(None)
        large = any(number is not None and not -_LARGEST <= number < _LARGEST for number in integers)
        if large:
            return pa.array(map(_decimal, integers), pa.decimal128(_MOST_DIGITS, 0)), strange
        return pa.array(integers, pa.int64()), strange
    return pa.array([None if number is None else float(number) for number in numbers], pa.float64()), strange


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, ExactInteger, ExactNumber)) and not isinstance(value, bool)


def _decimal(number: int | None) -> decimal.Decimal | None:
    return None if number is None else decimal.Decimal(number)


def _text(value: Any) -> bytes | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else _encode(value)
    return text.encode("utf-8", "replace")
