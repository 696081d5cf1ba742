"""A model behind an OpenAI-compatible server: llama-server, vLLM, Ollama, LM Studio, or one that is not on this machine.

The agent sees the same thing as from a local model: text in which a call stands between `<tool name="…">` and `</tool>`. Where the
server calls tools natively, its calls are written that way as they stream in, and earlier calls are given back to it in its own form.
Whatever is sent has the spellings of control tokens broken, whoever wrote it: no message of ours needs one (see `token_breaker`).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message, ToolSpec
from analystd.engine.chat_api import BadRequestError, ChatApi, Server, UnreachableError
from analystd.engine.endpoint_reply import OnText, ReplyWriter
from analystd.engine.offers import listed_name
from analystd.engine.token_breaker import broken, broken_in
from analystd.errors import EngineUnavailableError

logger = logging.getLogger(__name__)

_BYTES_PER_TOKEN = 3
"""Fewer than most texts have in UTF-8, so that a prompt which is taken to fit does."""
_TOKENS_PER_MESSAGE = 8
_OPTIONAL = ("temperature", "seed", "stream_options")
_CALL = re.compile(r'<tool name="(?P<name>[^"<>]+)">\n(?P<arguments>\{.*\})\n</tool>\Z', re.DOTALL)
_WINDOW_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")


class EndpointEngine:
    """An `Engine` that asks a server. What is asked leaves the daemon; if the server is elsewhere, it leaves the machine."""

    def __init__(self, server: Server, model: str | None = None, *, context_tokens: int = 0) -> None:
        self._server = server
        self._wanted = model
        self._context_tokens = context_tokens
        self._api: ChatApi | None = None
        self._model = model or ""
        self._window: int | None = context_tokens or None
        self._native = True
        self._limit_name = "max_tokens"
        self._left_out: set[str] = set()
        """Parameters that this server does not take."""

    def info(self) -> EngineInfo:
        """The model's name, and where the text goes."""
        goes = "to a server on this machine" if self._server.is_here else "off this machine"
        return EngineInfo(
            kind="endpoint",
            model=self._model,
            loaded=self._api is not None,
            context_tokens=self._window,
            goes=f"text goes {goes}: {self._server.shown}",
        )

    async def load(self) -> None:
        """Ask the server for its models, and choose; where the setting names one, a server that lists none will do."""
        if self._api is not None:
            return
        api = ChatApi(self._server)
        try:
            models = await self._listed(api)
            self._model = _chosen(models, self._wanted, self._server.shown)
        except BaseException:
            await api.aclose()
            raise
        about = next((each for each in models if each["id"] == self._model), {})
        self._window = self._context_tokens or _window(about)
        self._api = api

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """A guess on the safe side: only the server knows its model's tokens."""
        sizes = (len(broken(each.content).encode("utf-8", "replace")) for each in messages)
        return sum(-(-size // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE for size in sizes)

    async def generate(self, request: GenerateRequest, on_text: OnText) -> Completion:
        """Have the server generate one reply."""
        await self.load()
        try:
            return await self._generate(request, on_text)
        except BadRequestError:
            if not (self._native and request.tools):
                raise
            # A server without tools says so in many ways; the text form asks nothing of it.
            self._native = False
            try:
                return await self._generate(request, on_text)
            except BadRequestError:
                self._native = True
                raise

    def forget(self, sequence: str) -> None:
        """The server keeps what it keeps."""

    async def aclose(self) -> None:
        """Close the connections."""
        if self._api is not None:
            await self._api.aclose()
            self._api = None

    async def _listed(self, api: ChatApi) -> list[dict[str, Any]]:
        if self._wanted is None:
            return await api.models()
        try:
            return await api.models(attempts=1)
        except UnreachableError:
            raise
        except EngineUnavailableError as exc:
            # Whether the model is there, and the key is right, the first request tells.
            logger.info("%s; %s is asked for all the same", exc.message, self._wanted)
            return []

    async def _generate(self, request: GenerateRequest, on_text: OnText) -> Completion:
        assert self._api is not None
        started = time.monotonic()
        writer = ReplyWriter(on_text, self._server.shown)
        try:
            async with aclosing(self._api.stream(self._body(request))) as chunks:
                async for chunk in chunks:
                    writer.take(chunk)
                    if writer.stopped:
                        break
        except BadRequestError as exc:
            if not self._leaves_out(exc.message):
                raise
            return await self._generate(request, on_text)
        writer.end()
        return writer.completion(await self.count_tokens(request.messages), time.monotonic() - started)

    def _body(self, request: GenerateRequest) -> dict[str, Any]:
        native = self._native and bool(request.tools)
        body: dict[str, Any] = {
            "model": self._model,
            "messages": broken_in(native_messages(request.messages) if native else plain_messages(request.messages)),
            self._limit_name: request.max_tokens,
            "stream": True,
        }
        optional = {
            "temperature": request.temperature,
            "seed": request.seed,
            "stream_options": {"include_usage": True},
        }
        body |= {name: value for name, value in optional.items() if name not in self._left_out}
        if native:
            body["tools"] = broken_in([_native_tool(tool) for tool in request.tools])
            body["tool_choice"] = _native_choice(request)
        return body

    def _leaves_out(self, refusal: str) -> bool:
        """Leave out, from now on, a parameter that a refusal names, else the one that the fewest servers know; False where none is left."""
        if "max_completion_tokens" in refusal and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
            return True
        named = [name for name in _OPTIONAL if re.search(rf"\b{name}\b", refusal)]
        for name in (*named, "stream_options"):
            if name not in self._left_out:
                self._left_out.add(name)
                return True
        return False


def plain_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages for a server without tools: what a tool gave comes as from the user, since many templates know no other role."""
    shown: list[dict[str, Any]] = []
    for message in messages:
        role = "user" if message.role == "tool" else message.role
        if shown and shown[-1]["role"] == role == "user":
            shown[-1]["content"] += f"\n\n{message.content}"
        else:
            shown.append({"role": role, "content": message.content})
    return shown


def native_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages for a server with tools: a call and its result in the API's own form, anything else as `plain_messages` has it."""
    shown: list[dict[str, Any]] = []
    plain: list[Message] = []
    at = 0
    while at < len(messages):
        here, after = messages[at], messages[at + 1] if at + 1 < len(messages) else None
        call = _CALL.search(here.content) if here.role == "assistant" and after and after.role == "tool" else None
        if call is None or after is None:
            plain.append(here)
            at += 1
            continue
        name = f"call_{at}"
        function = {"name": call["name"], "arguments": call["arguments"]}
        shown += plain_messages(plain)
        plain.clear()
        shown.append(
            {
                "role": "assistant",
                "content": here.content[: call.start()].strip() or None,
                "tool_calls": [{"id": name, "type": "function", "function": function}],
            }
        )
        shown.append({"role": "tool", "tool_call_id": name, "content": after.content})
        at += 2
    return shown + plain_messages(plain)


def _native_tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _native_choice(request: GenerateRequest) -> Any:
    """That a call is required; where there is only one tool, its name says so to more servers than the word does."""
    if request.tool_choice == "required" and len(request.tools) == 1:
        return {"type": "function", "function": {"name": request.tools[0].name}}
    return request.tool_choice


def _chosen(models: Sequence[dict[str, Any]], wanted: str | None, where: str) -> str:
    """The model to ask for."""
    names = [str(each["id"]) for each in models]
    there = f"It has: {', '.join(names[:20])}" if names else "It names none"
    if wanted is not None:
        if (name := listed_name(wanted, names)) is not None:
            return name
        # A server with one model mostly takes any name, and some have names that they do not list.
        if len(names) <= 1:
            return wanted
        raise EngineUnavailableError(f"The server at {where} has no model {wanted!r}", f"{there}.")
    if len(names) == 1:
        return names[0]
    raise EngineUnavailableError(
        f"The server at {where} has {len(names)} models", f"AGENT_MODEL_NAME chooses. {there}."
    )


def _window(about: dict[str, Any]) -> int | None:
    """The context window, if the server tells it."""
    nested = about.get("meta")
    for source in (about, nested if isinstance(nested, dict) else {}):
        for key in _WINDOW_KEYS:
            if isinstance(source.get(key), int) and source[key] > 0:
                return int(source[key])
    return None
