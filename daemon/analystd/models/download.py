"""Fetch one file over HTTP, whole and verified, or not at all. An interrupted transfer keeps its bytes, and the next one continues there.

The bytes are kept under a name that identifies the content, so that a transfer never continues the bytes of another revision.
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
    """The address of a file, and its expected size and hash."""

    url: str
    size: int
    sha256: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def part_of(target: Path, source: DownloadSource) -> Path:
    """Return the path of the bytes until the file is complete."""
    content = source.sha256 or hashlib.sha256(f"{source.url} {source.size}".encode()).hexdigest()
    return target.with_name(f"{target.name}.{content[:16]}.part")


def missing_bytes(source: DownloadSource, target: Path) -> int:
    """Return how many bytes must still be fetched. An existing file is verified by its hash."""
    if _is_complete(source, target):
        return 0
    part = part_of(target, source)
    return max(0, source.size - (part.stat().st_size if part.exists() else 0))


async def fetch(
    client: httpx.AsyncClient, source: DownloadSource, target: Path, on_bytes: Callable[[int], None]
) -> None:
    """Put the file at `target`, unless a valid one is there. Calls `on_bytes` with the number of bytes so far.

    Raises:
        EngineUnavailableError: when the content is not the expected one, or another process fetches the file.
        httpx.HTTPStatusError: when the server rejects the request; `httpx.TransportError` when it repeatedly fails.
        OSError: when the file cannot be stored. The stored bytes are kept.
    """
    with _opened(part_of(target, source), target) as part:
        if await asyncio.to_thread(_is_complete, source, target):
            on_bytes(source.size)
            part_of(target, source).unlink(missing_ok=True)
            return
        await _fill(client, source, part, on_bytes)
        os.fsync(part.fileno())
        await asyncio.to_thread(_check, source, part, target)
        part_of(target, source).replace(target)
    if source.sha256 is not None:
        remember(target, source.sha256)
    _remove_other_parts(target)


@dataclass(frozen=True)
class DownloadPart:
    """A part of a file that is fetched separately: its size, and how to open its content."""

    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def assemble(source: DownloadSource, target: Path, parts: Sequence[DownloadPart]) -> None:
    """Put the file at `target`, made of parts in order. Parts whose bytes were stored before are not opened.

    Raises:
        EngineUnavailableError: when the content is not the expected one, or another process fetches the file.
        OSError: when the file cannot be stored. The stored bytes are kept.
    """
    with _opened(part_of(target, source), target) as part:
        start = 0
        for each in parts:
            present = part.seek(0, os.SEEK_END)
            if start <= present < start + each.size:
                with each.open() as content:
                    _append(part, content, present - start, each.size)
            start += each.size
        os.fsync(part.fileno())
        _check(source, part, target)
        part_of(target, source).replace(target)
    _remove_other_parts(target)


def _append(part: FileIO, content: IO[bytes], skipped: int, size: int) -> None:
    """Write the content after the skipped bytes, up to `size` bytes in all."""
    at = 0
    while at < size and (piece := content.read(min(_ONE_CHUNK, size - at))):
        _write(part, piece[max(0, skipped - at) :])
        at += len(piece)


async def _fill(
    client: httpx.AsyncClient, source: DownloadSource, part: FileIO, on_bytes: Callable[[int], None]
) -> None:
    attempt = 0
    while (present := part.seek(0, os.SEEK_END)) < source.size:
        attempt += 1
        try:
            await _continue(client, source, part, present, on_bytes)
        except httpx.TransportError:
            # Give up a transfer that makes no progress; continue one that makes some.
            attempt = 1 if part.seek(0, os.SEEK_END) > present else attempt
            if attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(2.0**attempt / 10)
    on_bytes(present)


async def _continue(
    client: httpx.AsyncClient, source: DownloadSource, part: FileIO, present: int, on_bytes: Callable[[int], None]
) -> None:
    headers = {**source.headers, **UNCOMPRESSED}
    if present:
        headers["Range"] = f"bytes={present}-"
    request = client.build_request("GET", source.url, headers=headers)
    response = await answer_head(client, request, seconds=HEAD_SECONDS, redirects=True)
    try:
        response.raise_for_status()
        continues = response.status_code == 206 and response.headers.get("content-range", "").startswith(
            f"bytes {present}-"
        )
        if present and not continues:
            # The server sends the file from its beginning.
            part.truncate(0)
            present = 0
        bounds = Bounds(response.url.host, source.size - present + _ONE_CHUNK, seconds=_DAY)
        async for chunk in chunks(response, bounds):
            _write(part, chunk)
            present += len(chunk)
            on_bytes(min(present, source.size))
            if present > source.size:
                # A longer content is not this file, which the check reports.
                return
    finally:
        await response.aclose()
    if present < source.size:
        raise httpx.ReadError(f"{present} of {source.size} bytes")


def _write(part: FileIO, content: bytes) -> None:
    """Write all of the content: the system may take less at a time, above all when the disk is nearly full."""
    view = memoryview(content)
    while view:
        written = part.write(view)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def _check(source: DownloadSource, part: FileIO, target: Path) -> None:
    """Verify the content, and remove an invalid one, which no transfer could continue."""
    is_valid = part.seek(0, os.SEEK_END) == source.size
    part.seek(0)
    if is_valid and source.sha256 in (None, hashlib.file_digest(part, "sha256").hexdigest()):
        return
    part_of(target, source).unlink(missing_ok=True)
    raise EngineUnavailableError(
        f"{target.name} is not the expected file (its size or its SHA-256 differs)",
        "Nothing was kept; try again.",
    )


def _is_complete(source: DownloadSource, target: Path) -> bool:
    """Return whether the file exists and is valid. Without a hash from the server, only its size is checked."""
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
    """Open the part for this process alone.

    Raises:
        EngineUnavailableError: when another process has it open.
    """
    while True:
        with FileIO(path, "a+") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EngineUnavailableError(
                    f"{target.name} is being fetched by another `analystd model pull`", "Wait for it to end."
                ) from None
            if _is_in_place(part, path):
                yield part
                return


def _is_in_place(part: FileIO, path: Path) -> bool:
    """Return whether the file is still at its path: another process may have moved or removed it before it was locked."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    return False


def _remove_other_parts(target: Path) -> None:
    """Remove the bytes of other revisions, except those that a process is fetching."""
    for path in target.parent.iterdir():
        if not (path.name.startswith(f"{target.name}.") and path.name.endswith(".part")):
            continue
        with contextlib.suppress(OSError), FileIO(path, "r+") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
