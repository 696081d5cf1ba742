"""Write small GGUF files for tests, valid or with any requested fault."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALIGNMENT = 32


@dataclass(frozen=True)
class Tensor:
    """A tensor; its content may be left out, so that the file ends up with a hole of that size."""

    name: str
    shape: tuple[int, ...]
    content: bytes | None = None
    kind: int = 0
    """F32."""

    @property
    def size(self) -> int:
        size = 4
        for length in self.shape:
            size *= length
        return size


LLAMA = {
    "general.architecture": "llama",
    "general.file_type": 15,
    "llama.block_count": 32,
    "llama.context_length": 131072,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a"],
}
"""What the header of an 8-billion-parameter Llama tells of its shape."""


def header(metadata: Mapping[str, Any], tensors: Sequence[Tensor] = (), *, version: int = 3) -> bytes:
    """The header up to where the tensors' data begins."""
    pairs = b"".join(_text(key) + _typed(value) for key, value in metadata.items())
    infos, offset = b"", 0
    for tensor in tensors:
        infos += _text(tensor.name) + struct.pack("<I", len(tensor.shape))
        infos += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape) + struct.pack("<IQ", tensor.kind, offset)
        offset += _padded(tensor.size)
    content = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(metadata)) + pairs + infos
    return content.ljust(_padded(len(content)), b"\0")


def write_gguf(path: Path, metadata: Mapping[str, Any], tensors: Sequence[Tensor] = ()) -> Path:
    """A whole file; what has no content takes no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header(metadata, tensors))
        for tensor in tensors:
            end = file.tell() + _padded(tensor.size)
            file.write(tensor.content or b"")
            file.truncate(end)
            file.seek(end)
    return path


def write_huge_gguf(path: Path, weights: int) -> Path:
    """A model that claims so many bytes of weights, and has a hole of that size."""
    return write_gguf(path, LLAMA, [Tensor("token_embd.weight", (1024, weights // 4096))])


def write_lora(path: Path, *, width: int = 576, layers: int = 30) -> Path:
    """A LoRA over all the query weights of the embedded model, with random numbers in it."""
    dice = random.Random(1)

    def numbers(count: int) -> bytes:
        return struct.pack(f"<{count}f", *(dice.gauss(0, 0.3) for _ in range(count)))

    tensors = [
        tensor
        for layer in range(layers)
        for tensor in (
            Tensor(f"blk.{layer}.attn_q.weight.lora_a", (width, 4), numbers(width * 4)),
            Tensor(f"blk.{layer}.attn_q.weight.lora_b", (4, width), numbers(4 * width)),
        )
    ]
    about = {"general.architecture": "llama", "general.type": "adapter"}
    return write_gguf(path, {**about, "adapter.type": "lora", "adapter.lora.alpha": 8.0}, tensors)


def _typed(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case _:
            return struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
