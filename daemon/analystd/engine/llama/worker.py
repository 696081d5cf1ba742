"""The child process that holds the model: `python -m analystd.engine.llama.worker MODEL …`. For its channel, see `analystd.workers`.

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
from analystd.engine.llama.prefix_cache import PrefixCache, fingerprint
from analystd.engine.llama.sampling import make_sampler
from analystd.engine.llama.self_test import decode_greedily
from analystd.models.gguf import read_header
from analystd.models.memory_estimate import MemoryEstimate, needs_of, refusal
from analystd.wire.errors import AnalystdError, EngineUnavailableError
from analystd.workers.child import Channel, WorkerRequest

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the model, report that it is ready, and serve requests until the channel is closed."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    channel = Channel()
    adapters = [Adapter(path, float(scale)) for path, scale in options.lora]
    try:
        available = None if uses_gpu(options.gpu_layers) else options.memory
        needs = check_files(options.model, adapters, options.context_tokens, available)
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


def check_files(model: Path, adapters: Sequence[Adapter], context_tokens: int, available: int | None) -> MemoryEstimate:
    """Check the files before llama.cpp loads them: it aborts the process over some damaged ones, and loads what does not fit.

    Args:
        model: The model's file.
        adapters: The LoRA adapters.
        context_tokens: The context window to load it with.
        available: The available bytes of memory; None to skip that check, when layers use the memory of a GPU.

    Returns:
        The memory that the model needs.

    Raises:
        EngineUnavailableError: with the problem and what to do.
    """
    header = read_header(model)
    if header.kind == "adapter":
        raise EngineUnavailableError(
            f"{model} is a LoRA adapter, not a model",
            "Set AGENT_LORA_PATH to it, and AGENT_MODEL_PATH to the model that it was made for.",
        )
    adapters_bytes = 0
    for adapter in adapters:
        about = read_header(Path(adapter.path))
        if about.kind != "adapter":
            raise EngineUnavailableError(
                f"{adapter.path} is not a LoRA adapter",
                "AGENT_LORA_PATH is for adapters; AGENT_MODEL_PATH is for models.",
            )
        adapters_bytes += about.tensor_bytes
    needs = needs_of(header, context_tokens, adapters_bytes)
    if available is not None and (problem := refusal(model, needs, available)) is not None:
        raise problem
    return needs


class Service:
    """Handles requests between the steps of the decode loop."""

    def __init__(self, model: LlamaModel, prefixes: PrefixCache | None = None) -> None:
        self._model = model
        self._renderer = Renderer(model.vocabulary, model.chat_template)
        self._decoder = Decoder(model, prefixes)

    def serve(self, channel: Channel) -> None:
        """Handle requests until the channel is closed."""
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
        """Return the result; None when it is sent later."""
        match request.method:
            case "generate":
                # Tells the engine not to repeat the request with another worker, should this one die.
                request.emit({"text": ""})
                self._decoder.add(self._job(request, request_from_data(request.params)))
                return None
            case "count":
                return {"tokens": len(self._renderer.prompt(messages_from_data(request.params["messages"])).tokens)}
            case "forget":
                self._decoder.forget(request.params["sequence"])
                return {}
        raise EngineUnavailableError(f"The model worker has no method {request.method}")

    def _job(self, request: WorkerRequest, generate_request: GenerateRequest) -> Job:
        prompt = self._renderer.prompt(generate_request.messages, generate_request.common_messages)
        room = self._model.window - len(prompt.tokens)
        if room < 1:
            raise EngineUnavailableError(
                f"The conversation has {len(prompt.tokens)} tokens; the model's context holds {self._model.window}",
                "Start a new conversation, or raise AGENT_CONTEXT_TOKENS if the model supports more.",
            )
        max_tokens = max(1, min(generate_request.max_tokens, room))
        rules = Rules(
            make_sampler(generate_request.temperature, generate_request.seed),
            self._grammar(generate_request),
            generate_request.tool_choice == "required",
            prompt.structure,
            max_tokens,
            self._renderer.shown,
        )
        reply = Generation(self._model.vocabulary, rules, prompt.opening)
        return Job(
            _ReplySender(request),
            generate_request.sequence,
            prompt.tokens,
            reply,
            common=prompt.common,
            unsent=prompt.opening,
        )

    def _grammar(self, generate_request: GenerateRequest) -> str | None:
        if generate_request.tool_choice == "none" or not generate_request.tools:
            return None
        rules = tool_call_grammar(generate_request.tools)
        # A grammar that cannot be read is reported now, not in the middle of a reply.
        Grammar(self._model.vocabulary, grammar_with_root(rules)).close()
        return rules


class _ReplySender:
    """A listener that sends the decoder's output to the channel."""

    def __init__(self, request: WorkerRequest) -> None:
        self._request = request

    def cancelled(self) -> bool:
        return self._request.cancelled.is_set()

    def on_text(self, text: str) -> None:
        self._request.emit({"text": text})

    def finished(self, result: Result) -> None:
        self._request.reply(dataclasses.asdict(result))

    def failed(self, error: EngineUnavailableError) -> None:
        self._request.fail(error)


def _prefixes(options: argparse.Namespace, model: LlamaModel) -> PrefixCache | None:
    """Return the cache of the states that this very model made, as it is loaded here."""
    if options.prefixes is None:
        return None
    files = [options.model, *(Path(path) for path, _ in options.lora)]
    scales = [scale for _, scale in options.lora]
    try:
        identity = [model.build, *map(fingerprint, files), *scales, str(options.gpu_layers)]
    except OSError as exc:
        logger.warning("the state of the system prompt cannot be cached: %s", exc)
        return None
    return PrefixCache(options.prefixes, "\n".join(identity))


def request_from_data(data: dict[str, Any]) -> GenerateRequest:
    """Return the request that `dataclasses.asdict` converted to data."""
    tools = tuple(ToolSpec(**tool) for tool in data["tools"])
    return GenerateRequest(**{**data, "messages": messages_from_data(data["messages"]), "tools": tools})


def messages_from_data(data: Sequence[dict[str, Any]]) -> tuple[Message, ...]:
    """Return the messages that a channel's data holds."""
    return tuple(Message(**message) for message in data)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="analystd.engine.llama.worker")
    parser.add_argument("model", type=Path)
    parser.add_argument("--gpu-layers", type=int, default=-1)
    parser.add_argument("--context-tokens", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--lora", nargs=2, action="append", default=[], metavar=("PATH", "SCALE"))
    parser.add_argument("--memory", type=int, metavar="BYTES", help="available memory; default: do not check it")
    parser.add_argument("--prefixes", type=Path, metavar="DIR", help="folder for the cached states of common prefixes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
