"""What model servers on this machine offer, if any are running: Ollama and llama-server, where they listen unless told otherwise."""

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
    """A server that answers, and its models' names."""

    server: str
    url: str
    models: tuple[str, ...]


async def find_offers(servers: Sequence[tuple[str, str]] = USUAL_SERVERS) -> list[LocalServer]:
    """What those of the servers offer that answer soon; nothing is told of the others."""
    offers = await asyncio.gather(*(_ask(name, url) for name, url in servers))
    return [offer for offer in offers if offer is not None]


def listed_name(wanted: str, names: Sequence[str]) -> str | None:
    """The name under which a server lists a model: the very one, or with Ollama's `:latest`, which people leave out; None where it has none."""
    return next((name for name in (wanted, f"{wanted}:latest") if name in names), None)


async def models_at(url: str) -> tuple[str, ...] | None:
    """The names of a server's models; None when no model server answers there.

    No proxy is asked and no redirect followed: what is asked stays where the URL says.
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


async def _ask(name: str, url: str) -> LocalServer | None:
    models = await models_at(url)
    return None if models is None else LocalServer(name, url, models)


def _name(told: object) -> str:
    """A name fit for a terminal: whoever listens on a port may tell anything."""
    return "".join(character for character in str(told) if character.isprintable())[:_MOST_NAME_CHARACTERS]
