"""Read the answers of HTTP servers within bounds: a server may send without end, as one line, or a few bytes that unpack to gigabytes.

Only raw bytes are read, and never decompressed: an answer that a server compressed against the request is rejected. httpx limits the size of
an answer's head (100 KiB), and `answer_head` its time.
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
"""The header that requests uncompressed bytes."""

_EMPTY_LINES = re.compile(rb"(?:\r?\n){3,}")
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class BoundsError(EngineUnavailableError):
    """A server sent more than the bounds allow, or for longer."""


@dataclass(frozen=True)
class Bounds:
    """How much of an answer is read."""

    where: str
    """The server's name in errors."""
    total_bytes: int
    line_bytes: int = 0
    """Maximum length of a line, if the answer is read by lines."""
    seconds: float = 3600.0
    """Time limit from the head of the answer to its end."""


async def answer_head(
    client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, redirects: bool = False
) -> httpx.Response:
    """Send a request and return the answer with its content unread. The caller closes it.

    With `redirects`, redirects are followed without reading their content. `Authorization` is sent to no other origin, and a request over
    TLS is never redirected to one without.

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
    """Yield the bytes of an answer as they arrive.

    Raises:
        BoundsError: when there are too many, they take too long, or they are compressed.
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
    """Return the whole content of an answer.

    Raises:
        BoundsError: as `chunks`.
    """
    gathered = bytearray()
    async for chunk in chunks(response, bounds):
        gathered += chunk
    return bytes(gathered)


async def beginning(response: httpx.Response, bounds: Bounds) -> bytes:
    """Return the beginning of an answer, for an error that quotes it; empty if nothing of it can be read."""
    gathered = bytearray()
    try:
        async for chunk in chunks(response, bounds):
            gathered += chunk
    except (BoundsError, httpx.TransportError):
        # What arrived until then may still contain the reason.
        pass
    return bytes(gathered[: bounds.total_bytes])


async def lines(response: httpx.Response, bounds: Bounds) -> AsyncIterator[bytes]:
    r"""Yield the lines of an answer, which end with `\n` or `\r\n`, without their ends. Some of several empty lines in a row are dropped.

    Raises:
        BoundsError: as `chunks`; also for a line that is too long.
    """
    unfinished = bytearray()
    async for chunk in chunks(response, bounds):
        # Several empty lines in a row mean the same as one or two, and each would cost time.
        first, *others = _EMPTY_LINES.sub(b"\n\n", chunk).split(b"\n")
        unfinished += first
        for other in others:
            yield _line(unfinished, bounds)
            unfinished = bytearray(other)
        _line(unfinished, bounds)
    if unfinished:
        yield _line(unfinished, bounds)


def parsed(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: when it is not valid JSON, or nested more deeply than Python can parse.
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
