"""One file fetched over HTTP, whole and checked, or not at all; what a broken transfer brought is kept, and the next one goes on from there.

What was brought is kept under a name that tells which content it belongs to, so that another revision of a file never goes on from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import IO

import httpx

from analystd.models.bounded_http import UNCOMPRESSED, Bounds, answer_head, chunks
from analystd.models.known_files import remember, sha256_of
from analystd.wire.errors import EngineUnavailableError

HEAD_SECONDS = 60.0

_ATTEMPTS = 4
_DAY = 86_400.0
_ONE_CHUNK = 1 << 20


@dataclass(frozen=True)
class DownloadSource:
    """Where a file is, and what it has to be."""

    url: str
    size: int
    sha256: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def part_of(target: Path, source: DownloadSource) -> Path:
    """Return where the bytes are until all of them are there."""
    content = source.sha256 or hashlib.sha256(f"{source.url} {source.size}".encode()).hexdigest()
    return target.with_name(f"{target.name}.{content[:16]}.part")


def missing_bytes(source: DownloadSource, target: Path) -> int:
    """Return how many bytes are still to be fetched; a file that is there is held against its hash."""
    if _is_right(source, target):
        return 0
    part = part_of(target, source)
    return max(0, source.size - (part.stat().st_size if part.exists() else 0))


async def fetch(
    client: httpx.AsyncClient, source: DownloadSource, target: Path, on_bytes: Callable[[int], None]
) -> None:
    """Put the file at `target`; `on_bytes` is told how many bytes there are. A file that is there and right stays.

    Raises:
        EngineUnavailableError: when what came is not what it should be, or somebody else is fetching it.
        httpx.HTTPStatusError: when the server refuses; `httpx.TransportError` when it cannot be reached, or breaks off again and again.
        OSError: when it cannot be stored; what was stored is kept.
    """
    with _opened(part_of(target, source), target) as part:
        if await asyncio.to_thread(_is_right, source, target):
            on_bytes(source.size)
            part_of(target, source).unlink(missing_ok=True)
            return
        await _fill(client, source, part, on_bytes)
        os.fsync(part.fileno())
        await asyncio.to_thread(_check, source, part, target)
        part_of(target, source).replace(target)
    if source.sha256 is not None:
        remember(target, source.sha256)
    _drop_others(target)


@dataclass(frozen=True)
class DownloadPart:
    """A part of a file that comes by itself: its size, and how its content is opened for reading."""

    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def assemble(source: DownloadSource, target: Path, stretches: Sequence[DownloadPart]) -> None:
    """Put the file at `target`, made of stretches in their order; those whose bytes are there already are not opened.

    Raises:
        EngineUnavailableError: when what came is not what it should be, or somebody else is fetching it.
        OSError: when it cannot be stored; what was stored is kept.
    """
    with _opened(part_of(target, source), target) as part:
        start = 0
        for stretch in stretches:
            there = part.seek(0, os.SEEK_END)
            if start <= there < start + stretch.size:
                with stretch.open() as content:
                    _append(part, content, there - start, stretch.size)
            start += stretch.size
        os.fsync(part.fileno())
        _check(source, part, target)
        part_of(target, source).replace(target)
    _drop_others(target)


def _append(part: FileIO, content: IO[bytes], skipped: int, size: int) -> None:
    """Write what stands in `content` after the bytes that are skipped, up to `size` in all."""
    at = 0
    while at < size and (piece := content.read(min(_ONE_CHUNK, size - at))):
        _write(part, piece[max(0, skipped - at) :])
        at += len(piece)


async def _fill(
    client: httpx.AsyncClient, source: DownloadSource, part: FileIO, on_bytes: Callable[[int], None]
) -> None:
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


async def _continue(
    client: httpx.AsyncClient, source: DownloadSource, part: FileIO, there: int, on_bytes: Callable[[int], None]
) -> None:
    headers = {**source.headers, **UNCOMPRESSED}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = client.build_request("GET", source.url, headers=headers)
    response = await answer_head(client, request, seconds=HEAD_SECONDS, redirects=True)
    try:
        response.raise_for_status()
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(
            f"bytes {there}-"
        )
        if there and not goes_on:
            # The server begins anew.
            part.truncate(0)
            there = 0
        bounds = Bounds(response.url.host, source.size - there + _ONE_CHUNK, seconds=_DAY)
        async for chunk in chunks(response, bounds):
            _write(part, chunk)
            there += len(chunk)
            on_bytes(min(there, source.size))
            if there > source.size:
                # What is longer than told is not this file, which the check tells.
                return
    finally:
        await response.aclose()
    if there < source.size:
        raise httpx.ReadError(f"{there} of {source.size} bytes")


def _write(part: FileIO, content: bytes) -> None:
    """Write all of it; the system may take less at a time, above all when the disk is nearly full."""
    view = memoryview(content)
    while view:
        written = part.write(view)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def _check(source: DownloadSource, part: FileIO, target: Path) -> None:
    """What is wrong is removed: going on from it would never end well."""
    right = part.seek(0, os.SEEK_END) == source.size
    part.seek(0)
    if right and source.sha256 in (None, hashlib.file_digest(part, "sha256").hexdigest()):
        return
    part_of(target, source).unlink(missing_ok=True)
    raise EngineUnavailableError(
        f"{target.name} is not the file that it should be (its size or its SHA-256 differs)",
        "Nothing was kept; try again.",
    )


def _is_right(source: DownloadSource, target: Path) -> bool:
    """Whether the file is there; one whose hash the server does not tell is believed for its size."""
    try:
        return (
            target.is_file()
            and target.stat().st_size == source.size
            and source.sha256 in (None, sha256_of(target) if source.sha256 else None)
        )
    except OSError:
        return False


@contextmanager
def _opened(path: Path, target: Path) -> Iterator[FileIO]:
    """The part, for this process alone.

    Raises:
        EngineUnavailableError: when another process has it.
    """
    while True:
        with FileIO(path, "a+") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EngineUnavailableError(
                    f"{target.name} is being fetched by another `analystd model pull`", "Wait for it to end."
                ) from None
            if _is_still_at(part, path):
                yield part
                return


def _is_still_at(part: FileIO, path: Path) -> bool:
    """Whether another process has not put the file in its place, or removed it, between our opening and locking it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    return False


def _drop_others(target: Path) -> None:
    """Remove what was brought of other revisions, which nothing goes on from any more; not what somebody fetches right now."""
    for path in target.parent.iterdir():
        if not (path.name.startswith(f"{target.name}.") and path.name.endswith(".part")):
            continue
        with contextlib.suppress(OSError), FileIO(path, "r+") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
