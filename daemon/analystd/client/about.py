"""What the daemon tells of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analystd.client._records import Record


@dataclass(frozen=True, eq=False)
class SandboxSummary(Record):
    """Behind which walls code runs: `full`, `partial` or `none`, and why."""

    level: str
    reason: str


@dataclass(frozen=True, eq=False)
class Model(Record):
    """Which model is asked; None where there is none."""

    kind: str
    model: str | None = None


@dataclass(frozen=True, eq=False)
class About(Record):
    """What the daemon said of itself and the desk when the client connected; `client` is the name that its runs carry."""

    protocol: int
    client: str
    sandbox: SandboxSummary
    notices: Sequence[str] = ()
    desk: str = ""
    workspace: str = ""
    engine: Model | None = None
    seq: int = 0


@dataclass(frozen=True, eq=False)
class Status(Record):
    """The daemon as a whole; docs/protocol.md tells what is in the mappings."""

    protocol: int
    version: str
    pid: int
    uptime_seconds: float
    clients: Sequence[Any]
    engine: Mapping[str, Any] | None
    sandbox: Mapping[str, Any]
    memory_bytes: int
    settings_file: str
    log: str
    problems: Sequence[str]
    desks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Stopping(Record):
    """A daemon that stops, and the runs that it waits for or cuts off."""

    pid: int
    runs: Sequence[str]
