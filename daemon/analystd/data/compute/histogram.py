"""A histogram computed in one pass without knowing the range: fine bins, merged into coarser ones when a value falls outside."""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

MOST_BINS = 20

_MOST_FINE = 20_000
_FINE_AT_FIRST = 1_000
_LEAST_EXPONENT = -290
_EXACT_PLACES = 2**52
_WIDEST_FACTOR = 2**60

Doubles = NDArray[np.float64]


class HistogramCounter:
    """Counts finite numbers in bins [k, k + 1) · 10ᵉ, where e grows as needed."""

    def __init__(self, *, whole_numbers: bool) -> None:
        """With `whole_numbers`, no bin is narrower than 1."""
        self._least_exponent = 0 if whole_numbers else _LEAST_EXPONENT
        self._exponent: int | None = None
        self._first = 0
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        # The bin width can be chosen only when there are two different values.
        self._only: float | None = None
        self._times = 0

    def add(self, values: Doubles) -> None:
        """Count values."""
        values = values[np.isfinite(values)]
        if not len(values):
            return
        if self._exponent is None:
            values = self._begun(values)
        if len(values):
            self._widen(float(values.min()), float(values.max()))
            places = self._places(values)
            self._counts += np.bincount(places - self._first, minlength=len(self._counts))

    def bins(self) -> tuple[list[float], list[int]]:
        """Return at most 20 bins of equal, round width: their edges, one more than bins, and the count of values in each."""
        if self._exponent is None:
            if self._only is None:
                return [], []
            self._begin(self._only, self._only, self._times)
        assert self._exponent is not None
        used = np.flatnonzero(self._counts)
        low, high = self._first + int(used[0]), self._first + int(used[-1])
        exponent, factor = self._exponent, 1
        while high // factor - low // factor >= MOST_BINS:
            factor = {1: 2, 2: 5, 5: 10}[factor]
            if factor == 10:
                exponent, factor, low, high = exponent + 1, 1, low // 10, high // 10
        first, last = low // factor, high // factor
        fine = factor * 10 ** (exponent - self._exponent)
        places = (self._first + used) // min(fine, _WIDEST_FACTOR)
        counts = np.zeros(last - first + 1, np.int64)
        np.add.at(counts, places - first, self._counts[used])
        edges = _edges(np.arange(first, last + 2) * factor, exponent)
        return np.clip(edges, -sys.float_info.max, sys.float_info.max).tolist(), counts.tolist()

    def _begun(self, values: Doubles) -> Doubles:
        """Choose the first bins once there are two different values, and return the values still to be counted."""
        low, high = float(values.min()), float(values.max())
        only = low if self._only is None else self._only
        if low == high == only:
            self._only, self._times = only, self._times + len(values)
            return values[:0]
        self._begin(min(low, only), max(high, only), 0)
        if self._times:
            place = int(self._places(np.array([only]))[0])
            self._counts[place - self._first] += self._times
        return values

    def _begin(self, low: float, high: float, times: int) -> None:
        half = high / 2 - low / 2
        width = 2 * (half / _FINE_AT_FIRST) if half else max(abs(low), 1.0) / 10
        self._exponent = max(self._least_exponent, math.ceil(math.log10(width)) if width else _LEAST_EXPONENT)
        while not _is_exact(low, high, self._exponent):
            self._exponent += 1
        places = self._places(np.array([low, high]))
        self._first = int(places[0])
        self._counts = np.zeros(int(places[1]) - self._first + 1, np.int64)
        self._counts[0] += times

    def _widen(self, low: float, high: float) -> None:
        """Extend the bins to cover all from `low` to `high`."""
        assert self._exponent is not None
        factor, exponent = 1, self._exponent
        while True:
            if _is_exact(low, high, exponent):
                first = min(self._first // factor, _floor(low, exponent))
                last = max((self._first + len(self._counts) - 1) // factor, _floor(high, exponent))
                if last - first < _MOST_FINE:
                    break
            factor, exponent = factor * 10, exponent + 1
        if factor == 1 and first == self._first and last == self._first + len(self._counts) - 1:
            return
        used = np.flatnonzero(self._counts)
        counts = np.zeros(last - first + 1, np.int64)
        places = (self._first + used) // min(factor, _WIDEST_FACTOR)
        np.add.at(counts, places - first, self._counts[used])
        self._exponent, self._first, self._counts = exponent, first, counts

    def _places(self, values: Doubles) -> NDArray[np.int64]:
        """Return the bin of each value: exactly the one between whose edges it lies, despite rounding in the division."""
        assert self._exponent is not None
        places = np.floor(_scaled(values, self._exponent)).astype(np.int64)
        places -= values < _edges(places, self._exponent)
        places += values >= _edges(places + 1, self._exponent)
        return places


def _is_exact(low: float, high: float, exponent: int) -> bool:
    """Return whether doubles represent the bins' numbers exactly."""
    return bool(np.abs(_scaled(np.array([low, high]), exponent)).max() < _EXACT_PLACES)


def _floor(value: float, exponent: int) -> int:
    # One more on each side, because the division is rounded.
    below = math.floor(float(_scaled(np.array([value]), exponent)[0]))
    while value < float(_edges(np.array([below]), exponent)[0]):
        below -= 1
    while value >= float(_edges(np.array([below + 1]), exponent)[0]):
        below += 1
    return below


def _scaled(values: Doubles, exponent: int) -> Doubles:
    power = 10.0 ** abs(exponent)
    with np.errstate(over="ignore"):
        return values / power if exponent >= 0 else values * power


def _edges(places: NDArray[np.int64], exponent: int) -> Doubles:
    """Return `places` · 10ᵉ as doubles; powers of ten up to 22 are exact, so that the result is rounded only once."""
    with np.errstate(over="ignore"):
        power = 10.0 ** abs(exponent)
        return np.asarray(places * power if exponent >= 0 else places / power, np.float64)
