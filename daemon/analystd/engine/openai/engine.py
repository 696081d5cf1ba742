"""A model behind an OpenAI-compatible server: llama-server, vLLM, Ollama, LM Studio, or one that is not on this machine.

The agent sees the same thing as from a local model: text in which a call stands between `<tool name="…">` and `</tool>`. Where the
server calls tools natively, its calls are written that way as they stream in, and earlier calls are given back to it in its own form.
Whatever is sent has the spellings of control tokens broken, whoever wrote it: no message of ours needs one (see `token_breaker`).
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message, PromptTooLongError, ToolSpec
from analystd.engine.openai.client import BadRequestError, ChatApi, NotFoundError, Server
from analystd.engine.openai.context_window import ContextWindow, ask_window, window_in
from analystd.engine.openai.refused_parameters import Parameters, Refusal
from analystd.engine.openai.streamed_reply import OnText, ReplyWriter
from analystd.engine.openai.token_breaker import broken, broken_in
from analystd.engine.openai.token_estimates import is_cut, likely_tokens
from analystd.models.local_servers import listed_name
from analystd.wire.errors import EngineUnavailableError

logger = logging.getLogger(__name__)

_TOKENS_PER_MESSAGE = 8
_CALL = re.compile(r'<tool name="(?P<name>[^"<>]+)">\n(?P<arguments>\{.*\})\n</tool>\Z', re.DOTALL)
_MOST_LEARNT = 3.0
_LEAST_LEARNT_FROM = 500
"""Tokens: of a shorter prompt what the server adds to it would count for too much."""


class EndpointEngine:
    """An `Engine` that asks a server. What is asked leaves the daemon; if the server is elsewhere, it leaves the machine."""

    def __init__(self, server: Server, model: str | None = None, *, context_tokens: int = 0) -> None:
        self._server = server
        self._wanted = model
        self._context_tokens = context_tokens
        self._api: ChatApi | None = None
        self._model = model or ""
        self._window = ContextWindow(context_tokens) if context_tokens else None
        self._native = True
        self._parameters = Parameters()
        self._tokens_per_guess = 1.0
        """How many tokens the server counted for each that was guessed; never less than one."""
        self._tools_tokens = 0
        """What the tools of the last request take, where the server knows tools."""
        self._cut: str | None = None

    def info(self) -> EngineInfo:
        """The model's name, and where the text goes."""
        goes = "to a server on this machine" if self._server.is_here else "off this machine"
        return EngineInfo(
            kind="endpoint",
            model=self._model,
            loaded=self._api is not None,
            context_tokens=self._window.tokens if self._window else None,
            goes=f"text goes {goes}: {self._server.shown}",
            warning=self._cut,
        )

    async def load(self) -> None:
        """Choose among the server's models, unless the setting names one, and find out how large its window is."""
        if self._api is not None:
            return
        api = ChatApi(self._server)
        try:
            about = {"id": self._wanted} if self._wanted else _only(await api.models(), self._server.shown)
            self._model = str(about["id"])
            if not self._context_tokens:
                self._window = await ask_window(api, self._model) or window_in(about)
        except BaseException:
            await api.aclose()
            raise
        self._api = api

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """A guess on the safe side, with what the tools take: only the server knows its model's tokens."""
        return math.ceil(self._guess(messages) * self._tokens_per_guess) + self._tools_tokens

    async def generate(self, request: GenerateRequest, on_text: OnText) -> Completion:
        """Have the server generate one reply.

        Raises:
            PromptTooLongError: when the prompt does not fit; what the server said of its window is known from then on.
        """
        await self.load()
        try:
            return await self._generate(request, on_text)
        except BadRequestError as exc:
            if not (self._native and request.tools):
                raise
            logger.info("%s; it is asked without tools", exc.message)
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
        """Generate a reply, without the parameters that the server refuses."""
        while True:
            try:
                completion = await self._stream(request, on_text)
            except NotFoundError as exc:
                if not await self._finds_name(exc):
                    raise
            except BadRequestError as exc:
                if exc.refusal is None:
                    raise
                if exc.refusal.is_about_length:
                    raise self._too_long(exc, exc.refusal, request) from None
                if not self._parameters.adapt(exc.refusal):
                    self._parameters.drop_guess()
                    raise
                logger.info("%s; it is asked in another way from now on", exc.message)
            else:
                self._parameters.keep_guess()
                await self._look_at_window()
                return completion

    async def _stream(self, request: GenerateRequest, on_text: OnText) -> Completion:
        assert self._api is not None
        started = time.monotonic()
        writer = ReplyWriter(on_text, self._server.shown)
        async with aclosing(self._api.stream(self._body(request))) as chunks:
            async for chunk in chunks:
                writer.take(chunk)
                if writer.stopped:
                    break
        writer.end()
        guess = self._guess(request.messages) + self._tools_tokens
        completion = writer.completion(guess, time.monotonic() - started)
        read = writer.prompt_tokens
        if guess >= _LEAST_LEARNT_FROM:
            self._tokens_per_guess = min(_MOST_LEARNT, max(self._tokens_per_guess, read / guess))
        if is_cut((message.content for message in request.messages), read, completion.cached_tokens):
            # The words stay those of the first time, so that a run of several replies tells it once.
            self._cut = self._cut or (
                f"The server at {self._server.shown} has read only {read} tokens of a longer prompt: its context window is too small, and it "
                "left a part out without saying so. Start it with a larger one, or set AGENT_CONTEXT_TOKENS to the one that it has."
            )
            completion = replace(completion, warning=self._cut)
        return completion

    async def _finds_name(self, refusal: NotFoundError) -> bool:
        """Ask for the names of the models after all, where the server does not know ours; take the one that was meant.

        Raises:
            EngineUnavailableError: when it lists models, and none of this name.
        """
        assert self._api is not None
        try:
            names = [str(each["id"]) for each in await self._api.models(attempts=1)]
        except EngineUnavailableError:
            return False
        name = listed_name(self._model, names)
        if name is None:
            raise EngineUnavailableError(
                f"The server at {self._server.shown} has no model {self._model!r}", _names_it_has(names)
            ) from None
        if name == self._model:
            return False
        logger.info("%s; %s is asked for", refusal.message, name)
        self._model = name
        return True

    def _too_long(self, exc: BadRequestError, refusal: Refusal, request: GenerateRequest) -> PromptTooLongError:
        """Learn of a refusal how large the window is, and how many tokens a prompt has."""
        if refusal.window is not None:
            self._window = ContextWindow(refusal.window)
        guess = self._guess(request.messages) + self._tools_tokens
        if refusal.prompt_tokens is not None and guess >= _LEAST_LEARNT_FROM:
            learnt = min(_MOST_LEARNT, refusal.prompt_tokens / guess)
            self._tokens_per_guess = max(self._tokens_per_guess, learnt)
        return PromptTooLongError(
            exc.message, "AGENT_CONTEXT_TOKENS takes the window that the server has, so that prompts are cut to it."
        )

    async def _look_at_window(self) -> None:
        """Ask again for a window that was only assumed, now that the model is loaded."""
        if self._window is None or self._window.is_certain or self._api is None:
            return
        try:
            found = await ask_window(self._api, self._model)
        except EngineUnavailableError:
            return
        # Where it is not told even now, it is not asked for a third time.
        self._window = ContextWindow((found or self._window).tokens)

    def _guess(self, messages: Sequence[Message]) -> int:
        return sum(likely_tokens(broken(each.content)) + _TOKENS_PER_MESSAGE for each in messages)

    def _body(self, request: GenerateRequest) -> dict[str, Any]:
        native = self._native and bool(request.tools)
        body: dict[str, Any] = {
            "model": self._model,
            "messages": broken_in(native_messages(request.messages) if native else plain_messages(request.messages)),
            "stream": True,
        }
        body |= self._parameters.of(max_tokens=request.max_tokens, temperature=request.temperature, seed=request.seed)
        if native:
            body["tools"] = broken_in([_native_tool(tool) for tool in request.tools])
            body["tool_choice"] = _native_choice(request)
        self._tools_tokens = likely_tokens(json.dumps(body["tools"])) if native else 0
        return body


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
                # Not every server takes null here; an empty text is taken by all.
                "content": here.content[: call.start()].strip(),
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


def _only(models: Sequence[dict[str, Any]], where: str) -> dict[str, Any]:
    """The one model that there is.

    Raises:
        EngineUnavailableError: when there are several, or none.
    """
    if len(models) == 1:
        return models[0]
    names = [str(each["id"]) for each in models]
    raise EngineUnavailableError(
        f"The server at {where} has {len(names)} models", f"AGENT_MODEL_NAME chooses. {_names_it_has(names)}"
    )


def _names_it_has(names: Sequence[str]) -> str:
    return f"It has: {', '.join(names[:20])}." if names else "It names none."
