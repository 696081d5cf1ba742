"""The most frequent values of a column: exact counts for few distinct values, lower bounds for more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analystd.data.arrow_values import json_values
from analystd.data.compute.type_classes import is_bytes
from analystd.wire.results import ValueCount

SHOWN = 10

_MOST_VALUES = 50_000
_FREQUENT = 10_000
_MOST_BYTES = 64 * 1024 * 1024
_FREQUENT_LONG = 500
_SHOWN_CHARACTERS = 1000


class TopValues:
    """Counts values; when there are too many to keep, only those that were frequent so far stay."""

    def __init__(self) -> None:
        self._kept: pa.Table | None = None
        self._new: list[pa.Table] = []
        self._waiting = 0
        self.exact = True
        """Whether all values were kept, so that their counts are exact."""

    def add(self, array: pa.Array) -> None:
        """Count the values of an array; nulls are ignored."""
        if is_bytes(array.type):
            array = array.cast(pa.binary())
        values, counts = array.drop_null().value_counts().flatten()
        counted = pa.table([values, counts], names=["value", "count"])
        if not self.exact:
            counted = _most_frequent(counted.filter(pc.greater(counted["count"], 1)), _FREQUENT)
        self._new.append(counted)
        self._waiting += counted.num_rows
        if self._waiting > _MOST_VALUES or sum(each.nbytes for each in self._new) > _MOST_BYTES:
            self._compact()

    def top(self, *, text: bool) -> list[ValueCount]:
        """Return the most frequent values with their minimum counts. With `text`, the values are UTF-8 text as bytes."""
        self._compact()
        if self._kept is None:
            return []
        # A single occurrence is not a frequent value.
        worth = self._kept if self.exact else self._kept.filter(pc.greater(self._kept["count"], 1))
        best = _most_frequent(worth, SHOWN)
        values = best["value"].combine_chunks()
        cells = [_as_text(value) for value in values.to_pylist()] if text else json_values(values)
        return [
            ValueCount(value=_shortened(value), count=count)
            for value, count in zip(cells, best["count"].to_pylist(), strict=True)
        ]

    def _compact(self) -> None:
        if not self._new:
            return
        every = pa.concat_tables([*([self._kept] if self._kept is not None else []), *self._new])
        grouped = every.group_by("value", use_threads=False).aggregate([("count", "sum")])
        self._kept = grouped.rename_columns(["value", "count"]).combine_chunks()
        self._new, self._waiting = [], 0
        if self._kept.num_rows > _MOST_VALUES:
            self._keep(_FREQUENT)
        if self._kept.nbytes > _MOST_BYTES:
            self._keep(_FREQUENT_LONG)

    def _keep(self, most: int) -> None:
        assert self._kept is not None
        self.exact = self.exact and self._kept.num_rows <= most
        self._kept = _most_frequent(self._kept, most)


def _most_frequent(counted: pa.Table, most: int) -> pa.Table:
    """Return the most frequent values; of equally frequent ones, the smallest."""
    counts = counted["count"].to_numpy()
    if counted.num_rows > most:
        # Only values that may be among the most frequent need sorting.
        least = np.partition(counts, -most)[-most]
        counted = counted.filter(pa.array(counts >= least))
    order = pc.sort_indices(counted, sort_keys=[("count", "descending"), ("value", "ascending")])
    return counted.take(order[:most]).combine_chunks()


def _as_text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return value[:_SHOWN_CHARACTERS] + "…"
    return value
