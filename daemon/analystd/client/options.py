"""What may be told to a command beside what it needs. What is None counts as not told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from analystd.wire.names import Priority


class AgentOptions(TypedDict, total=False):
    """Of a question to the model."""

    conversation: str | None
    """Continue this one (`AgentResult.conversation`), rather than begin another."""
    forget_runs: Sequence[str] | None
    """Runs of the conversation that are left out of it from now on."""
    session: str | None
    """The Python session that the model works in; `main` by default."""
    max_steps: int | None
    """At most so many tool calls."""
    max_seconds: float | None
    """At most so long, in seconds; then the answer says what was found by then."""
    priority: Priority | None
    """`batch` lets others go first."""
    context: Mapping[str, Any] | None
    """`{"uri", "range", "text"}`: what the question is about."""


class PythonOptions(TypedDict, total=False):
    """Of code to run."""

    reset: bool | None
    """Forget the session's variables first."""
    session: str | None
    """The session; `main` by default, and a new one with a new name."""
    timeout_seconds: float | None
    """Have the code stopped after so long, in seconds; its status is then `limit`."""
    priority: Priority | None
    """`batch` lets others go first."""
    uri: str | None
    """The document that the code stands in."""
    line: int | None
    """The 1-based line of it where the code begins."""


class ViewOptions(TypedDict, total=False):
    """Of a look at a table."""

    n_rows: int | None
    """How many rows, at most 10 000."""
    offset: int | None
    """The first row, counted from 0, for `rows`."""
    columns: Sequence[str] | None
    """Only these."""
    filter: Sequence[Mapping[str, Any]] | None
    """`[{"column", "op", "value"}]`, all of which must hold."""
    sort: Sequence[Mapping[str, Any]] | None
    """`[{"column", "descending"}]`, the first counts most."""
    delimiter: str | None
    """What parts the cells, where it would not be found out."""


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were told."""
    return {name: value for name, value in options.items() if value is not None}
