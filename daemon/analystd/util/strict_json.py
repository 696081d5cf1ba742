"""Encode JSON for the wire and the journal: valid for any value, and bounded in size.

Halves of surrogate pairs are escaped, and numbers that JSON lacks become strings. A large value is encoded once, as an `EncodedJson`,
whose bytes are then copied into every message.
"""

from __future__ import annotations

import gc
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Any

MAX_NESTING = 200
"""Maximum nesting of objects and lists: deeper ones exhaust the stack of many JSON parsers."""

_STAND_IN = secrets.token_hex(16)
"""A placeholder for encoded values until they are inserted. It is random and secret, so no text can contain it."""

_CUT_KEY_CHARACTERS = 200


class NotEncodableError(ValueError):
    """The value has no JSON form: it is nested too deeply, circular, or of an unsupported type."""


@dataclass(frozen=True)
class EncodedJson:
    """A value that is already encoded, as valid UTF-8 JSON without line breaks."""

    body: bytes

    def value(self) -> Any:
        """Return the decoded value."""
        return json.loads(self.body)


def encoded(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return a value as JSON in UTF-8. `default` converts values that have no JSON form.

    Raises:
        NotEncodableError: when a value cannot be encoded.
    """
    pieces: list[bytes] = []

    def stand_in(part: Any) -> Any:
        if isinstance(part, EncodedJson):
            pieces.append(part.body)
            return _STAND_IN
        if default is None:
            raise TypeError(f"{type(part).__name__} has no form in JSON")
        return default(part)

    try:
        with without_collection():
            body = _dumped(value, stand_in, pieces.clear).encode("utf-8", "backslashreplace")
    except (RecursionError, ValueError, TypeError, AttributeError) as exc:
        raise NotEncodableError(str(exc)) from exc
    if not pieces:
        return body
    around = body.split(b'"%b"' % _STAND_IN.encode())
    return b"".join(chain.from_iterable(zip_longest(around, pieces, fillvalue=b"")))


@contextmanager
def without_collection() -> Iterator[None]:
    """Suspend garbage collection inside the context: while millions of values are created, the collector would scan them repeatedly."""
    with _collecting:
        _suspended.append(None)
        gc.disable()
    try:
        yield
    finally:
        with _collecting:
            _suspended.pop()
            if not _suspended:
                gc.enable()


_collecting = threading.Lock()
_suspended: list[None] = []
"""One item for each context in which collection is suspended."""


def is_nested_deeper(value: Any, levels: int) -> bool:
    """Return whether objects and lists are nested more than `levels` deep. Encoded parts count as one level."""
    level = [value]
    for _ in range(levels):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def has_more_members(value: Any, limit: int) -> bool:
    """Return whether the objects and lists in a value have more than `limit` members in all. Stops counting there."""
    todo, count = [value], 0
    while todo:
        each = todo.pop()
        if isinstance(each, dict | list):
            count += len(each)
            if count > limit:
                return True
            todo += each.values() if isinstance(each, dict) else each
    return False


def cut(value: Any, max_bytes: int) -> Any:
    """Return `value` with large parts cut, so that it takes at most `max_bytes` encoded, or as little as possible.

    Long texts keep their beginning, and long lists and objects their first members; deeply nested parts are dropped. The two outermost
    levels keep all their keys, up to 64 each.
    """
    for limits in _LIMITS:
        try:
            shorter = _Cutter(*limits).cut(value)
            if len(encoded(shorter)) <= max_bytes:
                return shorter
        except (NotEncodableError, _TooManyError):
            continue
    return _Cutter(*_LIMITS[-1]).cut(value)


_LIMITS = ((1024 * 1024, 1000, 16), (64 * 1024, 100, 8), (4 * 1024, 30, 6), (100, 8, 4))
"""Characters of a text, members of a list or object, and levels to keep, tried in this order until the value fits."""

_KEPT_KEYS = 64
_MAX_PARTS = 100_000
"""Maximum number of parts of a shortened value, to bound the time for creating it."""


class _TooManyError(Exception):
    """The shortened value would have too many parts."""


class _Cutter:
    def __init__(self, characters: int, members: int, levels: int) -> None:
        self._characters = characters
        self._members = members
        self._levels = levels
        self._parts = 0

    def cut(self, value: Any, level: int = 0) -> Any:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _TooManyError
        if isinstance(value, str):
            return self._cut_text(value)
        if isinstance(value, EncodedJson):
            return value if len(value.body) <= self._characters else f"… [{len(value.body) / 1e6:.1f} MB cut] …"
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= 64 else self._cut_text(hex(value))
        if level >= self._levels:
            return "…"
        if isinstance(value, Mapping):
            most = _KEPT_KEYS if level < 2 else self._members
            return {_cut_key(key): self.cut(each, level + 1) for key, each in islice(value.items(), most)}
        if isinstance(value, Sequence):
            return [self.cut(each, level + 1) for each in islice(value, self._members)]
        return self._cut_text(type(value).__name__)

    def _cut_text(self, text: str) -> str:
        if len(text) <= self._characters:
            return text
        return f"{text[: self._characters]}… [{len(text) - self._characters} characters cut]"


def _cut_key(key: object) -> str:
    text = key if isinstance(key, str) else str(key)
    return text if len(text) <= _CUT_KEY_CHARACTERS else f"{text[:_CUT_KEY_CHARACTERS]}…"


def _dumped(value: Any, default: Callable[[Any], Any], begin_again: Callable[[], None]) -> str:
    try:
        return json.dumps(value, default=default, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        begin_again()
        plain = json.loads(json.dumps(value, default=default), parse_constant=str)
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
