"""Records: what the daemon sent, read by attributes that are typed, and as a mapping exactly as it came over the wire."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

Maker = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Record(Mapping[str, Any]):
    """Base of all results. `dict(record)` is what the daemon sent, plain enough for `json.dumps`; members of newer daemons are there too."""

    wire: Mapping[str, Any] = field(default_factory=dict, repr=False, kw_only=True)

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> Self:
        """The record of what came over the wire."""
        known = {name: make(wire[name]) for name, make in _makers(cls).items() if name in wire}
        return cls(**known, wire=wire)

    def __getitem__(self, name: str) -> Any:
        return self.wire[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.wire)

    def __len__(self) -> int:
        return len(self.wire)


@cache
def _makers(record: type[Record]) -> dict[str, Maker]:
    """How each field of a kind of record is made."""
    hints = get_type_hints(record)
    return {each.name: _maker(hints[each.name]) for each in fields(record) if each.name != "wire"}


def _maker(hint: Any) -> Maker:
    origin = get_origin(hint)
    if isinstance(hint, type) and origin is None and issubclass(hint, Record):
        return hint.of
    if origin is tuple:
        make = _maker(get_args(hint)[0])
        return lambda items: tuple(make(item) for item in items)
    if origin in (Union, types.UnionType):
        make = next((_maker(each) for each in get_args(hint) if each is not types.NoneType), _as_it_is)
        return lambda value: None if value is None else make(value)
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
