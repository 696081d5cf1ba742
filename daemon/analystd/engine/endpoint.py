"""A model behind an OpenAI-compatible server: llama-server, vLLM, Ollama, LM Studio, or one that is not on this machine.

The agent sees the same thing as from a local model: text in which a call stands between `<tool name="…">` and `</tool>`. Where the
server calls tools natively, its calls are written that way as they stream in, and earlier calls are given back to it in its own form.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message, ToolSpec
from analystd.engine.chat_api import BadRequestError, ChatApi, Server
from analystd.errors import EngineUnavailableError

_CHARACTERS_PER_TOKEN = 3
"""Fewer than most texts have, so that a prompt which is taken to fit does."""
_TOKENS_PER_MESSAGE = 8
_CALL = re.compile(r'<tool name="(?P<name>[^"<>]+)">\n(?P<arguments>\{.*\})\n</tool>\Z', re.DOTALL)
_NO_NAME_CHARACTER = re.compile(r"[^\w.-]")
_WINDOW_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")

OnText = Callable[[str], bool]


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
        self._counts_usage = True

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
        """Ask the server for its models, and choose."""
        if self._api is not None:
            return
        api = ChatApi(self._server)
        try:
            models = await api.models()
            self._model = _chosen(models, self._wanted, self._server.shown)
        except BaseException:
            await api.aclose()
            raise
        about = next((each for each in models if each["id"] == self._model), {})
        self._window = self._context_tokens or _window(about)
        self._api = api

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """A guess on the safe side: only the server knows its model's tokens."""
        return sum(-(-len(each.content) // _CHARACTERS_PER_TOKEN) + _TOKENS_PER_MESSAGE for each in messages)

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

    async def _generate(self, request: GenerateRequest, on_text: OnText) -> Completion:
        assert self._api is not None
        started = time.monotonic()
        writer = _Writer(on_text)
        try:
            async with aclosing(self._api.stream(self._body(request))) as chunks:
                async for chunk in chunks:
                    writer.take(chunk)
                    if writer.stopped:
                        break
        except BadRequestError:
            if not self._counts_usage:
                raise
            self._counts_usage = False
            return await self._generate(request, on_text)
        writer.end()
        return writer.completion(await self.count_tokens(request.messages), time.monotonic() - started)

    def _body(self, request: GenerateRequest) -> dict[str, Any]:
        native = self._native and bool(request.tools)
        body: dict[str, Any] = {
            "model": self._model,
            "messages": native_messages(request.messages) if native else plain_messages(request.messages),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stream": True,
        }
        if native:
            body["tools"] = [_native_tool(tool) for tool in request.tools]
            body["tool_choice"] = _native_choice(request)
        if self._counts_usage:
            body["stream_options"] = {"include_usage": True}
        return body


@dataclass
class _Writer:
    """Writes what streams in as the agent reads it, and keeps account."""

    on_text: OnText
    stopped: bool = False
    _pieces: list[str] = field(default_factory=list)
    _call: Any = None
    """By which the server knows the call that is being written; None where none is."""
    _reason: str = ""
    _usage: dict[str, Any] = field(default_factory=dict)

    def take(self, chunk: dict[str, Any]) -> None:
        """Take in one chunk; the choices but the first, and what is said of no account, are passed over."""
        self._usage = chunk.get("usage") or self._usage
        for choice in (chunk.get("choices") or ())[:1]:
            self._reason = choice.get("finish_reason") or self._reason
            delta = choice.get("delta") or {}
            if text := delta.get("content"):
                self._write(str(text))
            for call in delta.get("tool_calls") or ():
                self._take_call(call.get("index", 0), call.get("function") or {})

    def end(self) -> None:
        """The reply has ended: close the call that is open."""
        if self._call is not None and not self.stopped:
            self._call = None
            self._write("\n</tool>")

    def completion(self, prompt_tokens: int, seconds: float) -> Completion:
        """The account; where the server gives none, a guess."""
        details = self._usage.get("prompt_tokens_details") or {}
        return Completion(
            text="".join(self._pieces),
            reason="stopped" if self.stopped else "length" if self._reason == "length" else "stop",
            prompt_tokens=int(self._usage.get("prompt_tokens") or prompt_tokens),
            cached_tokens=int(details.get("cached_tokens") or 0),
            completion_tokens=int(self._usage.get("completion_tokens") or len(self._pieces)),
            seconds=seconds,
        )

    def _take_call(self, call: Any, function: dict[str, Any]) -> None:
        name = function.get("name")
        if name and call != self._call:
            # Some servers name the call in every chunk; a second one begins where the first ends.
            self.end()
            self._call = call
            self._write(f'<tool name="{_NO_NAME_CHARACTER.sub("", str(name))}">\n')
        if arguments := function.get("arguments"):
            self._write(arguments if isinstance(arguments, str) else json.dumps(arguments))

    def _write(self, text: str) -> None:
        if not self.stopped:
            self._pieces.append(text)
            self.stopped = self.on_text(text)


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
        # A server with one model mostly takes any name, and some have names that they do not list.
        if wanted in names or len(names) <= 1:
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
