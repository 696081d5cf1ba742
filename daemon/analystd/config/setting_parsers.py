"""Parse the values of settings from text, for each type of value."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from analystd.util.small_files import read_small

Count = int
"""A non-negative integer."""

AbsolutePath = str
"""A path that does not depend on the current folder; a leading `~` is expanded."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: a GGUF file, and how strongly it is applied."""

    path: str
    scale: float = 1.0


@dataclass(frozen=True)
class PromptFile:
    """A text file that replaces the agent's own instructions, and its content when it was read."""

    path: str
    text: str


PROMPT_BYTES = 32 * 1024


def _parse_bool(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("is neither true nor false")


def _parse_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _parse_count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("is not a whole number of 0 or more")
    return int(text)


def _parse_positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError("is not a number of 0 or more")
    return number


def _parse_sandbox(text: str) -> str:
    if text not in ("auto", "off"):
        raise ValueError("is neither auto nor off")
    return text


def _parse_list(text: str) -> tuple[str, ...]:
    separator = "," if "," in text else os.pathsep
    return tuple(part.strip() for part in text.split(separator) if part.strip())


def _parse_adapters(text: str) -> tuple[Adapter, ...]:
    return tuple(_parse_adapter(part.strip()) for part in text.split(",") if part.strip())


def _parse_adapter(text: str) -> Adapter:
    path, _, scale = text.rpartition(":")
    try:
        return Adapter(path, float(scale)) if path and isfinite(float(scale)) else Adapter(text)
    except ValueError:
        return Adapter(text)


def _parse_absolute_path(text: str) -> AbsolutePath | None:
    if not text:
        return None
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ValueError("is not an absolute path")
    return str(path)


def _parse_prompt_file(text: str) -> PromptFile | None:
    path = _parse_absolute_path(text)
    if path is None:
        return None
    try:
        prompt = read_small(Path(path), PROMPT_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not UTF-8 text") from None
    except OSError as exc:
        raise ValueError(f"cannot be read: {exc.strerror}") from None
    if not prompt:
        raise ValueError("is empty")
    if "\0" in prompt:
        raise ValueError("cannot be read: it is not text")
    return PromptFile(path, prompt)


PARSERS: dict[str, Callable[[str], Any]] = {
    "bool": _parse_bool,
    "int": _parse_int,
    "Count": _parse_count,
    "float": _parse_positive,
    "AbsolutePath | None": _parse_absolute_path,
    "str | None": lambda text: text or None,
    "tuple[str, ...]": _parse_list,
    "tuple[Adapter, ...]": _parse_adapters,
    "PromptFile | None": _parse_prompt_file,
    "Literal['auto', 'off']": _parse_sandbox,
    'Literal["auto", "off"]': _parse_sandbox,
}
"""Maps a field's annotation to its parser, which raises ValueError with a message that follows the name and the value."""
