"""Merging of the schemas of many files into one, whose types represent each file's values exactly."""

from __future__ import annotations

import pyarrow as pa

from analystd.wire.errors import WorkspaceError

_INTEGERS = {(8, True): pa.int8(), (16, True): pa.int16(), (32, True): pa.int32(), (64, True): pa.int64()}
_FLOAT_DIGITS = {16: 11, 32: 24, 64: 53}
"""For each size of float in bits, the bits of an integer that it represents exactly."""
_UNITS = ("s", "ms", "us", "ns")


class UnifiedSchema:
    """The columns of all added files, in the order of their first appearance."""

    def __init__(self) -> None:
        self._fields: dict[str, pa.DataType] = {}
        self._seen: set[int] = set()

    def add(self, schema: pa.Schema, file: str) -> None:
        """Add the schema of `file`.

        Raises:
            WorkspaceError: for duplicate column names, or a column for which no type represents all files' values.
        """
        for name in schema.names:
            if len(schema.get_all_field_indices(name)) > 1:
                raise WorkspaceError(f"{file} has several columns called {name!r}; in a folder a name must be unique")
        for each in schema:
            before = self._fields.setdefault(each.name, each.type)
            common = common_type(before, each.type)
            if common is None:
                raise WorkspaceError(
                    f"Column {each.name!r} of {file} has the type {each.type}, in the files before it {before}: "
                    "no type represents both exactly",
                    "View the files one by one",
                )
            self._fields[each.name] = common

    @property
    def schema(self) -> pa.Schema:
        """The merged schema."""
        return pa.schema(list(self._fields.items()))


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the smallest type that represents the values of both exactly; None if there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    one, other = _value_type(one), _value_type(other)
    if one == other:
        return one
    for find in (_common_number, _common_bytes, _common_temporal, _common_decimal, _common_list):
        found = find(one, other)
        if found is not None:
            return found
    return None


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _common_number(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_floating(one) and pa.types.is_floating(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    if pa.types.is_floating(other):
        one, other = other, one
    if pa.types.is_floating(one) and pa.types.is_integer(other):
        return next(
            (kind for kind in (one, pa.float64()) if _integer_bits(other) <= _FLOAT_DIGITS[kind.bit_width]), None
        )
    if not (pa.types.is_integer(one) and pa.types.is_integer(other)):
        return None
    if pa.types.is_signed_integer(one) == pa.types.is_signed_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    bits = max(_integer_bits(one), _integer_bits(other))
    return next((kind for (width, _), kind in _INTEGERS.items() if width > bits), None)


def _integer_bits(kind: pa.DataType) -> int:
    """Return the number of bits of the type's largest value."""
    return int(kind.bit_width) - int(pa.types.is_signed_integer(kind))


def _common_bytes(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if all(_is_text(kind) for kind in (one, other)):
        return pa.large_string()
    if all(_is_binary(kind) for kind in (one, other)):
        return pa.large_binary()
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return any(of(kind) for of in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary))


def _common_temporal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the finer unit; a timestamp outside of its range is an error when it is read."""
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return max(one, other, key=lambda kind: _UNITS.index(kind.unit))
    if pa.types.is_time(one) and pa.types.is_time(other):
        return max(one, other, key=lambda kind: _UNITS.index(kind.unit))
    if pa.types.is_duration(one) and pa.types.is_duration(other):
        return max(one, other, key=lambda kind: _UNITS.index(kind.unit))
    return None


def _common_decimal(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (pa.types.is_decimal(one) and pa.types.is_decimal(other)):
        return None
    scale = max(one.scale, other.scale)
    digits = max(one.precision - one.scale, other.precision - other.scale) + scale
    if digits > 76:
        return None
    return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)


def _common_list(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not all(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in (one, other)):
        return None
    values = common_type(one.value_type, other.value_type)
    return None if values is None else pa.large_list(values)
