"""Estimate the memory that a model needs before it is loaded: a model that does not fit stalls the whole machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analystd.models.gguf import BadGgufError, GgufHeader
from analystd.wire.errors import EngineUnavailableError

DEFAULT_WINDOW = 8192
"""The context window in tokens, unless a setting asks for more or the model supports less."""

_CELL_BYTES = 2
"""The size of a number in the KV cache: an f16, or slightly less."""
_CELLS_STEP = 256
"""llama.cpp rounds the number of cells up to a multiple of this (`GGML_PAD(n_ctx, 256)` in llama-context.cpp)."""
_PROCESS_BYTES = 128 * 1024 * 1024
"""The worker without a model (Python, llama.cpp, a vocabulary), and the buffers of a small batch."""
_WEIGHTS_MARGIN = 0.03
"""Buffers, relative to the weights: both grow with the model's width."""
_LEAST_WINDOW = 1024
_MORE_CONVERSATIONS_SHARE = 4
"""Caches for additional conversations take at most the remaining memory divided by this."""
_GIB = 1024**3
MOST_PARTS = 1024
"""Maximum number of files of a model; the largest published ones have some dozens."""
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf\Z")


@dataclass(frozen=True)
class MemoryEstimate:
    """An estimate on the safe side, in bytes."""

    weights: int
    """The model and its adapters."""
    window: int
    """The context window of the cache in tokens."""
    token_bytes: int
    """The size of one token in the cache."""

    @property
    def cache(self) -> int:
        """The KV cache: for each token a key and a value of every KV head of every layer."""
        return padded(self.window) * self.token_bytes

    @property
    def overhead(self) -> int:
        """Everything except weights and cache."""
        return _PROCESS_BYTES + round(self.weights * _WEIGHTS_MARGIN)

    @property
    def total(self) -> int:
        """The total for one conversation."""
        return self.weights + self.cache + self.overhead

    def conversations_within(self, available: int, most: int) -> int:
        """Return for how many conversations, from 1 to `most`, the available bytes should hold caches."""
        left = max(0, available - self.total) // _MORE_CONVERSATIONS_SHARE
        return min(most, 1 + left // max(1, self.cache))

    def window_within(self, available: int) -> int:
        """Return the longest context that fits into the available bytes; 0 if it would be too short to be useful."""
        room = available - self.weights - self.overhead
        cells = room // max(1, self.token_bytes) // _CELLS_STEP * _CELLS_STEP
        return min(cells, self.window) if cells >= _LEAST_WINDOW else 0


def padded(window: int) -> int:
    """Return the number of cells that llama.cpp allocates for a window."""
    return -(-window // _CELLS_STEP) * _CELLS_STEP


def window_of(context_tokens: int, trained: int) -> int:
    """Return the context window of a model: the setting, else `DEFAULT_WINDOW`, and never more than it was trained on."""
    wanted = context_tokens if context_tokens > 0 else DEFAULT_WINDOW
    return min(wanted, trained or DEFAULT_WINDOW)


def needs_of(header: GgufHeader, context_tokens: int = 0, adapters_bytes: int = 0) -> MemoryEstimate:
    """Estimate the memory that a model needs with no layer on a GPU.

    Where the header lacks the size of a head, it is the width of the model divided by the number of heads
    (`n_embd_head_k` in llama-model.cpp).

    Raises:
        BadGgufError: when a part of a model in several files is missing.
    """
    weights = header.tensor_bytes if header.parts == 1 else sum(each.stat().st_size for each in parts_of(header))
    layers = header.number("block_count")
    head = header.number("embedding_length") // max(1, header.number("attention.head_count"))
    key = header.number("attention.key_length") or head
    value = header.number("attention.value_length") or head
    kv_heads = header.sum_over("attention.head_count_kv", layers) or header.sum_over("attention.head_count", layers)
    window = window_of(context_tokens, header.context_tokens)
    return MemoryEstimate(weights + adapters_bytes, window, kv_heads * (key + value) * _CELL_BYTES)


def refusal(path: Path, needs: MemoryEstimate, available: int) -> EngineUnavailableError | None:
    """Return the error for a model that does not fit into the available bytes; None when it fits."""
    if needs.total <= available:
        return None
    shorter = needs.window_within(available)
    hint = (
        f"AGENT_CONTEXT_TOKENS={shorter} would fit; so would a smaller quantisation."
        if shorter
        else "Choose a smaller model or quantisation; `analystd model list` shows which ones fit."
    )
    return EngineUnavailableError(
        f"{path.name} needs about {gib(needs.total)} of memory ({gib(needs.weights)} weights, {gib(needs.cache)} for a "
        f"context of {needs.window} tokens); {gib(available)} are available",
        hint,
    )


def gib(count: int) -> str:
    """Format a number of bytes as GiB."""
    return f"{count / _GIB:.1f} GiB"


def is_later_part(path: Path) -> bool:
    """Return whether a file is a part of a model other than the first one."""
    part = _PART.search(path.name)
    return part is not None and part[1] != "00001"


def files_of(path: Path) -> list[Path]:
    """Return the files of a model: this one and, where its name has the form `NAME-00001-of-00003.gguf`, the other parts in its folder."""
    part = _PART.search(path.name)
    count = int(part[2]) if part is not None else 0
    if not 1 < count <= MOST_PARTS:
        return [path]
    names = (_PART.sub(f"-{number:05}-of-{count:05}.gguf", path.name) for number in range(1, count + 1))
    return [path, *(each for name in names if (each := path.with_name(name)) != path and each.is_file())]


def parts_of(header: GgufHeader) -> Iterator[Path]:
    """Yield the files of a model, this one and the other parts in its folder.

    Raises:
        BadGgufError: when one is missing, or the file's name is not that of a part.
    """
    if header.parts > 1 and (header.parts > MOST_PARTS or not _PART.search(header.path.name)):
        raise BadGgufError(
            f"{header.path} is one of {header.parts} files, but its name is not that of a part",
            "The parts of a model are named NAME-00001-of-00003.gguf and so on; fetch all of them.",
        )
    for number in range(1, header.parts + 1):
        name = _PART.sub(f"-{number:05}-of-{header.parts:05}.gguf", header.path.name)
        part = header.path.with_name(name)
        if not part.is_file():
            raise BadGgufError(
                f"{header.path} is one of {header.parts} files, and {name} is missing from its folder",
                "Fetch all of them.",
            )
        yield part
