"""Connect a command to its desk, print the desk's notices, and resolve paths as the shell does."""

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
    """Connect to the desk of `--workspace`, and print its notices on stderr: settings that are invalid or not in force."""
    async with connect(options.workspace, name=name, events=events) as desk:
        print_desk_notices(desk)
        yield desk


def print_desk_notices(desk: Client) -> None:
    """Print on stderr the notices that the daemon sent when this client connected."""
    print_notices(desk.about.notices)


def print_notices(notices: Iterable[str]) -> None:
    """Print notices on stderr."""
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)


def path_at(desk: Client, path: str) -> str:
    """Return a path relative to the current folder as a path in the workspace, if a file or folder of the workspace is there.

    Any other path is returned unchanged; the jail accepts or refuses it.
    """
    if not path or path.startswith("/"):
        return path
    root = Path(desk.about.workspace)
    here = Path(os.path.abspath(path))  # noqa: PTH100 (the jail resolves links in the workspace)
    if not here.is_relative_to(root) or not os.path.lexists(here):
        return path
    relative = str(here.relative_to(root))
    return f"{relative}/" if path.endswith("/") and relative != "." else relative
