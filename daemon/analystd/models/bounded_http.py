"""Answers of HTTP servers, read through bounds: a server may send without end, as one line, or as a few bytes that unpack to gigabytes.

Only raw bytes are read, and never unpacked: what a server compressed although it was asked not to is refused. The head of an answer is
bounded by httpx (100 KiB), and its time by `answer_head`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from analystd.wire.errors import EngineUnavailableError

UNCOMPRESSED = {"Accept-Encoding": "identity"}
"""The header that asks for bytes as they are."""

_EMPTY_LINES = re.compile(rb"(?:\r?\n){3,}")
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class BoundsError(EngineUnavailableError):
    """A server sent more, or for longer, than what is read of it."""


@dataclass(frozen=True)
class Bounds:
    """How much of an answer is read."""

    where: str
    """The server, as errors name it."""
    total_bytes: int
    line_bytes: int = 0
    """The longest line, where an answer is read by lines."""
    seconds: float = 3600.0
    """From the head of the answer to its end."""


async def answer_head(
    client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, redirects: bool = False
) -> httpx.Response:
    """Send a request and return the answer, its content still to be read; the caller closes it.

    With `redirects` an answer that names another address is followed, its content unread. `Authorization` goes to no other origin, and
    what was asked for over TLS is not fetched without.

    Raises:
        httpx.TransportError: when there is no answer, or none within `seconds`; `httpx.TooManyRedirects`.
    """
    for _ in range(_MOST_REDIRECTS):
        try:
            async with asyncio.timeout(seconds):
                response = await client.send(request, stream=True)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no answer within {seconds:g} s", request=request) from None
        location = response.headers.get("location")
        if not redirects or response.status_code not in _REDIRECTS or location is None:
            return response
        await response.aclose()
        request = _redirected(client, request, location)
    raise httpx.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects", request=request)


async def chunks(response: httpx.Response, bounds: Bounds) -> AsyncIterator[bytes]:
    """Yield the bytes of an answer as they come.

    Raises:
        BoundsError: when they are too many, take too long, or are compressed.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BoundsError(
            f"The server at {bounds.where} sent a compressed answer ({encoding[:40]}) although it was asked not to",
            "Its size when decompressed cannot be limited, so it is not read.",
        )
    loop, total = asyncio.get_running_loop(), 0
    until = loop.time() + bounds.seconds
    async for chunk in response.aiter_raw():
        total += len(chunk)
        if total > bounds.total_bytes:
            raise BoundsError(f"The server at {bounds.where} sent more than {_size(bounds.total_bytes)} in one answer")
        if loop.time() > until:
            raise BoundsError(f"The server at {bounds.where} did not end its answer within {bounds.seconds:g} s")
        yield chunk


async def content(response: httpx.Response, bounds: Bounds) -> bytes:
    """Return all of an answer.

    Raises:
        BoundsError: as `chunks`.
    """
    gathered = bytearray()
    async for chunk in chunks(response, bounds):
        gathered += chunk
    return bytes(gathered)


async def beginning(response: httpx.Response, bounds: Bounds) -> bytes:
    """Return what an answer begins with, for an error that quotes it; empty where nothing of it can be read."""
    gathered = bytearray()
    try:
        async for chunk in chunks(response, bounds):
            gathered += chunk
    except (BoundsError, httpx.TransportError):
        # What came until then may still say why.
        pass
    return bytes(gathered[: bounds.total_bytes])


async def lines(response: httpx.Response, bounds: Bounds) -> AsyncIterator[bytes]:
    r"""Yield the lines of an answer, which end with `\n` or `\r\n`, without their ends; of empty lines in a row, not all.

    Raises:
        BoundsError: as `chunks`; also for a line that is too long.
    """
    unfinished = bytearray()
    async for chunk in chunks(response, bounds):
        # Of many empty lines one is as good as all, and each would cost time.
        first, *others = _EMPTY_LINES.sub(b"\n\n", chunk).split(b"\n")
        unfinished += first
        for other in others:
            yield _line(unfinished, bounds)
            unfinished = bytearray(other)
        _line(unfinished, bounds)
    if unfinished:
        yield _line(unfinished, bounds)


def parsed(text: bytes | str) -> Any:
    """Return what JSON stands for.

    Raises:
        ValueError: when it is none, also where it nests so deep that Python does not follow.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _line(line: bytearray, bounds: Bounds) -> bytes:
    if len(line) > bounds.line_bytes:
        raise BoundsError(f"The server at {bounds.where} sent a line of more than {_size(bounds.line_bytes)}")
    return bytes(line).removesuffix(b"\r")


def _redirected(client: httpx.AsyncClient, request: httpx.Request, location: str) -> httpx.Request:
    url = httpx.URL(urljoin(str(request.url), location))
    if url.scheme not in ("http", "https") or (request.url.scheme, url.scheme) == ("https", "http"):
        raise httpx.UnsupportedProtocol(f"a redirect from {request.url.scheme} to {url.scheme!r}", request=request)
    headers: Mapping[str, str] = request.headers
    is_same = (url.scheme, url.host, url.port) == (request.url.scheme, request.url.host, request.url.port)
    kept = {
        name: value
        for name, value in headers.items()
        if name.lower() != "host" and (is_same or name.lower() != "authorization")
    }
    return client.build_request("GET", url, headers=kept)


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
