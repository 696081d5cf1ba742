"""The engine of models behind an OpenAI-compatible server: llama-server, vLLM, Ollama, LM Studio, or a server on another machine.

The agent gets the same form as from a local model: text in which a call stands between `<tool name="…">` and `</tool>`. Where the
server calls tools natively, its calls are written in that form as they stream in, and earlier calls are sent back in the server's form.
In all text that is sent, the spellings of control tokens are broken, whatever its source: none of our messages needs one (see
`token_breaker`).
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
_MAX_CORRECTION = 3.0
_MIN_CORRECTION_TOKENS = 500
"""Shorter prompts do not correct the estimate: the tokens that the server adds would count for too much."""


class EndpointEngine:
    """An `Engine` that sends requests to a server. Text leaves the daemon; if the server is on another machine, it leaves this one."""

    def __init__(self, server: Server, model: str | None = None, *, context_tokens: int = 0) -> None:
        self._server = server
        self._model_setting = model
        self._context_tokens = context_tokens
        self._api: ChatApi | None = None
        self._model = model or ""
        self._window = ContextWindow(context_tokens) if context_tokens else None
        self._uses_tools = True
        self._parameters = Parameters()
        self._correction = 1.0
        """How many tokens the server counted for each estimated one; at least one."""
        self._tools_tokens = 0
        """The tokens of the last request's tools, where the server supports tools."""
        self._cut_warning: str | None = None

    def info(self) -> EngineInfo:
        """Return the model's name, and where the text is sent."""
        goes = "to a server on this machine" if self._server.is_here else "off this machine"
        return EngineInfo(
            kind="endpoint",
            model=self._model,
            loaded=self._api is not None,
            context_tokens=self._window.tokens if self._window else None,
            goes=f"text goes {goes}: {self._server.shown}",
            warning=self._cut_warning,
        )

    async def load(self) -> None:
        """Choose the server's only model, unless the setting names one, and query its context window."""
        if self._api is not None:
            return
        api = ChatApi(self._server)
        try:
            about = (
                {"id": self._model_setting}
                if self._model_setting
                else _only_model(await api.models(), self._server.shown)
            )
            self._model = str(about["id"])
            if not self._context_tokens:
                self._window = await ask_window(api, self._model) or window_in(about)
        except BaseException:
            await api.aclose()
            raise
        self._api = api

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Return an estimate on the safe side, including the tools: only the server knows the model's tokenizer."""
        return math.ceil(self._estimate(messages) * self._correction) + self._tools_tokens

    async def generate(self, request: GenerateRequest, on_text: OnText) -> Completion:
        """Have the server generate one reply.

        Raises:
            PromptTooLongError: when the prompt does not fit. The engine keeps the window that the server reports.
        """
        await self.load()
        try:
            return await self._generate(request, on_text)
        except BadRequestError as exc:
            if not (self._uses_tools and request.tools):
                raise
            logger.info("%s; asking again without tools", exc.message)
            # Servers without tools report this in many ways. The text form works with all of them.
            self._uses_tools = False
            try:
                return await self._generate(request, on_text)
            except BadRequestError:
                self._uses_tools = True
                raise

    async def aclose(self) -> None:
        """Close the connections."""
        if self._api is not None:
            await self._api.aclose()
            self._api = None

    async def _generate(self, request: GenerateRequest, on_text: OnText) -> Completion:
        """Generate a reply, without the parameters that the server rejects."""
        while True:
            try:
                completion = await self._stream(request, on_text)
            except NotFoundError as exc:
                if not await self._resolve_name(exc):
                    raise
            except BadRequestError as exc:
                if exc.refusal is None:
                    raise
                if exc.refusal.is_about_length:
                    raise self._too_long(exc, exc.refusal, request) from None
                if not self._parameters.adapt(exc.refusal):
                    self._parameters.drop_guess()
                    raise
                logger.info("%s; adapting the requests from now on", exc.message)
            else:
                self._parameters.keep_guess()
                await self._update_window()
                return completion

    async def _stream(self, request: GenerateRequest, on_text: OnText) -> Completion:
        assert self._api is not None
        started = time.monotonic()
        writer = ReplyWriter(on_text, self._server.shown)
        async with aclosing(self._api.stream(self._body(request))) as chunks:
            async for chunk in chunks:
                writer.add(chunk)
                if writer.stopped:
                    break
        writer.end()
        estimate = self._estimate(request.messages) + self._tools_tokens
        completion = writer.completion(estimate, time.monotonic() - started)
        read = writer.prompt_tokens
        if estimate >= _MIN_CORRECTION_TOKENS:
            self._correction = min(_MAX_CORRECTION, max(self._correction, read / estimate))
        if is_cut((message.content for message in request.messages), read, completion.cached_tokens):
            # The text stays that of the first time, so that a run of several replies shows it once.
            self._cut_warning = self._cut_warning or (
                f"The server at {self._server.shown} read only {read} tokens of a longer prompt: its context window is too small, and it "
                "dropped a part without reporting it. Start it with a larger window, or set AGENT_CONTEXT_TOKENS to the size of its window."
            )
            completion = replace(completion, warning=self._cut_warning)
        return completion

    async def _resolve_name(self, refusal: NotFoundError) -> bool:
        """Look up the model in the server's list after it has rejected its name. Returns whether another spelling was found.

        Raises:
            EngineUnavailableError: when the server lists models, and none of this name.
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
        logger.info("%s; asking for %s instead", refusal.message, name)
        self._model = name
        return True

    def _too_long(self, exc: BadRequestError, refusal: Refusal, request: GenerateRequest) -> PromptTooLongError:
        """Learn the window and the number of tokens of a prompt from a rejected request, and return the error."""
        if refusal.window is not None:
            self._window = ContextWindow(refusal.window)
        estimate = self._estimate(request.messages) + self._tools_tokens
        if refusal.prompt_tokens is not None and estimate >= _MIN_CORRECTION_TOKENS:
            correction = min(_MAX_CORRECTION, refusal.prompt_tokens / estimate)
            self._correction = max(self._correction, correction)
        return PromptTooLongError(
            exc.message, "Set AGENT_CONTEXT_TOKENS to the server's context window, so that prompts are cut to it."
        )

    async def _update_window(self) -> None:
        """Query a window that was only assumed again, now that the model is loaded."""
        if self._window is None or self._window.is_certain or self._api is None:
            return
        try:
            found = await ask_window(self._api, self._model)
        except EngineUnavailableError:
            return
        # If the server does not report it even now, do not query it a third time.
        self._window = ContextWindow((found or self._window).tokens)

    def _estimate(self, messages: Sequence[Message]) -> int:
        return sum(likely_tokens(broken(each.content)) + _TOKENS_PER_MESSAGE for each in messages)

    def _body(self, request: GenerateRequest) -> dict[str, Any]:
        native = self._uses_tools and bool(request.tools)
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
    """Return the messages for a server without tools. Tool results become user messages, since many templates know no other role."""
    shown: list[dict[str, Any]] = []
    for message in messages:
        role = "user" if message.role == "tool" else message.role
        if shown and shown[-1]["role"] == role == "user":
            shown[-1]["content"] += f"\n\n{message.content}"
        else:
            shown.append({"role": role, "content": message.content})
    return shown


def native_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the messages for a server with tools: calls and their results in the API's own form, others as in `plain_messages`."""
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
                # Not every server accepts null here; all accept an empty text.
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
    """Return that a call is required. A single tool is named, since more servers support its name than the word `required`."""
    if request.tool_choice == "required" and len(request.tools) == 1:
        return {"type": "function", "function": {"name": request.tools[0].name}}
    return request.tool_choice


def _only_model(models: Sequence[dict[str, Any]], where: str) -> dict[str, Any]:
    """Return the only model.

    Raises:
        EngineUnavailableError: when there are several, or none.
    """
    if len(models) == 1:
        return models[0]
    names = [str(each["id"]) for each in models]
    raise EngineUnavailableError(
        f"The server at {where} has {len(names)} models", f"Set AGENT_MODEL_NAME to one of them. {_names_it_has(names)}"
    )


def _names_it_has(names: Sequence[str]) -> str:
    return f"It has: {', '.join(names[:20])}." if names else "It lists none."
