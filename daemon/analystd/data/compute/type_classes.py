"""Classes of column types, guessed or Arrow's, by how their values compare."""

from __future__ import annotations

import enum
import re

import pyarrow as pa
import pyarrow.compute as pc

from analystd.data.table_text import is_number_type

_ENCODED = re.compile(r"(?:dictionary<values=|run_end_encoded<run_ends: \w+, values: )([^,>]+)")
_TEXTS = ("text", "empty", "date", "time", "timestamp", "string", "large_string", "string_view")
_TIMES = ("date32", "date64", "time32", "time64", "timestamp[")


class Kind(enum.Enum):
    """How a column's values are compared."""

    NUMBER = "number"
    TEXT = "text"
    """Also dates and times of text formats, which sort as text."""
    BOOLEAN = "boolean"
    TIME = "time"
    """Dates, times and timestamps of typed formats."""
    BYTES = "bytes"
    OTHER = "other"
    """Nested and other values without an order."""


def kind_of(name: str) -> Kind:
    """Return the kind of a column whose type has this name."""
    if encoded := _ENCODED.match(name):
        name = encoded[1]
    if name in _TEXTS:
        return Kind.TEXT
    if name in ("boolean", "bool"):
        return Kind.BOOLEAN
    if is_number_type(name) and not name.startswith("interval"):
        return Kind.NUMBER
    if name.startswith(_TIMES):
        return Kind.TIME
    if name.startswith(("binary", "large_binary", "fixed_size_binary")):
        return Kind.BYTES
    return Kind.OTHER


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether the type is binary, or text that is handled as bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def as_text(array: pa.Array, kind: Kind) -> pa.Array:
    """Return text, booleans (in lower case) or bytes as an array of bytes."""
    if pa.types.is_boolean(array.type):
        return array.cast(pa.string()).view(pa.binary())
    if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        array = array.view(pa.large_binary())
    elif pa.types.is_string(array.type):
        array = array.view(pa.binary())
    elif not pa.types.is_binary(array.type):
        array = array.cast(pa.binary())
    return pc.ascii_lower(array.view(pa.string())).view(pa.binary()) if kind is Kind.BOOLEAN else array
