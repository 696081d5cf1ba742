"""The extremes of a column with their rows, and the mean and standard deviation of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True)
class Extreme:
    """A smallest or largest value, with its row."""

    value: Any
    row: int
    """The first row with this value."""


class Extremes:
    """The smallest and the largest value seen so far."""

    def __init__(self) -> None:
        self.smallest: Extreme | None = None
        self.largest: Extreme | None = None

    def add(self, array: pa.Array, rows: NDArray[np.int64]) -> None:
        """Add values, at least one of them not null, with the numbers of their rows."""
        array = _ordered(array)
        least, most = pc.min_max(array).values()
        if self.smallest is None or least.as_py() < self.smallest.value:
            self.smallest = _found(array, least, rows)
        if self.largest is None or most.as_py() > self.largest.value:
            self.largest = _found(array, most, rows)


class Moments:
    """The count, mean and sum of squared deviations of the doubles added so far (Chan, Golub and LeVeque, 1979)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Add values."""
        if not len(values):
            return
        # Deviations from infinity are NaN, and those of large numbers may overflow.
        with np.errstate(all="ignore"):
            mean = values.mean()
            squares = np.square(values - mean).sum()
            count = self._count + len(values)
            away = mean - self._mean
            self._squares = float(self._squares + squares + np.square(away) * self._count * len(values) / count)
            self._mean = float(self._mean + away * len(values) / count) if self._count else float(mean)
            self._count = count

    @property
    def mean(self) -> float | str | None:
        """The mean; None without values, and a name such as `NaN` if it is not finite."""
        return _json(self._mean) if self._count else None

    @property
    def std(self) -> float | str | None:
        """The sample standard deviation; None for fewer than two values."""
        return _json(math.sqrt(self._squares / (self._count - 1))) if self._count > 1 else None


def _ordered(array: pa.Array) -> pa.Array:
    """Return the array in a type whose values Python orders in the same way."""
    kind = array.type
    if pa.types.is_temporal(kind):
        return array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    return array.cast(pa.float32()) if pa.types.is_float16(kind) else array


def _found(array: pa.Array, value: pa.Scalar, rows: NDArray[np.int64]) -> Extreme:
    return Extreme(value.as_py(), int(rows[pc.index(array, value).as_py()]))


def _json(number: float) -> float | str:
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
