"""Find the models of the model servers on this machine: Ollama and llama-server, at their default addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from analystd.models.bounded_http import UNCOMPRESSED, Bounds, BoundsError, content, parsed

USUAL_SERVERS = (("Ollama", "http://127.0.0.1:11434/v1"), ("llama-server", "http://127.0.0.1:8080/v1"))

_SECONDS = 2.0
_MOST_BYTES = 1 << 20
_MOST_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class LocalServer:
    """A server that answers, and the names of its models."""

    server: str
    url: str
    models: tuple[str, ...]


async def find_offers(servers: Sequence[tuple[str, str]] = USUAL_SERVERS) -> list[LocalServer]:
    """Return the servers that answer soon, with their models."""
    found = await asyncio.gather(*(_query(name, url) for name, url in servers))
    return [each for each in found if each is not None]


def listed_name(wanted: str, names: Sequence[str]) -> str | None:
    """Return the name under which a server lists a model: the same, or with Ollama's `:latest`, which users omit; None if there is none."""
    return next((name for name in (wanted, f"{wanted}:latest") if name in names), None)


async def models_at(url: str) -> tuple[str, ...] | None:
    """Return the names of a server's models; None when no model server answers.

    Uses no proxy and follows no redirect, so that the request is sent only to the address in the URL.
    """
    try:
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(timeout=_SECONDS, trust_env=False, headers=UNCOMPRESSED) as client,
            client.stream("GET", f"{url.rstrip('/')}/models") as response,
        ):
            listing = await content(response, Bounds(url, _MOST_BYTES))
        return tuple(_name(each["id"]) for each in parsed(listing)["data"])
    except (httpx.HTTPError, httpx.InvalidURL, BoundsError, TimeoutError, OSError, ValueError, TypeError, KeyError):
        return None


async def _query(name: str, url: str) -> LocalServer | None:
    models = await models_at(url)
    return None if models is None else LocalServer(name, url, models)


def _name(value: object) -> str:
    """Return a name that is safe for a terminal: the server on a port may send any text."""
    return "".join(character for character in str(value) if character.isprintable())[:_MOST_NAME_CHARACTERS]
