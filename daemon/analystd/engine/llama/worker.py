"""The child process that holds the model: `python -m analystd.engine.llama.worker MODEL …`, see `analystd.workers` for its channel.

count     {messages}                   → {tokens}
generate  a GenerateRequest as data    → text events, an empty one first, then {reason, prompt_tokens, …}
forget    {sequence}                   → {}
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analystd.config.setting_parsers import Adapter
from analystd.engine.base import GenerateRequest, Message, ToolSpec
from analystd.engine.llama.chat_template import Renderer
from analystd.engine.llama.constrained_sampling import Grammar
from analystd.engine.llama.decoder import Decoder, Job, Result
from analystd.engine.llama.generation import Generation, Rules
from analystd.engine.llama.grammar import grammar_with_root, tool_call_grammar
from analystd.engine.llama.llama_model import MOST_CONVERSATIONS, LlamaModel, uses_gpu
from analystd.engine.llama.prefix_cache import PrefixCache, sampled
from analystd.engine.llama.sampling import make_sampler
from analystd.engine.llama.self_test import decode_greedily
from analystd.models.gguf import read_header
from analystd.models.memory_estimate import MemoryEstimate, needs_of, refusal
from analystd.wire.errors import AnalystdError, EngineUnavailableError
from analystd.workers.child import Channel, WorkerRequest

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the model, tell so, and serve until the channel is closed."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    channel = Channel()
    adapters = [Adapter(path, float(scale)) for path, scale in options.lora]
    try:
        available = None if uses_gpu(options.gpu_layers) else options.memory
        needs = check(options.model, adapters, options.context_tokens, available)
        model = LlamaModel(
            options.model,
            gpu_layers=options.gpu_layers,
            context_tokens=options.context_tokens,
            conversations=MOST_CONVERSATIONS
            if available is None
            else needs.conversations_within(available, MOST_CONVERSATIONS),
            threads=options.threads,
            adapters=adapters,
        )
        decode_greedily(model, 1)
    except AnalystdError as exc:
        channel.refuse(exc)
        return
    channel.ready(
        {
            "context_tokens": model.window,
            "conversations": model.conversations,
            "description": model.description,
            "on_gpu": model.on_gpu,
            "parameters": model.parameters,
        }
    )
    Service(model, _prefixes(options, model)).serve(channel)


def check(model: Path, adapters: Sequence[Adapter], context_tokens: int, available: int | None) -> MemoryEstimate:
    """Look at the files before llama.cpp does: it ends the process over some that are damaged, and loads what does not fit.

    Gives what the model needs. `available` are the bytes of memory that there are; None: not to be asked, since layers go to a GPU's own.

    Raises:
        EngineUnavailableError: with what is wrong and what to do.
    """
    header = read_header(model)
    if header.kind == "adapter":
        raise EngineUnavailableError(
            f"{model} is a LoRA adapter and no model",
            "AGENT_LORA_PATH takes it, AGENT_MODEL_PATH what it was made for.",
        )
    adapters_bytes = 0
    for adapter in adapters:
        about = read_header(Path(adapter.path))
        if about.kind != "adapter":
            raise EngineUnavailableError(
                f"{adapter.path} is no LoRA adapter", "AGENT_LORA_PATH takes adapters; AGENT_MODEL_PATH takes models."
            )
        adapters_bytes += about.tensor_bytes
    needs = needs_of(header, context_tokens, adapters_bytes)
    if available is not None and (problem := refusal(model, needs, available)) is not None:
        raise problem
    return needs


class Service:
    """Takes requests between the steps of the decode loop."""

    def __init__(self, model: LlamaModel, prefixes: PrefixCache | None = None) -> None:
        self._model = model
        self._renderer = Renderer(model.vocabulary, model.chat_template)
        self._decoder = Decoder(model, prefixes)

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

    def _take(self, request: WorkerRequest) -> None:
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

    def _handle(self, request: WorkerRequest) -> dict[str, Any] | None:
        """The answer; None when it comes later."""
        match request.method:
            case "generate":
                # Who asked knows by it that the request is not to be given to another worker should this one die.
                request.emit({"text": ""})
                self._decoder.add(self._job(request, request_from_data(request.params)))
                return None
            case "count":
                return {"tokens": len(self._renderer.prompt(messages_from_data(request.params["messages"])).tokens)}
            case "forget":
                self._decoder.forget(request.params["sequence"])
                return {}
        raise EngineUnavailableError(f"The model worker knows no method {request.method}")

    def _job(self, request: WorkerRequest, wanted: GenerateRequest) -> Job:
        prompt = self._renderer.prompt(wanted.messages, wanted.common_messages)
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
            self._renderer.shown,
        )
        reply = Generation(self._model.vocabulary, rules, prompt.opening)
        return Job(
            _Waiting(request),
            wanted.sequence,
            prompt.tokens,
            reply,
            common=prompt.common,
            unsent=prompt.opening,
        )

    def _grammar(self, wanted: GenerateRequest) -> str | None:
        if wanted.tool_choice == "none" or not wanted.tools:
            return None
        rules = tool_call_grammar(wanted.tools)
        # A grammar that cannot be read is reported now, not in the middle of a reply.
        Grammar(self._model.vocabulary, grammar_with_root(rules)).close()
        return rules


class _Waiting:
    """The far end of a channel as the decoder's client."""

    def __init__(self, request: WorkerRequest) -> None:
        self._request = request

    def cancelled(self) -> bool:
        return self._request.cancelled.is_set()

    def said(self, text: str) -> None:
        self._request.emit({"text": text})

    def finished(self, result: Result) -> None:
        self._request.reply(dataclasses.asdict(result))

    def failed(self, error: EngineUnavailableError) -> None:
        self._request.fail(error)


def _prefixes(options: argparse.Namespace, model: LlamaModel) -> PrefixCache | None:
    """The states on disk that were made by this very model, as it is loaded here."""
    if options.prefixes is None:
        return None
    files = [options.model, *(Path(path) for path, _ in options.lora)]
    scales = [scale for _, scale in options.lora]
    try:
        identity = [model.build, *map(sampled, files), *scales, str(options.gpu_layers)]
    except OSError as exc:
        logger.warning("what the model makes of the system prompt is not kept: %s", exc)
        return None
    return PrefixCache(options.prefixes, "\n".join(identity))


def request_from_data(data: dict[str, Any]) -> GenerateRequest:
    """What `dataclasses.asdict` made of a request, as a request again."""
    tools = tuple(ToolSpec(**tool) for tool in data["tools"])
    return GenerateRequest(**{**data, "messages": messages_from_data(data["messages"]), "tools": tools})


def messages_from_data(data: Sequence[dict[str, Any]]) -> tuple[Message, ...]:
    """Messages from the channel."""
    return tuple(Message(**message) for message in data)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="analystd.engine.llama.worker")
    parser.add_argument("model", type=Path)
    parser.add_argument("--gpu-layers", type=int, default=-1)
    parser.add_argument("--context-tokens", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--lora", nargs=2, action="append", default=[], metavar=("PATH", "SCALE"))
    parser.add_argument("--memory", type=int, metavar="BYTES", help="what is available; default: not to be asked")
    parser.add_argument("--prefixes", type=Path, metavar="DIR", help="where the states of common beginnings are kept")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
