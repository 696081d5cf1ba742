"""Read the metadata of a GGUF file from its header, without loading it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The worst that a malicious file can cause is a `BadGgufError`: every
length is checked against the rest of the file and of `HEADER_LIMIT`, counts are checked against those of any model, and long arrays and
texts are skipped. The package `gguf` reads the same, but takes eight seconds and 190 MB for the header of a small model, since it stores
each token as an array.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, TypeAlias

from analystd.wire.errors import EngineUnavailableError

HEADER_LIMIT = 32 * 1024 * 1024
"""Maximum number of header bytes that are read; a vocabulary of 256 000 tokens and twice as many merges takes 14 MiB."""

_LONGEST_KEPT_ARRAY = 1024
_MOST_KEPT_VALUES = 1 << 16
"""Maximum number of kept values in all arrays; in some arrays, an architecture has a value for each layer."""
_LONGEST_KEPT_TEXT = 4096
_LONGEST_KEY = 65_535
_MOST_PAIRS = 1 << 14
_MOST_TENSORS = 1 << 17
"""The largest published models have a few thousand tensors, and less than a hundred pairs."""
_MOST_DATA_BYTES = 1 << 62
_BUFFER = 1 << 20
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]

# fmt: off
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}
"""Maps a tensor's type to the values and bytes of a block (`ggml_type` and `type_traits` in ggml.c)."""

_QUANTISATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0",
}
"""The usual names of `general.file_type` (`llama_ftype` in llama.h)."""
# fmt: on

Value: TypeAlias = "int | float | bool | str | list[Value] | None"


class BadGgufError(EngineUnavailableError):
    """The file is not a GGUF, or is damaged."""


@dataclass(frozen=True)
class GgufHeader:
    """The metadata of one file. Missing values are None, or 0 for counts."""

    path: Path
    file_bytes: int
    metadata: Mapping[str, Value]
    """The key-value pairs. The value of an array of strings or of more than 1024 values, and of a text of more than 4096 bytes, is None."""
    parameters: int
    """The number of values in all tensors of this file."""
    tensor_bytes: int

    @property
    def architecture(self) -> str:
        """The architecture, such as `llama` or `qwen3`; empty if the header lacks it."""
        return self.text("general.architecture") or ""

    @property
    def kind(self) -> str:
        """`model`, `adapter` (LoRA), `mmproj` (the image encoder of another model), …"""
        return self.text("general.type") or "model"

    @property
    def quantisation(self) -> str | None:
        """How the weights are stored, such as `Q4_K_M`."""
        kind = self.metadata.get("general.file_type")
        return _QUANTISATIONS.get(kind) if isinstance(kind, int) else None

    @property
    def context_tokens(self) -> int:
        """The longest context that the model was trained on."""
        return self.number("context_length")

    @property
    def has_chat_template(self) -> bool:
        """Whether it has a chat template; without one, it is not a chat model."""
        return "tokenizer.chat_template" in self.metadata

    @property
    def parts(self) -> int:
        """The number of files of the model."""
        count = self.metadata.get("split.count")
        return count if isinstance(count, int) and count > 1 else 1

    def text(self, key: str) -> str | None:
        """Return a value if it is a text."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int:
        """Return the architecture's value of this name if it is a positive integer, else 0; the largest value of a list."""
        value = self.metadata.get(f"{self.architecture}.{name}")
        numbers = value if isinstance(value, list) else [value]
        return max((each for each in numbers if isinstance(each, int) and each > 0), default=0)

    def sum_over(self, name: str, layers: int) -> int:
        """Return the sum of that value over the layers: a list is added up, a single number counts for each layer."""
        value = self.metadata.get(f"{self.architecture}.{name}")
        if isinstance(value, list):
            return sum(each for each in value[:layers] if isinstance(each, int) and each > 0)
        return self.number(name) * layers


def read_header(path: Path) -> GgufHeader:
    """Return the header of a GGUF file.

    Raises:
        BadGgufError: when it is not a GGUF, is truncated, has an unknown version, or contains impossible numbers.
    """
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            return _Reader(path, file).header()
    except OSError as exc:
        raise BadGgufError(f"{path} cannot be read: {exc.strerror}") from exc


class _Reader:
    """Reads a header, never beyond the end of the file and the limit."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._size = file.seek(0, 2)
        self._left_bytes = min(self._size, HEADER_LIMIT)
        self._kept_values = 0
        file.seek(0)

    def header(self) -> GgufHeader:
        if self._size < 4 or self._take(4) != b"GGUF":
            raise BadGgufError(
                f"{self._path} is not a GGUF file",
                "Models in other formats can be converted with llama.cpp.",
            )
        version = self._number(_U32)
        if version not in (2, 3):
            raise BadGgufError(
                f"{self._path} is a GGUF of version {version}; versions 2 and 3 are supported",
                "Convert it again with llama.cpp, or fetch a newer file of the model.",
            )
        tensors, pairs = self._number(_U64), self._number(_U64)
        if tensors > _MOST_TENSORS or pairs > _MOST_PAIRS:
            # A file that ends before them is reported as truncated.
            self._require_left(24 * tensors + 12 * pairs)
            raise self._damaged(f"{tensors} tensors and {pairs} pairs")
        metadata = self._metadata(pairs)
        parameters, needed = self._tensors(tensors)
        start = _aligned(min(self._size, HEADER_LIMIT) - self._left_bytes, metadata.get("general.alignment"))
        if tensors and start + needed > self._size:
            raise BadGgufError(
                f"{self._path} is truncated: it has {self._size} of {start + needed} bytes", "Fetch it again."
            )
        return GgufHeader(self._path, self._size, metadata, parameters, needed)

    def _metadata(self, pairs: int) -> dict[str, Value]:
        metadata: dict[str, Value] = {}
        for _ in range(pairs):
            length = self._number(_U64)
            if length > _LONGEST_KEY:
                self._require_left(length)
                raise self._damaged(f"a key of {length} bytes")
            key = self._take(length).decode("utf-8", "replace")
            metadata[key] = self._value(self._number(_U32))
        return metadata

    def _tensors(self, count: int) -> tuple[int, int]:
        """Return the number of values in all tensors, and the bytes from the beginning of the data to the end of the last tensor."""
        parameters = needed = 0
        for _ in range(count):
            self._skip(self._number(_U64))
            rank = self._number(_U32)
            if rank > 4:
                raise self._damaged(f"a tensor with {rank} dimensions")
            values = prod(self._number(_U64) for _ in range(rank))
            per_block, block_bytes = _BLOCKS.get(self._number(_U32), (1, 0))
            parameters += values
            needed = max(needed, self._number(_U64) + values // per_block * block_bytes)
            if max(parameters, needed) > _MOST_DATA_BYTES:
                raise self._damaged("more values than any disk holds")
        return parameters, needed

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        if kind not in _SCALARS:
            raise self._damaged(f"a value of type {kind}")
        scalar = _SCALARS[kind]
        value: Value = scalar.unpack(self._take(scalar.size))[0]
        return value

    def _array(self) -> list[Value] | None:
        kind, length = self._number(_U32), self._number(_U64)
        if kind == _STRING:
            # An array may have hundreds of thousands of strings, so this avoids function calls.
            take, number = self._take, _U64.unpack
            for _ in range(length):
                take(number(take(8))[0])
            return None
        if kind not in _SCALARS:
            raise self._damaged(f"an array of values of type {kind}")
        scalar = _SCALARS[kind]
        self._kept_values += length
        if length > _LONGEST_KEPT_ARRAY or self._kept_values > _MOST_KEPT_VALUES:
            self._skip(length * scalar.size)
            return None
        return [scalar.unpack(self._take(scalar.size))[0] for _ in range(length)]

    def _text(self) -> str | None:
        length = self._number(_U64)
        if length > _LONGEST_KEPT_TEXT:
            self._skip(length)
            return None
        return self._take(length).decode("utf-8", "replace")

    def _number(self, scalar: struct.Struct) -> int:
        number: int = scalar.unpack(self._take(scalar.size))[0]
        return number

    def _take(self, count: int) -> bytes:
        self._consume(count)
        content = self._file.read(count)
        if len(content) < count:
            # The file is being truncated while it is read.
            raise self._truncated()
        return content

    def _skip(self, count: int) -> None:
        if count <= _BUFFER:
            self._take(count)
            return
        self._consume(count)
        self._file.seek(count, 1)

    def _consume(self, count: int) -> None:
        self._require_left(count)
        self._left_bytes -= count

    def _require_left(self, count: int) -> None:
        """Raise an error unless at least `count` bytes are left."""
        if count > self._left_bytes:
            raise self._truncated()

    def _truncated(self) -> BadGgufError:
        if self._size > HEADER_LIMIT:
            return self._damaged(f"more than {HEADER_LIMIT >> 20} MiB")
        return BadGgufError(f"{self._path} ends within its header, after {self._size} bytes", "Fetch it again.")

    def _damaged(self, what: str) -> BadGgufError:
        return BadGgufError(f"{self._path} is damaged: its header has {what}", "Fetch it again.")


def _aligned(offset: int, alignment: Value) -> int:
    """Return the beginning of the tensors' data, which is a multiple of `general.alignment`."""
    step = alignment if isinstance(alignment, int) and 0 < alignment <= 1 << 20 else 32
    return -(-offset // step) * step
