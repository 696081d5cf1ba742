"""A client of the chat API of OpenAI's server (`/chat/completions`), which other servers also offer, with retries and streamed replies.

No exception and no log record of this module contains the key, or the parts of a URL before its host or after its path.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from analystd.engine.openai.refused_parameters import Refusal
from analystd.models.bounded_http import (
    UNCOMPRESSED,
    Bounds,
    BoundsError,
    answer_head,
    beginning,
    content,
    lines,
    parsed,
)
from analystd.wire.errors import EngineUnavailableError

logger = logging.getLogger(__name__)

# httpx logs each URL, and a URL may contain a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

ATTEMPTS = 4

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 300.0
"""How long a server may process a long prompt before its first token."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_RETRIED_STATUSES = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_ERROR_CHARACTERS = 300
_READ_CHARACTERS = 10_000
_MOST_REPLY_BYTES = 32 << 20
"""Maximum size of a streamed reply with all its metadata; a reply of 512 tokens takes about 150 KB."""
_MOST_EVENT_BYTES = 4 << 20
_MOST_LIST_BYTES = 4 << 20
"""Maximum size of a list of models; a detailed list of 300 models takes 200 KB."""
_MOST_REFUSAL_BYTES = 64 << 10
_SHORT_ANSWER_SECONDS = 30.0
"""Time limit of a list of models, or of an error response."""
_MOST_NATIVE_BYTES = 4 << 20
"""Maximum size of a description of a server or a model; Ollama's, with licence and template, takes about 100 KB."""
_NATIVE_SECONDS = 5.0


@dataclass(frozen=True)
class Server:
    """The address of the API, and its key."""

    url: str
    key: str | None = None

    @property
    def shown(self) -> str:
        """The URL without the parts that may be secret."""
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            return "(invalid URL)"
        port = f":{url.port}" if url.port else ""
        return f"{url.scheme}://{url.host}{port}{url.path}".rstrip("/")

    @property
    def root(self) -> str:
        """The URL without the `/v1` at its end. Servers have their own interfaces below it."""
        url = httpx.URL(self.url)
        return str(url.copy_with(path=url.path.rstrip("/").removesuffix("/v1").rstrip("/") + "/", query=None))

    @property
    def is_here(self) -> bool:
        """Whether the server runs on this machine."""
        try:
            host = httpx.URL(self.url).host
        except httpx.InvalidURL:
            return False
        return host in ("localhost", "::1") or host.startswith("127.")


class UnreachableError(EngineUnavailableError):
    """No server answers at that address."""


class BadRequestError(EngineUnavailableError):
    """The server rejects the request. `refusal` is its answer."""

    def __init__(self, message: str, hint: str | None = None, refusal: Refusal | None = None) -> None:
        super().__init__(message, hint)
        self.refusal = refusal


class NotFoundError(EngineUnavailableError):
    """The server does not have that model, or that path."""


class ChatApi:
    """A client of one server. Cancelling a call closes its connection, which ends the server's work."""

    def __init__(self, server: Server) -> None:
        self._server = server
        headers = UNCOMPRESSED | ({"Authorization": f"Bearer {server.key}"} if server.key else {})
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        try:
            # A proxy of the environment must not be used for this machine itself.
            self._client = httpx.AsyncClient(
                base_url=server.url, headers=headers, timeout=timeout, trust_env=not server.is_here
            )
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise EngineUnavailableError(
                "AGENT_MODEL_URL or AGENT_MODEL_API_KEY is not valid",
                "A URL looks like http://127.0.0.1:8080/v1.",
            ) from None

    async def models(self, attempts: int = ATTEMPTS) -> list[dict[str, Any]]:
        """Return the server's descriptions of its models.

        Raises:
            EngineUnavailableError: when it rejects the request or its answer is invalid; `UnreachableError` when it does not answer.
        """
        async with self._answer("GET", "models", seconds=_SHORT_ANSWER_SECONDS, attempts=attempts) as response:
            listing = await content(response, self._bounds(_MOST_LIST_BYTES, seconds=_SHORT_ANSWER_SECONDS))
        try:
            return [each for each in parsed(listing)["data"] if isinstance(each.get("id"), str)]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self._no_model_server() from None

    async def native(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call an interface that only servers of one kind have, at `path` below `Server.root`. Returns None where the server lacks it.

        Raises:
            UnreachableError: when no server answers.
        """
        try:
            url = self._server.root + path
            async with self._answer(method, url, body, seconds=_NATIVE_SECONDS, attempts=1) as response:
                return parsed(await content(response, self._bounds(_MOST_NATIVE_BYTES, seconds=_NATIVE_SECONDS)))
        except UnreachableError:
            raise
        except (EngineUnavailableError, ValueError):
            return None

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the chunks of a completion as they arrive.

        Raises:
            EngineUnavailableError: when the server cannot be reached, fails, or closes the connection; `BadRequestError` when it rejects
                the request.
        """
        began = ended = False
        async with self._answer("POST", "chat/completions", body) as response:
            content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if content_type == "text/html":
                raise self._no_model_server()
            if content_type == "application/json":
                yield await self._unstreamed(response)
                return
            async for data in _events(response, self._bounds(_MOST_REPLY_BYTES, line_bytes=_MOST_EVENT_BYTES)):
                if data == "[DONE]":
                    ended = began
                    break
                chunk, began = self._chunk(data), True
                ended = ended or any(choice.get("finish_reason") for choice in choices_of(chunk))
                yield chunk
        if not began:
            raise BadRequestError(f"The server at {self._server.shown} sent an empty reply", "Its log may say why.")
        if not ended:
            raise EngineUnavailableError(
                f"The server at {self._server.shown} broke off in the middle of its reply",
                "Ask again; its log may say more.",
            )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        seconds: float | None = None,
        attempts: int = ATTEMPTS,
    ) -> AsyncIterator[httpx.Response]:
        """Yield a successful response with its content unread. Temporary failures are retried as long as nothing of a reply was read."""
        attempt = 0
        while True:
            attempt += 1
            try:
                request = self._client.build_request(method, path, json=body)
                response = await answer_head(self._client, request, seconds=seconds or _SILENCE_SECONDS)
            except (httpx.TransportError, httpx.InvalidURL) as exc:
                if attempt >= attempts or not isinstance(
                    exc, (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)
                ):
                    raise self._unreachable(exc) from None
                await self._pause(attempt, None, type(exc).__name__)
                continue
            if response.status_code in _RETRIED_STATUSES and attempt < attempts:
                await response.aclose()
                await self._pause(attempt, response.headers.get("retry-after"), f"status {response.status_code}")
                continue
            break
        try:
            if response.status_code != 200:
                raise await self._error_for_status(response)
            yield response
        except httpx.TransportError as exc:
            raise self._interrupted(exc) from None
        finally:
            await response.aclose()

    async def _pause(self, attempt: int, retry_after: str | None, why: str) -> None:
        """Wait longer after each attempt, as long as the server asks for within bounds, with random variation between clients."""
        pause = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
        if retry_after is not None and retry_after.isdecimal():
            pause = max(pause, float(retry_after))
        pause = min(pause, _LONGEST_PAUSE_SECONDS)
        logger.info("model server %s: %s, trying again in %.1f s", self._server.shown, why, pause)
        await asyncio.sleep(pause)

    async def _unstreamed(self, response: httpx.Response) -> dict[str, Any]:
        """Return the reply of a server that does not stream as one chunk."""
        answer = self._chunk((await content(response, self._bounds(_MOST_EVENT_BYTES))).decode("utf-8", "replace"))
        if not choices_of(answer):
            raise self._no_model_server()
        return answer | {"choices": [{**each, "delta": each.get("message")} for each in choices_of(answer)]}

    def _no_model_server(self) -> EngineUnavailableError:
        return EngineUnavailableError(
            f"The server at {self._server.shown} does not answer as a model server",
            "Set AGENT_MODEL_URL to the base URL of the API, which usually ends in /v1.",
        )

    def _chunk(self, data: str) -> dict[str, Any]:
        try:
            chunk = parsed(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            raise EngineUnavailableError(f"The server at {self._server.shown} sent an invalid chunk of a reply")
        if error := chunk.get("error"):
            raise EngineUnavailableError(f"The server at {self._server.shown} failed: {self._error_text(error)}")
        return chunk

    async def _error_for_status(self, response: httpx.Response) -> EngineUnavailableError:
        """Return the error for an unsuccessful response, by its status."""
        where, status = self._server.shown, response.status_code
        body_text = await beginning(response, self._bounds(_MOST_REFUSAL_BYTES, seconds=_SHORT_ANSWER_SECONDS))
        refusal = Refusal(body_text.decode("utf-8", "replace"))
        error_text = self._error_text(refusal.text)
        if status in (401, 403):
            return EngineUnavailableError(
                f"The server at {where} rejects the API key ({status})", "Set AGENT_MODEL_API_KEY to a valid key."
            )
        if status == 404:
            return NotFoundError(
                f"The server at {where} has no such model or no such API (404): {error_text}",
                "Set AGENT_MODEL_NAME to the model's name, and AGENT_MODEL_URL to the base URL of the API, which usually ends in /v1.",
            )
        if status == 429:
            return EngineUnavailableError(f"The server at {where} is too busy (429): {error_text}", "Try again later.")
        if 300 <= status < 400:
            return EngineUnavailableError(
                f"The server at {where} redirects to another address ({status})", "Set AGENT_MODEL_URL to that address."
            )
        if status == 400 and refusal.is_about_model:
            return NotFoundError(
                f"The server at {where} has no such model (400): {error_text}",
                "Set AGENT_MODEL_NAME to the model's name.",
            )
        # Some servers answer 500 instead of 400. Their text names a part of the request then.
        if status in (400, 413, 422) or (status in (500, 501) and refusal.is_about_request):
            return BadRequestError(
                f"The server at {where} rejects the request ({status}): {error_text}", refusal=refusal
            )
        return EngineUnavailableError(
            f"The server at {where} failed with status {status}: {error_text}", "Its log may say more."
        )

    def _error_text(self, content: Any) -> str:
        """Return the server's own explanation on one line, shortened, and without the key."""
        try:
            body_text = parsed(content) if isinstance(content, str) else content
            while isinstance(body_text, dict):
                body_text = (
                    body_text.get("error")
                    or body_text.get("message")
                    or body_text.get("detail")
                    or json.dumps(body_text)
                )
            body_text = str(body_text)
        except (ValueError, RecursionError):
            body_text = content if isinstance(content, str) else "a message that is nested too deeply"
        line = " ".join("".join(each if each.isprintable() else " " for each in body_text[:_READ_CHARACTERS]).split())
        if self._server.key:
            line = line.replace(self._server.key, "…")
        return line[:_ERROR_CHARACTERS] or "no reason given"

    def _bounds(self, total_bytes: int, *, line_bytes: int = 0, seconds: float = 3600.0) -> Bounds:
        return Bounds(self._server.shown, total_bytes, line_bytes, seconds)

    def _unreachable(self, exc: Exception) -> EngineUnavailableError:
        hint = "Check that it is running, and that AGENT_MODEL_URL is its address."
        what = "does not answer in time" if isinstance(exc, httpx.TimeoutException) else "cannot be reached"
        is_there = isinstance(exc, (httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError))
        error_class = EngineUnavailableError if is_there else UnreachableError
        return error_class(f"The model server at {self._server.shown} {what}", hint)

    def _interrupted(self, exc: Exception) -> EngineUnavailableError:
        if isinstance(exc, httpx.TimeoutException):
            return EngineUnavailableError(
                f"The server at {self._server.shown} was silent for {_SILENCE_SECONDS:.0f} s in the middle of its reply"
            )
        return EngineUnavailableError(
            f"The server at {self._server.shown} broke off in the middle of its reply",
            "Ask again; its log may say more.",
        )


def choices_of(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of a chunk, ignoring values of another type."""
    choices = chunk.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


async def _events(response: httpx.Response, bounds: Bounds) -> AsyncIterator[str]:
    """Yield the data of server-sent events; other fields are not needed."""
    event: list[bytes] = []
    size = 0
    async for line in lines(response, bounds):
        if line.startswith(b"data:"):
            event.append(line[5:].removeprefix(b" "))
            size += len(line)
            if size > bounds.line_bytes:
                raise BoundsError(
                    f"The server at {bounds.where} sent an event of more than {bounds.line_bytes >> 20} MiB"
                )
        elif not line and event:
            yield b"\n".join(event).decode("utf-8", "replace")
            event.clear()
            size = 0
    if event:
        yield b"\n".join(event).decode("utf-8", "replace")
