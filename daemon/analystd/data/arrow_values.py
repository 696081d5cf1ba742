"""Conversion of Arrow values to JSON: numbers and booleans as such where that is exact, other values as exact strings."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LARGEST_EXACT = 2**53
"""The largest integer up to which doubles, which JSON parsers use for numbers, are exact."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 24 * 60 * 60
_EPOCH = datetime.datetime(1970, 1, 1)
_BINARY_KINDS = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_LIST_KINDS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)

Convert = Callable[[Any], Any]


def json_values(array: pa.Array) -> list[Any]:
    """Return one JSON value for each value of `array`: structs as objects, lists as arrays, maps as arrays of pairs.

    Timestamps are ISO 8601, in UTC with a `Z` where the type has a time zone; bytes are hexadecimal digits after `0x`.
    """
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return json_values(array.storage)
    if pa.types.is_dictionary(kind):
        if len(array.dictionary) > len(array):
            return json_values(array.dictionary_decode())
        return _mapped(json_values(array.dictionary).__getitem__, array.indices)
    if pa.types.is_run_end_encoded(kind):
        return json_values(pc.run_end_decode(array))
    if pa.types.is_union(kind):
        return [_scalar_value(each.value) for each in array]
    if pa.types.is_struct(kind):
        return _struct_values(array)
    if pa.types.is_map(kind):
        return [_pairs(each.values) if each.is_valid else None for each in array]
    if _is_any_list(kind):
        return [json_values(each.values) if each.is_valid else None for each in array]
    if _is_any_text(kind):
        # A writer may have stored invalid UTF-8.
        return _mapped(partial(bytes.decode, encoding="utf-8", errors="replace"), array.cast(pa.large_binary()))
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        integers = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        return _mapped(_temporal_converter(kind), integers)
    return _mapped(_converter(kind), array)


def plain_array(array: pa.Array) -> pa.Array:
    """Return the values without dictionary, run-end or extension types, which only describe their storage."""
    if isinstance(array, pa.ExtensionArray):
        return plain_array(array.storage)
    if pa.types.is_dictionary(array.type):
        return plain_array(array.dictionary_decode())
    if pa.types.is_run_end_encoded(array.type):
        return plain_array(pc.run_end_decode(array))
    return array


def timestamp_text(value: int, unit: str, zone: str | None) -> str:
    """Return a timestamp of `value` units since 1970 in ISO 8601; for years outside of ISO 8601, return the number itself."""
    seconds, fraction = divmod(value, _PER_SECOND[unit])
    try:
        moment = _EPOCH + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return f"{value} {unit} since 1970"
    return moment.isoformat() + _fraction_text(fraction, unit) + ("Z" if zone else "")


def clock_text(value: int, unit: str) -> str:
    """Return the time of day `value` units after midnight."""
    seconds, fraction = divmod(value, _PER_SECOND[unit])
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{_fraction_text(fraction, unit)}"


def date_text(days: int) -> str:
    """Return the date `days` days after 1970-01-01; for years outside of ISO 8601, return the number itself."""
    try:
        return (_EPOCH + datetime.timedelta(days=days)).date().isoformat()
    except OverflowError:
        return f"{days} days since 1970"


def _mapped(convert: Convert, array: pa.Array) -> list[Any]:
    return [None if value is None else convert(value) for value in array.to_pylist()]


def _converter(kind: pa.DataType) -> Convert:
    if pa.types.is_integer(kind):
        return _integer
    if pa.types.is_floating(kind):
        return _float
    if pa.types.is_decimal(kind):
        return _decimal
    if pa.types.is_boolean(kind):
        return bool
    if _is_any_binary(kind):
        return _hexadecimal
    return str


def _temporal_converter(kind: pa.DataType) -> Convert:
    if pa.types.is_timestamp(kind):
        return partial(timestamp_text, unit=kind.unit, zone=kind.tz)
    if pa.types.is_time(kind):
        return partial(clock_text, unit=kind.unit)
    if pa.types.is_date32(kind):
        return date_text
    if pa.types.is_date64(kind):
        return lambda value: date_text(value // (_DAY_SECONDS * 1000))
    return lambda value: f"{value} {kind.unit}"


def _is_any_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _is_any_binary(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _BINARY_KINDS)


def _is_any_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _LIST_KINDS)


def _integer(value: int) -> int | str:
    return value if -LARGEST_EXACT <= value <= LARGEST_EXACT else str(value)


def _float(value: Any) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _decimal(value: decimal.Decimal) -> str:
    return format(value, "f")


def _hexadecimal(value: bytes) -> str:
    return "0x" + value.hex()


def _scalar_value(scalar: pa.Scalar | None) -> Any:
    return None if scalar is None else json_values(pa.array([scalar.as_py()], scalar.type))[0]


def _struct_values(array: pa.StructArray) -> list[Any]:
    names = [array.type.field(at).name for at in range(array.type.num_fields)]
    columns: Sequence[list[Any]] = [json_values(column) for column in array.flatten()]
    valid = array.is_valid().to_pylist()
    return [
        dict(zip(names, (column[at] for column in columns), strict=True)) if valid[at] else None
        for at in range(len(array))
    ]


def _pairs(entries: pa.StructArray) -> list[list[Any]]:
    keys, values = (json_values(column) for column in entries.flatten())
    return [list(pair) for pair in zip(keys, values, strict=True)]


def _fraction_text(fraction: int, unit: str) -> str:
    digits = len(str(_PER_SECOND[unit])) - 1
    return f".{fraction:0{digits}}" if fraction else ""
