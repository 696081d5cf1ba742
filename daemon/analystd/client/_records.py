"""Records: objects that the daemon sent, with typed attributes, and as mappings exactly as they came over the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from analystd.wire.structured import WithWire, structured


@dataclass(frozen=True, eq=False)
class Record(WithWire, Mapping[str, Any]):
    """Base of all results. `dict(record)` is what the daemon sent, ready for `json.dumps`, including members that only newer daemons send."""

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> Self:
        """Return the record of an object of the wire."""
        return structured(cls, wire)

    def __getitem__(self, name: str) -> Any:
        return self.wire[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.wire)

    def __len__(self) -> int:
        return len(self.wire)
