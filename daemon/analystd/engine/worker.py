"""The child process that holds the model: `python -m analystd.engine.worker MODEL`, see `analystd.workers` for its channel.

count     {messages}                   → {tokens}
generate  a GenerateRequest as data    → text events, then {reason, prompt_tokens, …}
forget    {sequence}                   → {}
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analystd.engine.base import GenerateRequest, Message, ToolSpec
from analystd.engine.constraint import Grammar
from analystd.engine.decoder import Decoder, Job, Result
from analystd.engine.grammar import grammar_with_root, tool_call_grammar
from analystd.engine.native import Model
from analystd.engine.rendering import Renderer
from analystd.engine.reply import Reply, Rules
from analystd.engine.sampling import make_sampler
from analystd.errors import AnalystdError, EngineUnavailableError
from analystd.workers.child import Channel, Request

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the model, tell so, and serve until the channel is closed."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    channel = Channel()
    try:
        model = Model(options.model, gpu_layers=options.gpu_layers, context_tokens=options.context_tokens)
    except AnalystdError as exc:
        channel.refuse(exc)
        return
    channel.ready({"context_tokens": model.window, "description": model.description, "on_gpu": model.on_gpu})
    Service(model).serve(channel)


class Service:
    """Takes requests between the steps of the decode loop."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._renderer = Renderer(model.vocabulary, model.chat_template)
        self._decoder = Decoder(model)

    def serve(self, channel: Channel) -> None:
        """Until the channel is closed."""
        while True:
            try:
                request = channel.next_request(None if self._decoder.idle else 0)
            except EOFError:
                return
            if request is not None:
                self._take(request)
            else:
                self._decoder.step()

    def _take(self, request: Request) -> None:
        try:
            result = self._handle(request)
        except AnalystdError as exc:
            request.fail(exc)
        except Exception as exc:
            logger.exception("%s failed", request.method)
            request.fail(EngineUnavailableError(f"The model worker failed: {type(exc).__name__}: {exc}"))
        else:
            if result is not None:
                request.reply(result)

    def _handle(self, request: Request) -> dict[str, Any] | None:
        """The answer; None when it comes later."""
        match request.method:
            case "generate":
                self._decoder.add(self._job(request, request_from_data(request.params)))
                return None
            case "count":
                return {"tokens": len(self._renderer.prompt(messages_from_data(request.params["messages"])).tokens)}
            case "forget":
                self._decoder.forget(request.params["sequence"])
                return {}
        raise EngineUnavailableError(f"The model worker knows no method {request.method}")

    def _job(self, request: Request, wanted: GenerateRequest) -> Job:
        prompt = self._renderer.prompt(wanted.messages)
        room = self._model.window - len(prompt.tokens)
        if room < 1:
            raise EngineUnavailableError(
                f"The conversation has {len(prompt.tokens)} tokens; the model's context holds {self._model.window}",
                "Start a new conversation, or raise AGENT_CONTEXT_TOKENS if the model can do more.",
            )
        max_tokens = max(1, min(wanted.max_tokens, room))
        rules = Rules(
            make_sampler(wanted.temperature, wanted.seed),
            self._grammar(wanted),
            wanted.tool_choice == "required",
            prompt.structure,
            max_tokens,
        )
        reply = Reply(self._model.vocabulary, rules, prompt.opening)
        return Job(_Waiting(request), wanted.sequence, prompt.tokens, reply, max_tokens, unsent=prompt.opening)

    def _grammar(self, wanted: GenerateRequest) -> str | None:
        if wanted.tool_choice == "none" or not wanted.tools:
            return None
        rules = tool_call_grammar(wanted.tools)
        # A grammar that cannot be read is reported now, not in the middle of a reply.
        Grammar(self._model.vocabulary, grammar_with_root(rules)).close()
        return rules


class _Waiting:
    """The far end of a channel as the decoder's client."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def cancelled(self) -> bool:
        return self._request.cancelled.is_set()

    def said(self, text: str) -> None:
        self._request.emit({"text": text})

    def finished(self, result: Result) -> None:
        self._request.reply(dataclasses.asdict(result))

    def failed(self, error: EngineUnavailableError) -> None:
        self._request.fail(error)


def request_from_data(data: dict[str, Any]) -> GenerateRequest:
    """What `dataclasses.asdict` made of a request, as a request again."""
    tools = tuple(ToolSpec(**tool) for tool in data["tools"])
    return GenerateRequest(**{**data, "messages": messages_from_data(data["messages"]), "tools": tools})


def messages_from_data(data: Sequence[dict[str, Any]]) -> tuple[Message, ...]:
    """Messages from the channel."""
    return tuple(Message(**message) for message in data)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="analystd.engine.worker")
    parser.add_argument("model", type=Path)
    parser.add_argument("--gpu-layers", type=int, default=-1)
    parser.add_argument("--context-tokens", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
