"""One file fetched over HTTP, whole and checked, or not at all; what a broken transfer brought is kept, and the next one goes on from there."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path

import httpx

from analystd.errors import EngineUnavailableError

_ATTEMPTS = 4


@dataclass(frozen=True)
class Source:
    """Where a file is, and what it has to be."""

    url: str
    size: int
    sha256: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def part_of(target: Path) -> Path:
    """Where the bytes are until all of them are there."""
    return target.with_name(f"{target.name}.part")


def missing_bytes(source: Source, target: Path) -> int:
    """How many bytes are still to be fetched."""
    if _is_whole(source, target):
        return 0
    part = part_of(target)
    return max(0, source.size - (part.stat().st_size if part.exists() else 0))


async def fetch(client: httpx.AsyncClient, source: Source, target: Path, on_bytes: Callable[[int], None]) -> None:
    """Put the file at `target`; `on_bytes` is told how many bytes there are. A file of the right size that is there stays.

    Raises:
        EngineUnavailableError: when what came is not what it should be, or somebody else is fetching it.
        httpx.HTTPStatusError: when the server refuses; `httpx.TransportError` when it cannot be reached, or breaks off again and again.
        OSError: when it cannot be stored.
    """
    if _is_whole(source, target):
        on_bytes(source.size)
        return
    with _opened(part_of(target)) as part:
        attempt = 0
        while (there := part.seek(0, os.SEEK_END)) < source.size:
            attempt += 1
            try:
                await _continue(client, source, part, there, on_bytes)
            except httpx.TransportError:
                # A transfer that brings nothing any more is given up; one that brings a little goes on.
                attempt = 1 if part.seek(0, os.SEEK_END) > there else attempt
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(2.0**attempt / 10)
        on_bytes(there)
        part.flush()
        os.fsync(part.fileno())
        await asyncio.to_thread(_check, source, part, target)
        part_of(target).replace(target)


async def _continue(
    client: httpx.AsyncClient, source: Source, part: BufferedRandom, there: int, on_bytes: Callable[[int], None]
) -> None:
    headers = {**source.headers, "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    async with client.stream("GET", source.url, headers=headers) as response:
        response.raise_for_status()
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(
            f"bytes {there}-"
        )
        if there and not goes_on:
            # The server begins anew.
            part.truncate(0)
            there = 0
        async for chunk in response.aiter_raw():
            part.write(chunk)
            there += len(chunk)
            on_bytes(min(there, source.size))
            if there > source.size:
                return
    if there < source.size:
        raise httpx.ReadError(f"{there} of {source.size} bytes")


def _check(source: Source, part: BufferedRandom, target: Path) -> None:
    """What is wrong is removed: going on from it would never end well."""
    part.seek(0)
    right = part.seek(0, os.SEEK_END) == source.size
    part.seek(0)
    if right and source.sha256 in (None, hashlib.file_digest(part, "sha256").hexdigest()):
        return
    part_of(target).unlink(missing_ok=True)
    raise EngineUnavailableError(
        f"{target.name} is not the file that it should be (its size or its SHA-256 differs)",
        "Nothing was kept; try again.",
    )


def _is_whole(source: Source, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == source.size


@contextmanager
def _opened(path: Path) -> Iterator[BufferedRandom]:
    with path.open("a+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineUnavailableError(
                f"{path.name.removesuffix('.part')} is being fetched by another `analystd model pull`"
            ) from None
        yield part
