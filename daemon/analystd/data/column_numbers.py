"""Parsing of numbers in arrays, beyond what pyarrow parses; values that are not numbers become null."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from analystd.data.text.cell_types import MISSING

_LARGEST_DIGITS = 38
_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf(inity)?)$"


def without_nan(array: pa.Array) -> pa.Array:
    """Return the array with null for NaN, which counts as missing in all formats."""
    if not pa.types.is_floating(array.type):
        return array
    is_nan = pc.is_nan(array)
    return pc.if_else(is_nan, None, array) if pc.any(is_nan).as_py() else array


def numbers_of(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    """Return the numbers in a `binary` array, with null for other values, and the number of those.

    The result has the type `kind` if that holds all numbers; for `int64` it otherwise has `decimal128(38, 0)` if all are
    whole numbers, and else doubles.
    """
    texts = pc.ascii_trim_whitespace(texts.view(pa.string()))
    try:
        return texts.cast(kind), 0
    except pa.ArrowInvalid:
        return _numbers_among(texts, kind)


def _numbers_among(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    lower = pc.ascii_lower(texts)
    texts = pc.if_else(pc.is_in(lower, pa.array(sorted(MISSING))), None, texts)
    fits = pc.match_substring_regex(texts, _NUMBER)
    mismatches = pc.sum(pc.invert(fits)).as_py() or 0
    # pyarrow does not accept a plus sign in an integer.
    numbers = pc.replace_substring_regex(pc.if_else(fits, texts, None), r"^\+", "")
    if kind == pa.int64() and pc.all(pc.match_substring_regex(numbers, _INTEGER)).as_py() is not False:
        return _integers(numbers), mismatches
    return numbers.cast(pa.float64()), mismatches


def _integers(numbers: pa.Array) -> pa.Array:
    try:
        return numbers.cast(pa.int64())
    except pa.ArrowInvalid:
        values = [None if text is None else int(Decimal(text)) for text in numbers.to_pylist()]
    if all(value is None or abs(value) < 10**_LARGEST_DIGITS for value in values):
        return pa.array(values, pa.decimal128(_LARGEST_DIGITS, 0))
    return pa.array([None if value is None else _double(value) for value in values], pa.float64())


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
