"""What was moved aside in a workspace because tools outside of the jail would run or believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analystd.client._records import Record


@dataclass(frozen=True, eq=False)
class QuarantinedItem(Record):
    """Something that was moved aside: `path` is where it was, relative to the workspace; `trusted_by` what acts on such a name."""

    path: str
    kind: str
    size: int | None
    trusted_by: str
    reason: str


@dataclass(frozen=True, eq=False)
class QuarantineEntry(Record):
    """What was moved aside at one time; of `count` things the first ones are in `moved`. `at` is in Unix seconds; `runs` were under way."""

    id: str
    at: float
    runs: Sequence[str]
    moved: tuple[QuarantinedItem, ...]
    count: int


@dataclass(frozen=True, eq=False)
class QuarantinedFile(Record):
    """A file that would be put back, and its bytes."""

    path: str
    size: int


@dataclass(frozen=True, eq=False)
class Restoration(Record):
    """What was put back or discarded; of a preview, what would be put back, its `digest`, and why it could not be (`problems`)."""

    status: str
    entry: QuarantineEntry
    files: tuple[QuarantinedFile, ...]
    digest: str | None
    problems: Sequence[str]
