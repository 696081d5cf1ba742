"""Evaluation of filter conditions on whole arrays.

Numbers compare as numbers: exactly in columns of integers and decimals, of any size; in a column of doubles with the
double nearest to the value. Dates, times and timestamps of typed formats compare as such, and everything else as text by
its UTF-8 bytes. A missing value (null or NaN) meets only the operator `missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analystd.data.column_numbers import without_nan
from analystd.data.compute.type_classes import Kind, as_text, kind_of
from analystd.wire.arguments import OPERATORS, Condition
from analystd.wire.column_names import position_of
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo

MOST_VALUES = 10_000
"""Maximum number of values in the list of an `in`."""

_COMPARE: dict[str, Callable[..., pa.Array]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_OF_TEXT = ("contains", "starts_with")
_OF_PRESENCE = ("missing", "present")
_UPWARDS = ("!=", "<", "<=")
_DOWNWARDS = ("!=", ">", ">=")
_MOST_EXPONENT = 400


@dataclass(frozen=True)
class Check:
    """A condition that was validated against the table's columns."""

    position: int
    kind: Kind
    condition: Condition
    value: Any
    """The condition's value as its column compares it: a Decimal or text, or a list of them for `in`."""

    def __call__(self, array: pa.Array) -> NDArray[np.bool_]:
        """Return a mask of the column's values that meet the condition."""
        op = self.condition.op
        if op == "missing":
            mask = pc.is_null(without_nan(array))
        elif op == "present":
            mask = pc.is_valid(without_nan(array))
        else:
            mask = self._compared(without_nan(array))
        return np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), np.bool_)

    def _compared(self, array: pa.Array) -> pa.Array:
        op = self.condition.op
        if self.kind is Kind.NUMBER:
            return _numbers_in(array, self.value) if op == "in" else _number_compared(array, op, self.value)
        if self.kind is Kind.TIME:
            return _among(array, self._times(array.type))
        array = as_text(array, self.kind)
        if op == "contains":
            # Only text known to be valid is searched by characters.
            text = pa.large_string() if pa.types.is_large_binary(array.type) else pa.string()
            return pc.match_substring(array.view(text), self.value, ignore_case=True)
        if op == "starts_with":
            return pc.starts_with(array, _encoded(self.value))
        if op == "in":
            return pc.is_in(array, pa.array([_encoded(each) for each in self.value], array.type))
        return _COMPARE[op](array, pa.scalar(_encoded(self.value), array.type))

    def _times(self, kind: pa.DataType) -> tuple[str, list[pa.Scalar]]:
        values = self.value if self.condition.op == "in" else [self.value]
        return self.condition.op, [self._time(value, kind) for value in values]

    def _time(self, text: str, kind: pa.DataType) -> pa.Scalar:
        zone = getattr(kind, "tz", None)
        for written in [text, text + "Z"] if zone else [text]:
            try:
                return pa.scalar(written).cast(kind)
            except pa.ArrowInvalid:
                continue
        raise _wrong_value(self.condition, text, f"not a {kind}, such as 2024-01-31T09:30:00")


def checks_of(columns: Sequence[ColumnInfo], conditions: Sequence[Condition]) -> list[Check]:
    """Validate the conditions against the columns, and return them as checks.

    Raises:
        InvalidArgumentsError: for an unknown column or operator, or a value that its column cannot be compared with.
    """
    return [_check_of(columns, condition) for condition in conditions]


def rows_meeting(checks: Sequence[Check], arrays: Sequence[pa.Array], num_rows: int) -> NDArray[np.int64]:
    """Return the rows of a chunk that pass all checks, counted from its first row; `arrays` has one array for each check."""
    mask = np.ones(num_rows, np.bool_)
    for check, array in zip(checks, arrays, strict=True):
        mask &= check(array)
    return np.flatnonzero(mask)


def _check_of(columns: Sequence[ColumnInfo], condition: Condition) -> Check:
    position = position_of(columns, condition.column)
    kind = kind_of(columns[position]["type"])
    op = condition.op
    if op not in OPERATORS:
        raise InvalidArgumentsError(f"Unknown operator {op!r}; valid operators are {', '.join(OPERATORS)}")
    if op in _OF_PRESENCE:
        return Check(position, kind, condition, None)
    if kind is Kind.OTHER:
        known = columns[position]["type"]
        raise InvalidArgumentsError(
            f"Column {condition.column!r} is {known}, which cannot be compared", "Use the operators missing and present"
        )
    if op in _OF_TEXT and kind not in (Kind.TEXT, Kind.BOOLEAN):
        raise InvalidArgumentsError(
            f"{op} applies to text, but column {condition.column!r} is {columns[position]['type']}", "Use < or >="
        )
    if op != "in":
        return Check(position, kind, condition, _value(condition, condition.value, kind))
    if not isinstance(condition.value, (list, tuple)) or not 1 <= len(condition.value) <= MOST_VALUES:
        raise InvalidArgumentsError(f"`in` on {condition.column!r} takes a list of 1 to {MOST_VALUES} values")
    return Check(position, kind, condition, [_value(condition, each, kind) for each in condition.value])


def _value(condition: Condition, value: Any, kind: Kind) -> Any:
    if kind is Kind.NUMBER:
        return _number(condition, value)
    if isinstance(value, bool) and kind in (Kind.BOOLEAN, Kind.TEXT):
        return str(value).lower()
    if isinstance(value, (int, float)) and kind is Kind.TEXT:
        return str(value)
    if not isinstance(value, str):
        raise _wrong_value(condition, value, "not text")
    if kind is Kind.BYTES and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            raise _wrong_value(condition, value, "not a hexadecimal number") from None
    return value.lower() if kind is Kind.BOOLEAN else value


def _number(condition: Condition, value: Any) -> Decimal:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = Decimal(value if isinstance(value, (int, str)) else repr(value))
        except (InvalidOperation, ValueError):
            number = Decimal("nan")
        if not number.is_nan():
            return number
    raise _wrong_value(condition, value, "not a number")


def _wrong_value(condition: Condition, value: Any, what: str) -> InvalidArgumentsError:
    shown = repr(value)[:100]
    return InvalidArgumentsError(f"Column {condition.column!r} cannot be compared with {shown}, which is {what}")


def _encoded(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace")


def _among(array: pa.Array, asked: tuple[str, list[pa.Scalar]]) -> pa.Array:
    op, values = asked
    if op != "in":
        return _COMPARE[op](array, values[0])
    return pc.is_in(array, pa.array(values, array.type))


def _numbers_in(array: pa.Array, values: Sequence[Decimal]) -> pa.Array:
    if pa.types.is_floating(array.type):
        array = _of_common_size(array)
        # The set lookup distinguishes the two zeros, which are equal.
        doubles = {float(value) for value in values}
        return pc.is_in(array, pa.array([*doubles, *([0.0, -0.0] if 0.0 in doubles else [])], array.type))
    places = [_place(array.type, value) for value in values]
    fitting = [scalar for scalar, _, exact in places if scalar is not None and exact]
    return pc.is_in(array, pa.array(fitting, array.type))


def _number_compared(array: pa.Array, op: str, value: Decimal) -> pa.Array:
    if pa.types.is_floating(array.type):
        array = _of_common_size(array)
        return _COMPARE[op](array, pa.scalar(float(value), array.type))
    scalar, beyond, exact = _place(array.type, value)
    if scalar is None:
        return _all_or_none(array, op in (_UPWARDS if beyond > 0 else _DOWNWARDS))
    if exact:
        return _COMPARE[op](array, scalar)
    if op in ("=", "!="):
        return _all_or_none(array, op == "!=")
    # The value lies between this number and the next one.
    return _COMPARE["<=" if op in ("<", "<=") else ">"](array, scalar)


def _of_common_size(array: pa.Array) -> pa.Array:
    return array.cast(pa.float32()) if pa.types.is_float16(array.type) else array


def _all_or_none(array: pa.Array, every: bool) -> pa.Array:
    return pc.is_valid(array) if every else pa.array(np.zeros(len(array), np.bool_))


def _place(kind: pa.DataType, value: Decimal) -> tuple[pa.Scalar | None, int, bool]:
    """Return the largest value of an integer or decimal type that is not above `value`, and whether it is equal.

    For a value outside of the type's range, return None and the side on which the value lies.
    """
    is_decimal = pa.types.is_decimal(kind)
    scale = kind.scale if is_decimal else 0
    sign = -1 if value.is_signed() else 1
    if not value.is_finite() or (value and value.adjusted() > _MOST_EXPONENT):
        return None, sign, False
    if value and value.adjusted() < -_MOST_EXPONENT:
        value = Decimal(sign).scaleb(-_MOST_EXPONENT)
    scaled = Fraction(value) * Fraction(10) ** scale
    whole = scaled.numerator // scaled.denominator
    if is_decimal:
        least, most = 1 - 10**kind.precision, 10**kind.precision - 1
    else:
        signed = pa.types.is_signed_integer(kind)
        least = -(2 ** (kind.bit_width - 1)) if signed else 0
        most = 2 ** (kind.bit_width - 1 if signed else kind.bit_width) - 1
    if not least <= whole <= most:
        return None, sign if whole > most else -1, False
    digits = tuple(map(int, str(abs(whole))))
    exact_value: Any = Decimal((int(whole < 0), digits, -scale)) if is_decimal else whole
    return pa.scalar(exact_value, kind), 0, scaled == whole
