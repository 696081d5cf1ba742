"""The desk that a command works at: what its settings come to is told, and paths are understood as the shell has them."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from analystd.cli.parser import Options
from analystd.client import Client, connect
from analystd.wire.names import Subscription


@asynccontextmanager
async def open_desk(options: Options, *, name: str = "client", events: Subscription = "all") -> AsyncIterator[Client]:
    """Connect to the desk of `--workspace`; what is wrong with the settings, or not in force of them, is told on stderr."""
    async with connect(options.workspace, name=name, events=events) as desk:
        tell_notices(desk)
        yield desk


def tell_notices(desk: Client) -> None:
    """Print on stderr what the daemon told of the settings when this client connected."""
    tell_all(desk.about.notices)


def tell_all(notices: Iterable[str]) -> None:
    """Print notices on stderr."""
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)


def path_at(desk: Client, path: str) -> str:
    """Return a path relative to the current folder as the desk knows it, where something in its workspace is meant by that.

    All else is left as it stands, for the jail to let in or refuse.
    """
    if not path or path.startswith("/"):
        return path
    root = Path(desk.about.workspace)
    here = Path(os.path.abspath(path))  # noqa: PTH100 (a link in the workspace is the jail's business)
    if not here.is_relative_to(root) or not os.path.lexists(here):
        return path
    relative = str(here.relative_to(root))
    return f"{relative}/" if path.endswith("/") and relative != "." else relative
