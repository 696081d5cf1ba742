"""The number of distinct values in a column: exact for few values, estimated from their smallest hashes for more.

Of evenly spread hashes, the k-th smallest of n lies at about k/n of the range (Bar-Yossef et al., "Counting distinct
elements in a data stream", 2002); the relative error is about 1/√k, here 0.45 %.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MOST_EXACT = 50_000

_LONG_BYTES = 4096
_EXACT_DOUBLE = 2**53
_RANGE = 2.0**64
_SALT = np.uint64(0x9E3779B97F4A7C15)

Hashes = NDArray[np.uint64]


class DistinctCounter:
    """Counts distinct hashes."""

    def __init__(self) -> None:
        self._kept: Hashes = np.zeros(0, np.uint64)
        self._new: list[Hashes] = []
        self._waiting = 0
        self.exact = True
        """Whether at most `MOST_EXACT` distinct hashes were added so far, so that the count is exact."""

    def add(self, hashes: Hashes) -> None:
        """Add hashes."""
        if not self.exact:
            hashes = hashes[hashes < self._kept[-1]]
        self._new.append(hashes)
        self._waiting += len(hashes)
        if self._waiting > MOST_EXACT:
            self._compact()

    def count(self) -> int:
        """Return the number of distinct hashes, an estimate unless `exact`."""
        self._compact()
        if self.exact:
            return len(self._kept)
        return round((MOST_EXACT - 1) / ((float(self._kept[-1]) + 1) / _RANGE))

    def _compact(self) -> None:
        kept = np.unique(np.concatenate([self._kept, *self._new]))
        self.exact = self.exact and len(kept) <= MOST_EXACT
        self._kept, self._new, self._waiting = kept[:MOST_EXACT], [], 0


def hashes_of(array: pa.Array) -> Hashes:
    """Return a hash of each value that is not null. Equal numbers have the same hash, whatever their type."""
    array = array.drop_null()
    kind = array.type
    if pa.types.is_floating(kind):
        return _of_doubles(array.cast(pa.float64()).to_numpy())
    if pa.types.is_integer(kind):
        return _of_integers(array.to_numpy())
    if pa.types.is_decimal(kind):
        return _of_decimals(array)
    if pa.types.is_boolean(kind):
        return _mixed(array.cast(pa.uint8()).to_numpy().astype(np.uint64))
    if pa.types.is_temporal(kind):
        integers = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        return _mixed(integers.to_numpy().astype(np.int64).view(np.uint64))
    return _of_bytes(array.cast(pa.large_binary()))


def _mixed(words: Hashes) -> Hashes:
    """Apply the finalizer of SplitMix64, in which each bit of the input affects each bit of the output."""
    words = words + _SALT
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = words ^ (words >> np.uint64(31))
    return mixed


def _of_doubles(values: NDArray[np.float64]) -> Hashes:
    # The two zeros are equal.
    return _mixed((values + 0.0).view(np.uint64))


def _of_integers(values: NDArray[np.integer]) -> Hashes:
    as_doubles = values.astype(np.float64)
    hashes = _of_doubles(as_doubles)
    large = np.abs(as_doubles) >= _EXACT_DOUBLE
    if large.any():
        hashes[large] = _mixed(values[large].astype(np.uint64) ^ _SALT)
    return hashes


def _of_decimals(array: pa.Array) -> Hashes:
    as_doubles = array.cast(pa.float64()).to_numpy()
    hashes = _of_bytes(array.cast(pa.string()).cast(pa.large_binary()))
    small = (np.abs(as_doubles) < _EXACT_DOUBLE) & (array.type.scale == 0)
    hashes[small] = _of_doubles(as_doubles[small])
    return hashes


def _of_bytes(array: pa.Array) -> Hashes:
    """Return hashes of values of any length, processing eight bytes of all of them at a time."""
    if not len(array):
        return np.zeros(0, np.uint64)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    content = b"" if data is None else data[int(ends[0]) : int(ends[-1])].to_pybytes()
    words = np.ndarray((len(content) + 1,), "<u8", content + bytes(8), strides=(1,))
    begins, lengths = ends[:-1] - ends[0], np.diff(ends)
    hashes = _mixed(lengths.astype(np.uint64))
    active = np.flatnonzero((lengths > 0) & (lengths <= _LONG_BYTES))
    at = 0
    while len(active):
        left = np.minimum(lengths[active] - at, 8).astype(np.uint64)
        # `left` is at least 1: a shift by 64 bits would be undefined.
        unused = (np.uint64(8) - left) * np.uint64(8)
        hashes[active] = _mixed(hashes[active] ^ (words[begins[active] + at] << unused))
        at += 8
        active = active[lengths[active] > at]
    for number in np.flatnonzero(lengths > _LONG_BYTES):
        long = content[begins[number] : begins[number] + lengths[number]]
        hashes[number] = int.from_bytes(hashlib.blake2b(long, digest_size=8).digest(), "little")
    return hashes


def unique_hashes(array: pa.Array) -> Hashes:
    """Return the hash of each distinct value."""
    return hashes_of(pc.unique(array))
